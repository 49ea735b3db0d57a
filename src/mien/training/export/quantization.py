"""Static int8 quantization of a model file, RUN/model.int8.onnx, written only if it is fast and accurate enough.

Quantization is static and per channel, as QuantizeLinear and DequantizeLinear around each operator, with ranges
calibrated on training face crops. The layers before the first one with weights (standardisation) and the logits stay in
float. Weights use seven of their eight bits: on processors without VNNI, sums of two 8-bit products saturate silently
at 16 bits (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html). So predictions are nearly
the same on every machine.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.classification.classifier import Classifier
from mien.errors import MissingExtraError, TrainingError
from mien.media.files import write_bytes
from mien.models.onnx_file import open_session
from mien.training.export.card import calibrated, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mien.data.dataset import Dataset
    from mien.models.card import ModelCard
    from mien.structures import Crops

INT8 = "model.int8.onnx"

CALIBRATION_CROPS = 320
CALIBRATION_BATCH = 32

MAX_F1_DROP = 0.01
MIN_SPEEDUP = 1.3

TIMED_BATCHES = ((1, 200), (64, 20))
"""Batch sizes of the speed test, and calls of each model."""

OPERATORS_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class QuantizationResult:
    """Accuracy and speed of an int8 model relative to float32.

    Attributes:
        f1_drop: drop in macro F1 on the validation split, as a share, for the head (or the fused prediction) that loses
            most.
        head: that head.
        speedups: over float32, by batch size.
    """

    f1_drop: float
    head: str
    speedups: Mapping[int, float]

    @property
    def passed(self) -> bool:
        """Whether macro F1 drops by at most one point and every speedup is at least 1.3."""
        return self.f1_drop <= MAX_F1_DROP and min(self.speedups.values()) >= MIN_SPEEDUP

    def __str__(self) -> str:
        speedups = ", ".join(f"{speedup:.2f}x at batch {batch}" for batch, speedup in self.speedups.items())
        return f"macro F1 of {self.head} {-100 * self.f1_drop:+.2f} points, speedup {speedups}"


def measure_speedups(model: bytes, quantized: bytes, crops: Crops) -> dict[int, float]:
    """Speedup of the second model over the first on one thread, by batch size.

    Calls alternate, so that other load slows both models; the result is the median of the ratios.

    Args:
        model: a verified model file.
        quantized: another one with the same input.
        crops: uint8 (count, size, size, channels); at least one.
    """
    sessions = [open_session(content, threads=1) for content in (model, quantized)]
    speedups = {}
    for batch, calls in TIMED_BATCHES:
        inputs = np.resize(crops, (batch, *crops.shape[1:]))
        seconds = [[_seconds(session, inputs) for session in sessions] for _ in range(calls + 1)]
        ratios = [slow / quick for slow, quick in seconds[1:]]  # the first calls warm up
        speedups[batch] = float(np.median(ratios))
    return speedups


def export_int8(
    model: bytes,
    training: Dataset,
    validation: Dataset,
    path: Path,
    measure: Callable[[bytes, bytes, Crops], Mapping[int, float]] = measure_speedups,
) -> tuple[ModelCard, QuantizationResult]:
    """Quantize a model file to int8 and write it if it meets the accuracy and speed limits.

    Args:
        model: a verified float32 model file of mien.
        training: the training data; a few hundred random face crops calibrate the ranges of activations.
        validation: split for temperatures, thresholds, scores and the accuracy limit.
        path: of the .onnx file, written atomically; an existing one is removed if the limits are not met.
        measure: returns the speedups of the second model file over the first, by batch size.

    Returns:
        The model card in the file, and the measured result.

    Raises:
        TrainingError: macro F1 drops by more than a point, or int8 is less than 1.3 times as fast.
        MissingExtraError: the onnx package is not installed.
    """
    float32 = Classifier(model)
    quantized = quantize(model, training.crops)
    int8 = Classifier(sealed(quantized, _int8_card(float32.card)))
    # the scores in the card may come from another split
    before, card = (calibrated(each.card, each.logits(validation.crops), validation) for each in (float32, int8))
    content = sealed(quantized, card)
    result = QuantizationResult(*_f1_drop(before, card), measure(model, content, validation.crops))
    if not result.passed:
        path.unlink(missing_ok=True)
        raise TrainingError(
            f"expected int8 to lose at most {100 * MAX_F1_DROP:g} point of macro F1 and to be at least {MIN_SPEEDUP} "
            f"times as fast; received: {result}. No int8 file is written: use the float32 model"
        )
    write_bytes(path, content)
    return card, result


def quantize(model: bytes, crops: Crops) -> bytes:
    """Quantize the graph of a model file to int8, without card.

    Args:
        model: a verified float32 model file.
        crops: uint8 (count, size, size, channels); up to 320 random ones calibrate the ranges.

    Raises:
        MissingExtraError: the onnx package is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata
    except ImportError as error:
        raise MissingExtraError("int8", str(error.name or "onnx"), "train") from error
    graph = onnx.load_from_string(model)
    for number, node in enumerate(graph.graph.node):
        node.name = node.name or f"node-{number}"  # nodes are excluded by name
    add_pre_process_metadata(graph)  # export has already optimised it
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            graph,
            path,
            _calibration_reader(graph.graph.input[0].name, crops),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=list(_float_nodes(graph.graph)),
        )
        return path.read_bytes()


def _calibration_reader(name: str, crops: Crops) -> Any:
    """Feed the calibration face crops to the quantizer, in batches under the name of the graph's input."""
    from onnxruntime.quantization import CalibrationDataReader

    chosen = np.random.default_rng(0).permutation(len(crops))[:CALIBRATION_CROPS]
    batches = (crops[chosen[at : at + CALIBRATION_BATCH]] for at in range(0, len(chosen), CALIBRATION_BATCH))

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not read by mypy here
        def get_next(self) -> dict[str, Crops] | None:
            batch = next(batches, None)
            return None if batch is None else {name: batch}

    return Reader()


def _float_nodes(graph: Any) -> Iterator[str]:
    """Names of the nodes before the first one with weights, and of those that output the logits."""
    outputs = {value.name for value in graph.output}
    before = True
    for node in graph.node:
        before = before and node.op_type not in OPERATORS_WITH_WEIGHTS
        if before or outputs.intersection(node.output):
            yield node.name


def _int8_card(card: ModelCard) -> ModelCard:
    """The card of the int8 model; calibration and scores are still those of float32."""
    import onnxruntime

    made_with = f"{card.origin.made_with}; int8 by onnxruntime {onnxruntime.__version__}"
    return dataclasses.replace(
        card, name=f"{card.name}-int8", origin=dataclasses.replace(card.origin, made_with=made_with)
    )


def _f1_drop(before: ModelCard, after: ModelCard) -> tuple[float, str]:
    """The largest drop in macro F1 over all heads, and that head."""
    earlier, later = ({s.head: s.value for s in card.scores if s.metric == "macro_f1"} for card in (before, after))
    return max((earlier[head] - later[head], head) for head in later)


def _seconds(session: Any, crops: Crops) -> float:
    inputs = {value.name: crops for value in session.get_inputs()}
    started = time.perf_counter()
    session.run(None, inputs)
    return time.perf_counter() - started
