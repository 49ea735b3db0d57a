from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
import onnxruntime
from tasks_drawn import one_hot, stripes

from mien.errors import UsageError
from mien.training import prepare_backend
from mien.training.architectures import ARCHITECTURES, NetworkShape, build
from mien.training.architectures.blocks import BatchNormalization, Standardize
from mien.training.architectures.complexity import multiply_adds
from mien.training.architectures.small import padded
from mien.training.export.classifier import TOLERANCE, to_onnx
from mien.training.tasks.classification.task import predict_logits
from mien.training.transfer.backbones import BACKBONES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.train

HEADS = (("own", 7), ("further", 8))  # not in the order of their names
SHAPES = [
    NetworkShape(48, 1, HEADS),
    NetworkShape(48, 3, HEADS[:1]),
    NetworkShape(32, 1, HEADS),
    NetworkShape(28, 1, HEADS),
]
COSTS = {
    "compact": (1_151_877, 59_628_256),
    "nano": (85_455, 6_582_304),
    "large": (4_496_877, 528_144_576),
    "teacher": (11_621_303, 1_256_650_240),
    "two-conv": (1_199_495, 12_460_928),
    "deep-conv": (2_345_607, 77_326_464),
    "mini-xception": (58_423, 5_520_448),
    "dense-64-tanh": (147_975, 147_904),
    "dense-64-32-tanh": (149_831, 149_728),
    "dense-64-32-relu": (149_831, 149_728),
    "digits-conv": (300_231, 3_281_344),
}
"""Parameters and multiply-adds of one head of seven labels at 48x48x1."""


@pytest.fixture(params=["channels_last", pytest.param("channels_first", marks=pytest.mark.slow_on_jax)])
def data_format(request: pytest.FixtureRequest) -> str:
    if request.param == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first on a CPU; torch and JAX have: make test-torch, make long")
    keras.config.set_image_data_format(request.param)
    return str(request.param)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        pytest.param(name, shape, marks=() if shape is SHAPES[0] or name in {"nano", "two-conv"} else pytest.mark.long)
        for name in ARCHITECTURES
        for shape in (SHAPES[:1] if name in BACKBONES else SHAPES)
    ],
    ids=lambda part: part if isinstance(part, str) else f"{part.size}x{part.channels}",
)
def test_a_network_takes_uint8_crops_and_gives_float32_logits_by_head(name: str, shape: NetworkShape) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(name, shape)
    assert model.name == name
    assert model.input_shape == (None, shape.size, shape.size, shape.channels)
    assert model.inputs[0].dtype == "uint8"
    assert {head: (out.shape, out.dtype) for head, out in model.output.items()} == {
        head: ((None, labels), "float32") for head, labels in shape.heads
    }


@pytest.mark.parametrize(
    ("name", "parameters", "work"),
    [(name, *cost) for name, cost in COSTS.items()],
)
def test_a_network_costs_what_its_docstring_says(name: str, parameters: int, work: int) -> None:
    model = build(name, NetworkShape(48, 1, (("fer2013", 7),)))
    assert (model.count_params(), multiply_adds(model)) == (parameters, work)


def test_every_network_has_its_cost_checked_above() -> None:
    assert set(ARCHITECTURES) == {*COSTS, *BACKBONES}


@pytest.mark.parametrize(
    ("layer", "shape", "work"),
    [
        (keras.layers.Conv2D(5, 3, strides=2, padding="same"), (8, 8, 2), 4 * 4 * 5 * 9 * 2),
        (keras.layers.Conv2D(6, 1, groups=2), (8, 8, 4), 8 * 8 * 6 * 2),
        (keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), (8, 8, 3), 8 * 8 * 3 * 2 * 9),
        (keras.layers.Dense(7), (10,), 70),
        (keras.layers.MaxPooling2D(), (8, 8, 3), 0),
    ],
)
def test_multiply_adds_of_a_layer(layer: keras.layers.Layer, shape: tuple[int, ...], work: int) -> None:
    crops = keras.Input(shape)
    assert multiply_adds(keras.Model(crops, layer(crops))) == work


