"""The classifier follows the model's card for any batch size and thread count, and loads no foreign file."""

from __future__ import annotations

import dataclasses
import math
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skimage.data import astronaut

from mien.classification.classifier import MAX_BATCH, Classifier, fuse, probabilities_of
from mien.classification.face_crop import crop_faces
from mien.emotions import FER2013, FERPLUS
from mien.errors import ImageError, ModelError
from mien.models.card import CARD_KEY, CropRule, FusedOutput, Head, ModelCard
from mien.models.onnx_file import SEAL_KEY, UNSEALED, seal
from mien.structures import Box, Face

CARD = ModelCard(
    name="tiny",
    size=8,
    channels=1,
    crop=CropRule(),
    heads=(
        Head("doors", ("open", "shut"), temperature=1.7),
        Head("gates", ("shut", "ajar", "open"), temperature=0.6, offsets=(0.4, -0.1, 0.2), scales=(1.2, 0.9, 0.5)),
    ),
    fused=FusedOutput(
        ("open", "shut"), (("doors", 0.25), ("gates", 0.75)), temperature=0.8, unsure_below=0.6, offsets=(0.3, -0.2)
    ),
)
LABEL_SETS = ["fused", "fer2013", "ferplus"]


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="onnx makes the models of these tests: pip install 'mien[train]'")


@pytest.fixture(scope="module")
def crops(classifier):
    """More face crops than go to the runtime at once: pieces of a photograph, faces and others."""
    dice = np.random.default_rng(5)
    corners = dice.uniform((0, 0, 30), (400, 400, 110), (MAX_BATCH + 12, 3))
    faces = [Face(Box(left, top, left + side, top + side)) for left, top, side in corners]
    card = classifier.card
    return crop_faces(astronaut(), faces, card.crop, card.size, card.channels)


def graph_of(onnx, *, size=8, kind="UINT8", batch="batch", widths=(2, 3), weight=0.01, logarithm=False, out="FLOAT"):
    """A linear network over all pixels of a face crop; by default just what ``CARD`` says."""
    make, types = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(1).normal(0, 1, (size * size, sum(widths))).astype(np.float32) * np.float32(weight)
    nodes = [make.make_node("Cast", ["crops"], ["pixels"], to=types.FLOAT)]
    if logarithm:  # 0 for a black pixel, minus infinity or NaN for any other
        nodes += [make.make_node("Sub", ["one", "pixels"], ["rest"]), make.make_node("Log", ["rest"], ["pixels2"])]
    nodes.append(make.make_node("Flatten", ["pixels2" if logarithm else "pixels"], ["flat"]))
    values = [onnx.numpy_helper.from_array(np.float32(1), "one")]
    for index, part in enumerate(np.split(weights, np.cumsum(widths)[:-1], axis=1)):
        values.append(onnx.numpy_helper.from_array(np.ascontiguousarray(part), f"w{index}"))
        nodes.append(make.make_node("MatMul", ["flat", f"w{index}"], [f"m{index}"]))
        nodes.append(make.make_node("Cast", [f"m{index}"], [f"y{index}"], to=getattr(types, out)))
    crops = make.make_tensor_value_info("crops", getattr(types, kind), [batch, size, size, 1])
    outputs = [make.make_tensor_value_info(f"y{index}", getattr(types, out), None) for index in range(len(widths))]
    return make.make_graph(nodes, "tiny", [crops], outputs, values)


def model_of(onnx, graph, properties):
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.helper.set_model_props(model, properties)
    return model.SerializeToString()


def sealed(onnx, card=CARD, **graph):
    return seal(model_of(onnx, graph_of(onnx, **graph), {CARD_KEY: card.to_json(), SEAL_KEY: UNSEALED}))


def random_crops(count, size=8, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), np.uint8)


def random_logits(count=20, seed=0):
    dice = np.random.default_rng(seed)
    return {head.name: dice.normal(0, 3, (count, len(head.labels))).astype(np.float32) for head in CARD.heads}


