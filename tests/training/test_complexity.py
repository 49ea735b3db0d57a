from __future__ import annotations

import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from keras import layers

from mien.errors import UsageError
from mien.training.architectures import NetworkShape, build
from mien.training.architectures.complexity import multiply_adds, summary, summary_of

pytestmark = pytest.mark.train

SHAPE = NetworkShape(48, 1, (("labels", 7),))


@pytest.fixture(autouse=True)
def channels_last():
    """The order of axes that the shapes below are written in; the settings are put back after each test."""
    keras.config.set_image_data_format("channels_last")


def around(*inside, shape):
    crops = keras.Input(shape)
    x = crops
    for layer in inside:
        x = layer(x)
    return keras.Model(crops, x, name="around")


@pytest.mark.parametrize(
    ("layer", "shape", "work"),
    [
        (layers.SeparableConv2D(5, 3, padding="same"), (8, 8, 2), 8 * 8 * 2 * 9 + 8 * 8 * 2 * 5),
        (layers.SeparableConv2D(5, 3, strides=2, depth_multiplier=2), (9, 9, 2), 4 * 4 * 4 * 9 + 4 * 4 * 4 * 5),
        (layers.Conv2DTranspose(4, 3, strides=2, padding="same"), (5, 5, 3), 5 * 5 * 3 * 9 * 4),
        (layers.DepthwiseConv2D(3, strides=2, padding="same"), (8, 8, 3), 4 * 4 * 3 * 9),
        (layers.Conv2D(5, (1, 7), padding="same"), (8, 8, 2), 8 * 8 * 5 * 7 * 2),
        (layers.Dense(4), (6, 10), 6 * 10 * 4),
        (layers.BatchNormalization(), (8, 8, 3), 0),
    ],
    ids=lambda value: value.name if isinstance(value, layers.Layer) else "",
)
def test_multiply_adds_of_a_layer(layer, shape, work):
    assert multiply_adds(around(layer, shape=shape)) == work


def test_the_layers_of_a_network_with_their_shapes_and_costs():
    described = summary_of("two-conv", SHAPE)
    assert [(layer.kind, layer.output, layer.parameters, layer.multiply_adds) for layer in described.layers] == [
        ("InputLayer", (48, 48, 1), 0, 0),
        ("Standardize", (48, 48, 1), 0, 0),
        ("Conv2D", (48, 48, 32), 320, 48 * 48 * 32 * 9),
        ("MaxPooling2D", (24, 24, 32), 0, 0),
        ("Conv2D", (24, 24, 64), 18_496, 24 * 24 * 64 * 9 * 32),
        ("MaxPooling2D", (12, 12, 64), 0, 0),
        ("Flatten", (9216,), 0, 0),
        ("Dense", (128,), 9217 * 128, 9216 * 128),
        ("Dropout", (128,), 0, 0),
        ("Dense", (7,), 129 * 7, 128 * 7),
    ]
    assert (described.name, described.trainable, described.layers[-1].name) == ("two-conv", 1_199_495, "labels")


def test_shapes_are_height_width_channels_whatever_the_order_that_training_uses():
    here = summary_of("nano", SHAPE)
    keras.config.set_image_data_format("channels_first")
    there = summary_of("nano", SHAPE)
    assert [layer.output for layer in there.layers] == [layer.output for layer in here.layers]
    assert keras.config.image_data_format() == "channels_first"


@pytest.mark.parametrize("name", ["nano", "mini-xception"])
def test_a_summary_agrees_with_the_network(name):
    model = build(name, SHAPE)
    described = summary(model)
    assert [layer.name for layer in described.layers] == [layer.name for layer in model.layers]
    assert (described.parameters, described.multiply_adds) == (model.count_params(), multiply_adds(model))
    moving = sum(2 * layer.gamma.shape[0] for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    assert described.parameters - described.trainable == moving


def nested():
    """A frozen network in a network in a network."""
    base = around(layers.Conv2D(4, 3, name="deep"), layers.BatchNormalization(), shape=(10, 10, 3))
    base.trainable = False
    middle = keras.Sequential([keras.Input((10, 10, 3)), base, layers.Flatten()], name="middle")
    return around(layers.Rescaling(2.0), middle, layers.Dense(5, name="top"), shape=(10, 10, 3))


def test_a_network_inside_is_one_row_unless_it_is_expanded():
    folded, expanded = summary(nested()), summary(nested(), expand=True)
    assert [(layer.kind, layer.depth) for layer in folded.layers] == [
        ("InputLayer", 0),
        ("Rescaling", 0),
        ("Sequential", 0),
        ("Dense", 0),
    ]
    assert folded.layers[2].output == (8 * 8 * 4,)
    assert [layer.kind for layer in expanded.layers if layer.depth == 1] == ["Functional", "Flatten"]
    assert [layer.kind for layer in expanded.layers if layer.depth == 2] == [
        "InputLayer",
        "Conv2D",
        "BatchNormalization",
    ]
    convolved, dense = 8 * 8 * 4 * 27, 256 * 5
    for one in (folded, expanded):
        assert one.parameters == 4 * 28 + 16 + 257 * 5
        assert one.trainable == 257 * 5
        assert one.multiply_adds == convolved + dense == multiply_adds(nested())


def test_a_network_for_any_size_has_no_count():
    with pytest.raises(UsageError, match="built for one crop size"):
        multiply_adds(around(layers.Conv2D(4, 3), shape=(None, None, 3)))