def large() -> list[Any]:
    """The transfer networks, half a minute to minutes each on TensorFlow; ``test_transfer`` trains and exports one."""
    return [pytest.param(name, marks=pytest.mark.long) for name in BACKBONES]


def small() -> list[Any]:
    """Those that train from scratch; the two with the most layers are of the blocks of "compact"."""
    marks = {"large": pytest.mark.long, "teacher": pytest.mark.long, "nano": pytest.mark.backend}
    return [pytest.param(name, marks=marks.get(name, ())) for name in COSTS]


@pytest.mark.parametrize("name", large())
def test_a_large_network_learns_and_its_exported_graph_agrees(name: str) -> None:
    """In the order of axes that mien takes on this backend; the small ones show the other."""
    prepare_backend()
    learns_and_agrees(name)


@pytest.mark.parametrize("name", small())
def test_a_network_learns_and_its_exported_graph_agrees(name: str, data_format: str) -> None:
    learns_and_agrees(name)


def learns_and_agrees(name: str) -> None:
    """One step reaches every weight; the graph's outputs are in the order of the heads' names."""
    model = build(name, NetworkShape(24, 1, HEADS))
    turns = np.arange(16) % 7
    crops = stripes(turns, 24, 1, seed=0)
    before = [np.array(weight) for weight in model.trainable_variables]
    model.compile(
        keras.optimizers.Adam(1e-3), {head: keras.losses.CategoricalCrossentropy(from_logits=True) for head, _ in HEADS}
    )
    loss = model.train_on_batch(crops, {head: one_hot(turns, labels) for head, labels in HEADS})
    assert np.isfinite(loss).all()
    for weight, old in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(np.array(weight), old), f"{weight.path} was not reached"
    expected = predict_logits(model, crops)
    session = onnxruntime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    for head, exported in zip(sorted(expected), session.run(None, {session.get_inputs()[0].name: crops}), strict=True):
        # fresh networks without normalisation give logits of any size
        np.testing.assert_allclose(exported, expected[head], rtol=0, atol=TOLERANCE * max(1, np.abs(exported).max()))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.backend if name == "nano" else ())
        for name in (*COSTS, "mobilenetv3", "vgg16")
    ],
)
def test_weights_serve_either_order_of_axes(name: str, tmp_path: Path) -> None:
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels_first on a CPU; torch and JAX have: make test-torch, make long")
    crops, shape = stripes(np.arange(8), 24, 3, seed=0), NetworkShape(24, 3, HEADS)
    keras.config.set_image_data_format("channels_first")
    first = build(name, shape)
    first.save_weights(tmp_path / "of.weights.h5")
    keras.config.set_image_data_format("channels_last")
    last = build(name, shape)
    last.load_weights(tmp_path / "of.weights.h5")
    for head, logits in predict_logits(first, crops).items():
        np.testing.assert_allclose(predict_logits(last, crops)[head], logits, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("side", [1, 2, 4, 5, 6, 23])
def test_pooling_that_can_be_exported_is_that_of_keras(side: int, data_format: str) -> None:
    form = (side, side, 3) if data_format == "channels_last" else (3, side, side)
    x, maps = keras.Input(form), np.random.default_rng(0).normal(0, 1, (2, *form)).astype(np.float32)
    own = keras.Model(x, keras.layers.MaxPooling2D(3, 2)(padded(x)))
    theirs = keras.Model(x, keras.layers.MaxPooling2D(3, 2, padding="same")(x))
    np.testing.assert_array_equal(own.predict_on_batch(maps), theirs.predict_on_batch(maps))


def test_crops_that_are_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(UsageError, match="'deep-conv' can be built for; received 16x16"):
        build("deep-conv", NetworkShape(16, 1, HEADS))


def test_a_network_that_the_zoo_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="received 'huge'"):
        build("huge", SHAPES[0])