# -- what goes in


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.zeros((2, 47, 47, 1), np.uint8),
            r"expected face crops of \(48, 48, 1\).*received \(47, 47, 1\). Crop with",
        ),
        (
            np.zeros((2, 48, 48, 3), np.uint8),
            r"expected face crops of \(48, 48, 1\).*received \(48, 48, 3\). Crop with",
        ),
        (np.zeros((2, 48, 47, 1), np.uint8), r"uint8 \(count, size, size, 1 or 3\); received .*\(2, 48, 47, 1\)"),
        (np.zeros((2, 48, 48, 1), np.float32), r"uint8 .*; received an array of float32"),
        (np.zeros((2, 48, 48, 1), np.int64), r"uint8 .*; received an array of int64"),
        (np.zeros((48, 48, 1), np.uint8), r"uint8 .*; received .* shape \(48, 48, 1\)"),
        (np.zeros((2, 48, 48), np.uint8), r"uint8 .*; received .* shape \(2, 48, 48\)"),
        (np.zeros((2, 1, 48, 48), np.uint8), r"uint8 .*; received .* shape \(2, 1, 48, 48\)"),
        ([[[[0]]]], "received a list"),
        (None, "received None"),
    ],
)
def test_crops_of_another_shape_or_type_are_refused(classifier, wrong, message):
    with pytest.raises(ImageError, match=message):
        classifier.predict(wrong)


@pytest.mark.parametrize("labels", LABEL_SETS)
def test_no_crops_give_no_rows(classifier, labels):
    rows = classifier.predict(np.zeros((0, 48, 48, 1), np.uint8), labels)
    assert (rows.shape, rows.dtype) == ((0, len(classifier.card.output(labels).labels)), np.float32)


def test_crops_that_are_a_view_are_read_as_their_copy(classifier, crops):
    view = crops[::-3, ::-1, ::-1]
    assert np.array_equal(classifier.predict(view), classifier.predict(view.copy()))


# -- what comes out


def test_the_shipped_model_knows_the_label_sets_of_fer2013_and_ferplus(classifier):
    card = classifier.card
    assert (card.size, card.channels) == (48, 1)
    assert [card.output(labels).labels for labels in LABEL_SETS] == [FER2013, FER2013, FERPLUS]


@pytest.mark.parametrize("labels", LABEL_SETS)
def test_rows_are_distributions_in_the_order_of_the_crops(classifier, crops, labels):
    rows = classifier.predict(crops, labels)
    assert (rows.shape, rows.dtype) == ((len(crops), len(classifier.card.output(labels).labels)), np.float32)
    assert (rows >= 0).all()
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-6
    assert len(np.unique(rows, axis=0)) == len(crops)


@pytest.mark.parametrize("labels", ["nobody", "", "FUSED"])
def test_an_unknown_head_is_refused_with_the_choices(classifier, crops, labels):
    with pytest.raises(ModelError, match=r"\['fused', 'fer2013', 'ferplus'\].*received '" + labels):
        classifier.predict(crops[:1], labels)


def test_logits_come_by_head_uncalibrated(onnx):
    tiny, crops = Classifier(sealed(onnx)), random_crops(5)
    weights = np.random.default_rng(1).normal(0, 1, (64, 5)).astype(np.float32) * np.float32(0.01)
    expected = crops.reshape(5, 64).astype(np.float64) @ weights
    logits = tiny.logits(crops)
    assert list(logits) == ["doors", "gates"]
    assert np.hstack([logits["doors"], logits["gates"]]) == pytest.approx(expected, abs=1e-4)


def test_a_mirrored_card_averages_the_logits_of_both_mirror_images(onnx):
    crops = random_crops(5)
    plain, both = Classifier(sealed(onnx)), Classifier(sealed(onnx, dataclasses.replace(CARD, mirrored=True)))
    logits, turned = plain.logits(crops), plain.logits(crops[:, :, ::-1])
    mean = {head: (logits[head] + turned[head]) / 2 for head in logits}
    assert both.predict(crops, "doors") == pytest.approx(probabilities_of(CARD, mean, "doors"), abs=1e-6)
    assert both.predict(crops) == pytest.approx(both.predict(crops[:, :, ::-1]), abs=1e-6)
    assert both.logits(crops)["doors"] == pytest.approx(logits["doors"])
    assert np.abs(both.predict(crops, "doors") - plain.predict(crops, "doors")).max() > 1e-3


# -- one face crop's row does not hang on its company (reliability 13)


