from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")

import onnx
from skimage.data import astronaut
from tasks_drawn import one_hot

from mien.classification.classifier import Classifier, probabilities_of
from mien.data import load
from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, Truth
from mien.errors import ModelError, TrainingError
from mien.models.onnx_file import card_of
from mien.models.store import ModelStore
from mien.training.export.quantization import (
    INT8,
    TIMED_BATCHES,
    QuantizationResult,
    export_int8,
    measure_speedups,
    quantize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mien.models.card import ModelCard

pytestmark = pytest.mark.train


def windows(count: int, seed: int) -> np.ndarray:
    """Windows of a photo, uint8 (count, 48, 48, 1): they bring a network's every layer to life."""
    grey, random = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY), np.random.default_rng(seed)
    crops = []
    for _ in range(count):
        side = int(random.integers(48, 160))
        top, left = random.integers(0, 512 - side, 2)
        window = grey[top : top + side, left : left + side]
        crops.append(cv2.resize(window, (48, 48), interpolation=cv2.INTER_AREA))
    return np.array(crops)[..., None]


def labelled(classifier: Classifier, crops: np.ndarray, split: str) -> Dataset:
    """The face crops that the model has no doubt of, with the labels that it gives them."""
    logits = classifier.logits(crops)
    margins = [np.diff(np.sort(values, axis=1)[:, -2:]).min(axis=1) for values in logits.values()]
    sure = np.min(margins, axis=0) > 0.7
    ones = np.ones(sure.sum(), np.float32)
    heads = sorted(classifier.card.heads, key=lambda head: head.name)
    targets = {head.name: one_hot(logits[head.name][sure].argmax(axis=1), len(head.labels)) for head in heads}
    return Dataset(
        name="windows",
        crops=crops[sure],
        truths=tuple(Truth(head.name, head.labels, targets[head.name], ones, ones > 0) for head in heads),
        splits=np.full(sure.sum(), split),
        rows=np.flatnonzero(sure).astype(str),
        digest="d" * 64,
    )


@pytest.fixture(scope="module")
def training(classifier: Classifier) -> Dataset:
    return labelled(classifier, windows(160, seed=0), TRAINING)


@pytest.fixture(scope="module")
def validation(classifier: Classifier) -> Dataset:
    return labelled(classifier, windows(400, seed=1), PUBLIC_TEST)


@pytest.fixture(scope="module")
def quantized(shipped_model: bytes, training: Dataset) -> onnx.ModelProto:
    return onnx.load_from_string(quantize(shipped_model, training.crops))


def fast(_model: bytes, _quantized: bytes, _crops: np.ndarray) -> Mapping[int, float]:
    return {1: 1.3, 64: 2.0}


def slow(_model: bytes, _quantized: bytes, _crops: np.ndarray) -> Mapping[int, float]:
    return {1: 1.29, 64: 2.0}


@pytest.mark.parametrize(
    ("fall", "gains", "passed"),
    [
        (0.01, {1: 1.3, 64: 1.3}, True),
        (-0.02, {1: 2.0, 64: 3.0}, True),
        (0.0101, {1: 2.0, 64: 2.0}, False),
        (0.0, {1: 1.29, 64: 2.0}, False),
        (0.0, {1: 2.0, 64: 1.29}, False),
        (float("nan"), {1: 2.0, 64: 2.0}, False),
    ],
)
def test_the_gate(fall: float, gains: dict[int, float], passed: bool) -> None:
    assert QuantizationResult(fall, "fused", gains).passed is passed


def test_a_result_reads_in_points_and_speedups() -> None:
    text = str(QuantizationResult(0.0123, "fer2013", {1: 1.5, 64: 2.04}))
    assert text == "macro F1 of fer2013 -1.23 points, speedup 1.50x at batch 1, 2.04x at batch 64"


@pytest.fixture(scope="module")
def written(
    shipped_model: bytes, training: Dataset, validation: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ModelCard, QuantizationResult]:
    path = tmp_path_factory.mktemp("run") / INT8
    return path, *export_int8(shipped_model, training, validation, path, measure=fast)


def test_what_passes_is_written_and_used_as_any_model(
    written: tuple[Path, ModelCard, QuantizationResult], classifier: Classifier, validation: Dataset
) -> None:
    path, card, _ = written
    int8 = Classifier(ModelStore().load(path), threads=1)
    assert int8.card == card
    assert [file.name for file in path.parent.iterdir()] == [INT8]
    assert path.stat().st_size < 0.4 * 4_622_752
    # by one card: each has a calibration of its own, fitted on few images here
    rows, same = int8.logits(validation.crops), classifier.logits(validation.crops)
    received, expected = (probabilities_of(classifier.card, logits).argmax(axis=1) for logits in (rows, same))
    assert (received == expected).mean() > 0.97
    assert int8.predict(validation.crops).shape == (len(validation), 7)


