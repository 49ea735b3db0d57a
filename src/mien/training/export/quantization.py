"""A model file with weights and activations of eight bits, written only where that costs little and brings much.

It is written as

    RUN/model.int8.onnx

Static, per channel, as QuantizeLinear and DequantizeLinear around each operator, with ranges seen on training face
crops. What stands before the first layer with weights stays float (face crops are standardised there), and so do the
logits. Weights take seven of their eight bits: on processors without VNNI, sums of two products of eight bits are cut
off at 16 bits without a word (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html). So the
answers are nearly the same on every machine.
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

LARGEST_FALL = 0.01
LEAST_GAIN = 1.3

TIMED = ((1, 200), (64, 20))
"""Face crops a call, and calls of each model, that the speed is measured with."""

WEIGHTED = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class Trial:
    """What int8 costs and brings.

    Attributes:
        fall: of macro-F1 on the validation split, as a share; of the label set (a head, or the answer) that loses most.
        labels: that label set.
        gains: how many times as fast as float32, by the number of face crops a call.
    """

    fall: float
    labels: str
    gains: Mapping[int, float]

    @property
    def passed(self) -> bool:
        """Whether macro-F1 falls by at most one point and every gain is at least 1.3."""
        return self.fall <= LARGEST_FALL and min(self.gains.values()) >= LEAST_GAIN

    def __str__(self) -> str:
        gains = ", ".join(f"{gain:.2f} times as fast at batch {batch}" for batch, gain in self.gains.items())
        return f"macro-F1 of {self.labels} {-100 * self.fall:+.2f} points, {gains}"


def speed_gains(model: bytes, quantized: bytes, crops: Crops) -> dict[int, float]:
    """How many times as fast the second model is on one thread, by the number of face crops a call.

    Calls take turns, so that what else the machine does slows both; the median of their ratios counts.

    Args:
        model: a checked model file.
        quantized: another, of the same face crops.
        crops: at least one.
    """
    sessions = [open_session(content, threads=1) for content in (model, quantized)]
    gains = {}
    for batch, calls in TIMED:
        given = np.resize(crops, (batch, *crops.shape[1:]))
        seconds = [[_seconds(session, given) for session in sessions] for _ in range(calls + 1)]
        ratios = [slow / quick for slow, quick in seconds[1:]]  # the first calls make room
        gains[batch] = float(np.median(ratios))
    return gains


def export_int8(
    model: bytes,
    training: Dataset,
    validation: Dataset,
    path: Path,
    measure: Callable[[bytes, bytes, Crops], Mapping[int, float]] = speed_gains,
) -> tuple[ModelCard, Trial]:
    """Writes the int8 form of a model file, if it passes its gate.

    Args:
        model: a checked float32 model file of mien's.
        training: of which some hundred face crops show the ranges of activations.
        validation: what temperatures, thresholds and scores are of, and the gate is judged by.
        path: the .onnx file, written whole; where the gate is not passed, one that lies there is removed.
        measure: gives the gains in speed of a model file over another, by the number of face crops a call.

    Returns:
        The card that the file carries, and how the trial went.

    Raises:
        TrainingError: macro-F1 falls by more than a point, or int8 is less than 1.3 times as fast.
        MissingExtraError: the onnx package is not installed.
    """
    float32 = Classifier(model)
    quantized = quantize(model, training.crops)
    int8 = Classifier(sealed(quantized, _named(float32.card)))
    # the card's own scores may be of another split than this one
    before, card = (calibrated(each.card, each.logits(validation.crops), validation) for each in (float32, int8))
    content = sealed(quantized, card)
    trial = Trial(*_fall(before, card), measure(model, content, validation.crops))
    if not trial.passed:
        path.unlink(missing_ok=True)
        raise TrainingError(
            f"expected int8 to lose at most {100 * LARGEST_FALL:g} point of macro-F1 and to be at least {LEAST_GAIN} "
            f"times as fast; received: {trial}. It is not written: use the float32 model"
        )
    write_bytes(path, content)
    return card, trial


def quantize(model: bytes, crops: Crops) -> bytes:
    """The graph of a model file in int8, without card.

    Args:
        model: a checked float32 model file.
        crops: uint8 (count, size, size, channels); up to 320 of them, drawn by chance, show the ranges.

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
        node.name = node.name or f"node-{number}"  # nodes are left out by name
    add_pre_process_metadata(graph)  # export has simplified it already
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            graph,
            path,
            _reader(graph.graph.input[0].name, crops),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=list(_kept_float(graph.graph)),
        )
        return path.read_bytes()


def _reader(name: str, crops: Crops) -> Any:
    """The face crops that show the ranges of activations, in batches under the graph's name for its input."""
    from onnxruntime.quantization import CalibrationDataReader

    chosen = np.random.default_rng(0).permutation(len(crops))[:CALIBRATION_CROPS]
    batches = (crops[chosen[at : at + CALIBRATION_BATCH]] for at in range(0, len(chosen), CALIBRATION_BATCH))

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not read by mypy here
        def get_next(self) -> dict[str, Crops] | None:
            batch = next(batches, None)
            return None if batch is None else {name: batch}

    return Reader()


def _kept_float(graph: Any) -> Iterator[str]:
    """Names of the nodes before the first one with weights, and of those that give the logits."""
    outputs = {value.name for value in graph.output}
    before = True
    for node in graph.node:
        before = before and node.op_type not in WEIGHTED
        if before or outputs.intersection(node.output):
            yield node.name


def _named(card: ModelCard) -> ModelCard:
    """The card of the model in int8; calibration and scores are still those of float32."""
    import onnxruntime

    made_with = f"{card.origin.made_with}; int8 by onnxruntime {onnxruntime.__version__}"
    return dataclasses.replace(
        card, name=f"{card.name}-int8", origin=dataclasses.replace(card.origin, made_with=made_with)
    )


def _fall(before: ModelCard, after: ModelCard) -> tuple[float, str]:
    """The largest fall of macro-F1 over the label sets, and the label set."""
    earlier, later = ({s.head: s.value for s in card.scores if s.metric == "macro_f1"} for card in (before, after))
    return max((earlier[labels] - later[labels], labels) for labels in later)


def _seconds(session: Any, crops: Crops) -> float:
    inputs = {value.name: crops for value in session.get_inputs()}
    started = time.perf_counter()
    session.run(None, inputs)
    return time.perf_counter() - started