@pytest.mark.parametrize("labels", LABEL_SETS)
def test_alone_in_a_batch_and_permuted_give_the_same(classifier, crops, labels):
    batch = classifier.predict(crops, labels)
    order = np.random.default_rng(2).permutation(len(crops))
    assert np.abs(classifier.predict(crops[order], labels) - batch[order]).max() < 1e-5
    some = [0, 1, MAX_BATCH - 1, MAX_BATCH, len(crops) - 1]
    alone = np.concatenate([classifier.predict(crops[index : index + 1], labels) for index in some])
    assert np.abs(alone - batch[some]).max() < 1e-5


@pytest.mark.parametrize("threads", [None, *range(1, 9)])
def test_any_number_of_threads_gives_the_same(shipped_model, classifier, crops, threads):
    rows = Classifier(shipped_model, threads).predict(crops[:24])
    assert np.abs(rows - classifier.predict(crops[:24])).max() < 1e-5


def test_several_threads_share_a_classifier(classifier, crops):
    parts = [crops[start : start + 8] for start in range(0, 80, 8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(classifier.predict, parts))
    assert np.array_equal(np.concatenate(together), np.concatenate([classifier.predict(part) for part in parts]))


# -- fusion of several heads


def restated(card, logits, fused):
    """``fuse`` again, number by number."""
    rows = []
    for row in range(len(logits[card.heads[0].name])):
        logarithms = dict(zip(fused.labels, fused.offsets or [0.0] * len(fused.labels), strict=True))
        for name, weight in fused.weights:
            head = card.head(name)
            powers = {
                label: math.exp(float(value) / head.temperature)
                for label, value in zip(head.labels, logits[name][row], strict=True)
            }
            total = sum(powers[label] for label in fused.labels)
            for label in fused.labels:
                logarithms[label] += weight * math.log(powers[label] / total)
        powers = [math.exp(logarithms[label] / fused.temperature) for label in fused.labels]
        rows.append([power / sum(powers) for power in powers])
    return np.array(rows)


@pytest.mark.parametrize("seed", range(5))
def test_the_fused_output_is_the_weighted_geometric_mean_of_the_heads(seed):
    logits = random_logits(seed=seed)
    expected = restated(CARD, logits, CARD.fused)
    assert fuse(CARD, logits, CARD.fused) == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(probabilities_of(CARD, logits), fuse(CARD, logits, CARD.fused))


def test_the_shipped_fused_output_is_the_mean_of_the_shipped_heads(classifier, crops):
    logits, mirrored = (classifier.logits(some) for some in (crops[:30], crops[:30, :, ::-1]))
    logits = {head: (rows + mirrored[head]) / 2 for head, rows in logits.items()}
    assert classifier.predict(crops[:30]) == pytest.approx(
        restated(classifier.card, logits, classifier.card.fused), abs=1e-6
    )


def test_a_head_has_its_own_temperature_scales_and_offsets():
    logits, gates = random_logits(), CARD.heads[1]
    own = logits["gates"].astype(np.float64)
    powers = np.exp(((own - own.mean(axis=1, keepdims=True)) * gates.scales + gates.offsets) / 0.6)
    assert probabilities_of(CARD, logits, "gates") == pytest.approx(
        powers / powers.sum(axis=1, keepdims=True), abs=1e-6
    )


def test_the_fused_output_ignores_scales_and_offsets_of_its_heads():
    logits = random_logits()
    plain = dataclasses.replace(CARD, heads=(CARD.heads[0], dataclasses.replace(CARD.heads[1], offsets=(), scales=())))
    assert np.array_equal(probabilities_of(plain, logits), probabilities_of(CARD, logits))


@pytest.mark.parametrize(("weights", "head"), [((1.0, 0.0), "doors"), ((0.0, 1.0), "gates")])
def test_a_head_of_weight_zero_has_no_influence(weights, head):
    fused = FusedOutput(("open", "shut"), tuple(zip(("doors", "gates"), weights, strict=True)))
    logits = random_logits()
    other = {name: values if name == head else -values for name, values in logits.items()}
    assert np.array_equal(fuse(CARD, logits, fused), fuse(CARD, other, fused))
    assert not np.array_equal(fuse(CARD, logits, fused), fuse(CARD, {**logits, head: -logits[head]}, fused))


# -- what is no model of mien's


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"widths": (2, 4)}, r"finite float32 \(2, 3\) from the head 'gates'; received .* shape \(2, 4\)"),
        ({"widths": (3, 2)}, r"finite float32 \(2, 2\) from the head 'doors'; received .* shape \(2, 3\)"),
        ({"widths": (2,)}, "an output for each of the 2 heads in the model's card; received 1"),
        ({"widths": (2, 3, 1)}, "an output for each of the 2 heads in the model's card; received 3"),
        ({"size": 9}, r"a graph that takes an array of uint8 with shape \(2, 8, 8, 1\)"),
        ({"kind": "FLOAT"}, "a graph that takes an array of uint8"),
        ({"batch": 1}, "a graph that takes an array of uint8"),
        ({"out": "DOUBLE"}, "finite float32 .* received an array of float64"),
        ({"weight": math.nan}, "finite float32 .* or values not finite"),
        ({"weight": math.inf}, "finite float32 .* or values not finite"),
    ],
    ids=str,
)
def test_a_graph_that_contradicts_its_card_is_refused_on_loading(onnx, graph, message):
    with pytest.raises(ModelError, match=message):
        Classifier(sealed(onnx, **graph))