def test_the_card_says_int8_and_is_calibrated_anew(
    written: tuple[Path, ModelCard, QuantizationResult], shipped_model: bytes, validation: Dataset
) -> None:
    _, card, result = written
    before = card_of(shipped_model)
    assert card.name == f"{before.name}-int8"
    assert "int8 by onnxruntime" in card.origin.made_with
    assert replace(card.origin, made_with="") == replace(before.origin, made_with="")
    assert (card.crop, card.fused.labels, card.fused.weights) == (
        before.crop,
        before.fused.labels,
        before.fused.weights,
    )
    assert [head.temperature for head in card.heads] != [head.temperature for head in before.heads]
    assert {(score.split, score.count) for score in card.scores if score.head == "fer2013"} == {
        (PUBLIC_TEST, len(validation))
    }
    assert abs(result.f1_drop) <= 0.01
    assert dict(result.speedups) == {1: 1.3, 64: 2.0}


def test_what_is_not_fast_enough_is_not_written(
    shipped_model: bytes, training: Dataset, validation: Dataset, tmp_path: Path
) -> None:
    (tmp_path / INT8).write_bytes(b"of an earlier export")
    with pytest.raises(TrainingError, match=r"at least 1\.3 times .* points, speedup 1\.29x at batch 1.*float32"):
        export_int8(shipped_model, training, validation, tmp_path / INT8, measure=slow)
    assert list(tmp_path.iterdir()) == []


def test_what_loses_too_much_is_not_written(
    shipped_model: bytes, training: Dataset, validation: Dataset, tmp_path: Path
) -> None:
    """Ranges seen on blank face crops cut off whatever a face brings."""
    blank = replace(training, crops=np.zeros_like(training.crops))
    with pytest.raises(TrainingError, match=r"at most 1 point of macro F1.*received: macro F1 of \w+ -\d\d\."):
        export_int8(shipped_model, blank, validation, tmp_path / INT8, measure=fast)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_model_is_refused(training: Dataset, validation: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        export_int8(b"PK\x03\x04 no model", training, validation, tmp_path / INT8)


def test_weights_are_of_seven_bits_and_scaled_by_channel(quantized: onnx.ModelProto) -> None:
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in quantized.graph.initializer}
    weights = {name: values for name, values in arrays.items() if values.dtype == np.int8 and values.ndim == 4}
    assert len(weights) == sum(node.op_type == "Conv" for node in quantized.graph.node)
    assert max(int(np.abs(values.astype(int)).max()) for values in weights.values()) == 64
    scales = {
        node.input[0]: arrays[node.input[1]] for node in quantized.graph.node if node.op_type == "DequantizeLinear"
    }
    assert all(scales[name].shape == (len(values),) for name, values in weights.items())


def test_crops_are_standardised_and_logits_given_in_float(quantized: onnx.ModelProto) -> None:
    kinds = [node.op_type for node in quantized.graph.node]
    front = kinds[: kinds.index("QuantizeLinear")]
    assert {"Cast", "Sqrt", "Div"} <= set(front)
    makers = {output: node.op_type for node in quantized.graph.node for output in node.output}
    assert {makers[value.name] for value in quantized.graph.output} == {"Gemm"}
    assert quantized.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_same_crops_give_the_same_file(shipped_model: bytes, training: Dataset) -> None:
    assert quantize(shipped_model, training.crops) == quantize(shipped_model, training.crops)


@pytest.mark.long
def test_speed_is_measured_one_crop_at_a_time_and_64(shipped_model: bytes) -> None:
    gains = measure_speedups(shipped_model, shipped_model, windows(3, seed=2))
    assert list(gains) == [batch for batch, _ in TIMED_BATCHES] == [1, 64]
    assert all(0.67 < gain < 1.5 for gain in gains.values())


@pytest.mark.shared
@pytest.mark.long
def test_the_shipped_model_passes_its_gate(shipped_model: bytes, shared: Path, tmp_path: Path) -> None:
    data = load(shared / "data" / "fer2013")
    _, result = export_int8(shipped_model, data.split(TRAINING), data.split(PUBLIC_TEST), tmp_path / INT8)
    assert result.passed
