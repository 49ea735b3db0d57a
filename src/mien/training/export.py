"""From a taught network to the .onnx file that everything else uses: calibrated, proven equal, sealed.

It is written as

    RUN/model.onnx
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.classification import Classifier, read_logits
from mien.emotions import FER2013
from mien.errors import MissingExtraError, TrainingError
from mien.evaluation.calibration import fit_temperature, unsure_threshold
from mien.evaluation.judging import truth_under
from mien.evaluation.metrics import judge
from mien.files import write_bytes
from mien.model_card import ANSWER, CARD_KEY, SEAL_KEY, UNSEALED, Answer, CropRule, Head, ModelCard, Origin, Score, seal
from mien.probabilities import SMALLEST, softmax
from mien.training.fit import Logits, predict_logits

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.arrays import Chips
    from mien.datasets.dataset import Dataset, Truth
    from mien.training.recipe import Recipe

AGREEMENT = 1e-4
"""Largest difference between a logit of Keras and of the exported graph (reliability: Keras and ONNX agree)."""

EXPORTING = ("tensorflow", "torch")
"""The backends from which Keras exports ONNX (3.15)."""

SURE_ERROR = 0.10
"""The share of wrong answers among sure ones at which "unsure" begins, on the validation split."""

LICENCE = "MIT; see notes on the data"


def export(model: keras.Model, training: Dataset, validation: Dataset, recipe: Recipe, path: Path) -> ModelCard:
    """Writes the model file of a taught network.

    Args:
        model: a float32 network of the zoo with its weights.
        training: what it was taught, named in the card.
        validation: what temperatures and thresholds are fitted on, and what the card's scores are of.
        recipe: how it was taught.
        path: the .onnx file, written whole.

    Returns:
        The card that the file carries.

    Raises:
        TrainingError: the exported graph does not agree with Keras on every validation chip.
    """
    logits = predict_logits(model, validation.chips)
    card = calibrated_card(logits, training, validation, recipe)
    graph = to_onnx(model)
    content = sealed(graph, card)
    check_agreement(Classifier(content), validation.chips, logits)
    write_bytes(path, content)
    return card


def to_onnx(model: keras.Model) -> bytes:
    """The network as one ONNX file without card, its batch size free, constants folded, batch norm fused.

    Raises:
        TrainingError: Keras can't export from this backend.
        MissingExtraError: the exporter is not installed.
    """
    if keras.backend.backend() not in EXPORTING:
        raise TrainingError(
            f"expected the backend {' or '.join(EXPORTING)} for ONNX export; received {keras.backend.backend()}. "
            "Weights load in any: KERAS_BACKEND=tensorflow mien export RUN --data DATA"
        )
    model.predict_on_batch(np.zeros((1, *model.input_shape[1:]), np.uint8))  # export wants a network that was called
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracers of every backend warn of what they do by design
        raw = Path(folder) / "raw.onnx"
        try:
            model.export(raw, format="onnx", verbose=False)
        except ImportError as error:
            raise MissingExtraError("ONNX export", str(error.name or error), "train") from error
        return _simplified(raw, Path(folder) / "simple.onnx")


def _simplified(raw: Path, simple: Path) -> bytes:
    """The graph after ONNX Runtime's basic optimisations, which use standard operators only.

    It loads fifteen times as fast as the exporter's own (32 ms against 478 for ``compact``).
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simple)
    options.log_severity_level = 3
    try:
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds that share no base but this one
        raise TrainingError(f"the exported graph can't be run: export with float32 precision ({error})") from error
    graph = onnx.load(simple)
    used = {node.domain for node in graph.graph.node}
    kept = [entry for entry in graph.opset_import if entry.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    content: bytes = graph.SerializeToString()
    return content


def sealed(graph: bytes, card: ModelCard) -> bytes:
    """The model file: the graph with its card in the metadata, and the seal over all of it."""
    import onnx

    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def check_agreement(classifier: Classifier, chips: Chips, logits: Logits) -> None:
    """Nothing, where the exported graph gives Keras' logits within 1e-4 and the same best label on every chip.

    Raises:
        TrainingError: it does not.
    """
    exported = classifier.logits(chips)
    for head, expected in logits.items():
        worst = float(np.abs(exported[head] - expected).max())
        if not worst <= AGREEMENT or (exported[head].argmax(axis=1) != expected.argmax(axis=1)).any():
            raise TrainingError(
                f"expected the exported graph to agree with Keras to {AGREEMENT}; the head {head!r} "
                f"differs by {worst:.2g}. Export with float32 precision and the backend that taught the network"
            )


def calibrated_card(logits: Logits, training: Dataset, validation: Dataset, recipe: Recipe) -> ModelCard:
    """The card: temperatures and thresholds fitted on the validation split, and its scores there."""
    # a dict of outputs is flattened by key, in Keras and so in the graph
    heads = tuple(_head(truth, logits) for truth in sorted(validation.truths, key=lambda truth: truth.head))
    card = ModelCard(
        name=recipe.network,
        size=training.size,
        channels=training.channels,
        crop=CropRule(factor=recipe.crop_factor),
        heads=heads,
        answer=_uncalibrated_answer(training, recipe),
        origin=Origin(
            network=recipe.network,
            data=f"{training.name} sha256:{training.digest}, {len(training)} pictures",
            recipe=recipe.to_toml(),
            made_with=_versions(),
            licence=LICENCE,
            notes=NOTES.get(training.name, ""),
        ),
    )
    card = dataclasses.replace(card, answer=_answer(card, logits, validation))
    return dataclasses.replace(card, scores=tuple(_scores(card, logits, validation)))


NOTES = {
    "fer2013": (
        "FER2013 (Goodfellow et al. 2013) was gathered by web search for a research contest; FER+ votes "
        "(Barsoum et al. 2016) are MIT. The data names no ages or origins, so accuracy by group is unknown. "
        "An expression shown is not an inner state."
    )
}


def _head(truth: Truth, logits: Logits) -> Head:
    rows, answers = _judged(truth)
    own = logits[truth.head][rows]
    temperature = fit_temperature(own, answers)
    head = Head(truth.head, tuple(map(str, truth.labels)), temperature)
    return dataclasses.replace(head, unsure_below=unsure_threshold(softmax(own, temperature), answers, SURE_ERROR))


def _uncalibrated_answer(training: Dataset, recipe: Recipe) -> Answer:
    own = training.truths[0]
    votes = training.truths[1:]
    if not votes:
        return Answer(tuple(map(str, own.labels)), ((own.head, 1.0),))
    labels = tuple(str(label) for label in FER2013 if all(label in truth.labels for truth in training.truths))
    share = (1.0 - recipe.answer_own) / len(votes)
    return Answer(labels, ((own.head, recipe.answer_own), *((truth.head, share) for truth in votes)))


def _answer(card: ModelCard, logits: Logits, validation: Dataset) -> Answer:
    """The answer's temperature and threshold, by the rows whose truth is among its labels."""
    answers, rows = truth_under(card, validation, ANSWER)
    # the log of a blend is its logits: their temperature is the answer's
    blended = np.log(np.maximum(read_logits(card, _rows(logits, rows)), SMALLEST))
    warmed = dataclasses.replace(card.answer, temperature=fit_temperature(blended, answers))
    warmed_card = dataclasses.replace(card, answer=warmed)
    probabilities = read_logits(warmed_card, _rows(logits, rows))
    return dataclasses.replace(warmed, unsure_below=unsure_threshold(probabilities, answers, SURE_ERROR))


def _scores(card: ModelCard, logits: Logits, validation: Dataset) -> list[Score]:
    split = ", ".join(validation.split_names())
    scores = []
    for labels in (*(truth.head for truth in validation.truths), ANSWER):
        answers, rows = truth_under(card, validation, labels)
        scores += _figures(card, labels, split, read_logits(card, _rows(logits, rows), labels), answers)
    return scores


def _figures(
    card: ModelCard, head: str, split: str, probabilities: npt.NDArray[np.float32], answers: npt.NDArray[np.int64]
) -> list[Score]:
    metrics = judge(probabilities, answers, card.reading(head).labels)
    figures = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1, "ece": metrics.ece, "nll": metrics.nll}
    return [Score(head, split, name, round(float(value), 5), metrics.n) for name, value in figures.items()]


def _judged(truth: Truth) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.flatnonzero(truth.judged)
    return rows, truth.answers[rows]


def _rows(logits: Logits, rows: npt.NDArray[np.int64]) -> Logits:
    return {head: values[rows] for head, values in logits.items()}


def _versions() -> str:
    packages: dict[str, Any] = {"mien": version("mien"), "keras": keras.__version__, "onnx": version("onnx")}
    names = ", ".join(f"{name} {number}" for name, number in packages.items())
    return f"{names}, backend {keras.backend.backend()}, {dt.datetime.now(dt.UTC).date()}"