def norm_pair(axis: int, **options: bool) -> tuple[keras.Model, keras.Model]:
    """A 1x1 convolution and a normalisation, ours and Keras', from the same weights."""
    models = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        x = keras.Input((6, 5, 4))
        convolved = keras.layers.Dense(4, use_bias=False)(x)
        norm = kind(axis=axis, momentum=0.9, **options)
        models.append(keras.Model(x, norm(convolved)))
        models[-1].compile(keras.optimizers.SGD(0.5), "mse")
    models[1].set_weights(models[0].get_weights())
    return models[0], models[1]


@pytest.mark.backend
@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=["full", "no scale", "no centre"])
def test_batch_normalisation_is_that_of_keras(axis: int, options: dict[str, bool]) -> None:
    """After steps of SGD all weights are the same, so the gradients of input, scale and centre were."""
    random = np.random.default_rng(0)
    x = random.normal(2, 3, (8, 6, 5, 4)).astype(np.float32)
    y = random.normal(0, 1, x.shape).astype(np.float32)
    ours, theirs = norm_pair(axis, **options)
    outputs = [keras.ops.convert_to_numpy(model(x, training=True)) for model in (ours, theirs)]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    for _ in range(3):
        assert ours.train_on_batch(x, y) == pytest.approx(theirs.train_on_batch(x, y), rel=1e-5)
    for one, other in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours.predict_on_batch(x), theirs.predict_on_batch(x), atol=1e-5)


@pytest.mark.backend
def test_moving_statistics_are_those_of_keras_but_for_the_unbiased_variance() -> None:
    x = np.random.default_rng(0).normal(2, 3, (2, 6, 5, 4)).astype(np.float32)
    ours, theirs = norm_pair(axis=-1)
    ours(x, training=True)
    theirs(x, training=True)
    (mean, variance), (their_mean, their_variance) = (
        [np.array(value) for value in model.layers[-1].non_trainable_variables] for model in (ours, theirs)
    )
    count = 2 * 6 * 5
    ratio = count / (count - 1) if keras.backend.backend() != "jax" else 1.0
    np.testing.assert_allclose(mean, their_mean, rtol=1e-5)
    np.testing.assert_allclose(variance - 0.9, ratio * (their_variance - 0.9), rtol=1e-4)


@pytest.mark.backend
def test_a_frozen_normalisation_keeps_its_statistics() -> None:
    ours, _ = norm_pair(axis=-1)
    ours.layers[-1].trainable = False
    before = ours.get_weights()
    ours(np.random.default_rng(0).normal(2, 3, (8, 6, 5, 4)).astype(np.float32), training=True)
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.backend
@pytest.mark.parametrize(("saved", "loaded"), [(0, 1), (1, 0)], ids=["ours to Keras", "Keras to ours"])
def test_saved_weights_serve_either_normalisation(saved: int, loaded: int, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(2, 3, (8, 6, 5, 4)).astype(np.float32)
    one, other = norm_pair(-1)[saved], norm_pair(-1)[loaded]
    one(x, training=True)
    one.save_weights(tmp_path / "of.weights.h5")
    other.load_weights(tmp_path / "of.weights.h5")
    np.testing.assert_allclose(other.predict_on_batch(x), one.predict_on_batch(x), atol=1e-5)


def test_a_flat_crop_becomes_zeros() -> None:
    crops = np.broadcast_to(np.array([0, 7, 255], np.uint8)[:, None, None, None], (3, 16, 16, 3))
    np.testing.assert_array_equal(np.array(Standardize()(crops)), 0)


@pytest.mark.backend
@pytest.mark.parametrize("channels", [1, 3])
def test_standardised_crops_forget_brightness_and_nearly_contrast(channels: int) -> None:
    crops = np.random.default_rng(0).integers(60, 120, (4, 16, 16, channels), dtype=np.uint8)
    out = np.array(Standardize()(crops))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    deviation = crops.std(axis=(1, 2, 3))
    np.testing.assert_allclose(out.std(axis=(1, 2, 3)), deviation / (deviation + 8), rtol=1e-4)
    np.testing.assert_allclose(np.array(Standardize()(crops + np.uint8(90))), out, atol=1e-5)


@pytest.mark.backend
def test_standardised_crops_are_float32_under_any_policy() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    crops = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8)
    assert np.array(Standardize()(crops)).dtype == np.float32