def test_a_graph_that_gives_nan_for_some_crops_is_refused_at_those(onnx):
    tiny, crops = Classifier(sealed(onnx, logarithm=True)), np.zeros((200, 8, 8, 1), np.uint8)
    assert tiny.predict(crops).shape == (200, 2)
    crops[170, 3, 3] = 2
    with pytest.raises(ModelError, match="values not finite"):
        tiny.predict(crops)


FOREIGN = {
    "nothing": (lambda onnx: b"", "empty file"),
    "a pickle": (lambda onnx: pickle.dumps({"weights": [1.0]}), "a Python pickle"),
    "a Keras file": (lambda onnx: b"PK\x03\x04" + bytes(100), "a zip archive"),
    "no seal": (
        lambda onnx: model_of(onnx, graph_of(onnx), {CARD_KEY: CARD.to_json()}),
        "without mien's card and seal",
    ),
    "a seal of zeros": (
        lambda onnx: model_of(onnx, graph_of(onnx), {CARD_KEY: CARD.to_json(), SEAL_KEY: UNSEALED}),
        "changed or damaged",
    ),
    "no card": (lambda onnx: seal(model_of(onnx, graph_of(onnx), {SEAL_KEY: UNSEALED})), "expected a model card"),
    "a card of something else": (
        lambda onnx: seal(model_of(onnx, graph_of(onnx), {CARD_KEY: "{}", SEAL_KEY: UNSEALED})),
        "expected a model card",
    ),
    "no graph": (
        lambda onnx: seal(b"\x08\x09" + SEAL_KEY.encode() + b"\x12\x40" + UNSEALED.encode()),
        "onnxruntime can't load",
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_model_is_refused(onnx, kind):
    make, message = FOREIGN[kind]
    with pytest.raises(ModelError, match=message):
        Classifier(make(onnx))


def test_weights_in_another_file_are_refused_even_under_a_seal(onnx, tmp_path):
    model = onnx.load_from_string(sealed(onnx))
    onnx.helper.set_model_props(model, {CARD_KEY: CARD.to_json(), SEAL_KEY: UNSEALED})
    file = tmp_path / "model.onnx"
    onnx.save(model, file, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(ModelError, match="points to data in other files"):
        Classifier(seal(file.read_bytes()))


def test_a_model_with_any_bit_flipped_cut_or_grown_is_refused(onnx):
    good, dice = sealed(onnx), random.Random(3)
    assert Classifier(good).card == CARD
    for _ in range(300):
        at = dice.randrange(len(good))
        flipped = good[:at] + bytes([good[at] ^ 1 << dice.randrange(8)]) + good[at + 1 :]
        for changed in (flipped, good[:at], good + dice.randbytes(1 + at % 7)):
            with pytest.raises(ModelError):
                Classifier(changed)


def test_the_shipped_model_with_a_bit_of_its_weights_flipped_is_refused(shipped_model):
    at = len(shipped_model) // 2
    with pytest.raises(ModelError, match="changed or damaged"):
        Classifier(shipped_model[:at] + bytes([shipped_model[at] ^ 1]) + shipped_model[at + 1 :])
