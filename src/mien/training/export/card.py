"""The card of a taught network: calibrated on the validation split, with its scores there."""

from __future__ import annotations

import dataclasses
import datetime as dt
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.classifier import probabilities_of
from mien.classification.probabilities import MIN_PROBABILITY, softmax
from mien.emotions import FER2013
from mien.evaluation.calibration import fit_calibration, fit_temperature, unsure_threshold
from mien.evaluation.evaluate import targets_for
from mien.evaluation.metrics import compute_metrics
from mien.models.card import (
    CARD_KEY,
    DETECTOR_KEY,
    FUSED,
    CropRule,
    DetectorCard,
    FusedOutput,
    Head,
    ModelCard,
    Origin,
    Score,
)
from mien.models.onnx_file import SEAL_KEY, UNSEALED, seal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mien.data.dataset import Dataset, Truth
    from mien.training.config import TrainingConfig

    Logits = Mapping[str, npt.NDArray[np.float32]]

SURE_ERROR = 0.10
"""The share of wrong answers among sure ones at which "unsure" begins, on the validation split."""


def calibrated_card(
    logits: Logits, training: Dataset, validation: Dataset, config: TrainingConfig, backend: str
) -> ModelCard:
    """The card: temperatures and thresholds fitted on the validation split, and its scores there.

    Args:
        logits: of the validation face crops, by head, float32 (count, labels).
        training: what the network was taught, named in the card.
        validation: with the truths of each head.
        config: how it was taught.
        backend: of Keras, with which it was taught.
    """
    # a dict of outputs is flattened by key, in Keras and so in the graph
    heads = tuple(Head(truth.head, tuple(map(str, truth.labels))) for truth in sorted(validation.truths, key=_name))
    card = ModelCard(
        name=config.network,
        size=training.size,
        channels=training.channels,
        crop=CropRule(factor=config.crop_factor),
        heads=heads,
        fused=_uncalibrated_answer(training, config),
        mirrored=config.augmentation.flip > 0,
        origin=Origin(
            network=config.network,
            data=f"{training.name} sha256:{training.digest}, {len(training)} images",
            config=config.without_folders().to_toml(),
            made_with=versions(backend),
            licence=config.licence,
            notes=NOTES.get(training.name, ""),
        ),
    )
    return calibrated(card, logits, validation)


def calibrated(card: ModelCard, logits: Logits, validation: Dataset) -> ModelCard:
    """The card with temperatures, thresholds and scores fitted anew on the validation split.

    Args:
        card: of the same heads.
        logits: of the validation face crops, by head, float32 (count, labels).
        validation: with the truths of each head.
    """
    heads = tuple(_calibrated_head(head, logits, validation) for head in card.heads)
    card = dataclasses.replace(card, heads=heads)
    card = dataclasses.replace(card, fused=_calibrated_answer(card, logits, validation))
    return dataclasses.replace(card, scores=tuple(_scores(card, logits, validation)))


NOTES = {
    "fer2013": (
        "FER2013 (Goodfellow et al. 2013) was gathered by web search for a research contest; FER+ votes "
        "(Barsoum et al. 2016) are MIT. The data names no ages or origins, so accuracy by group is unknown. "
        "An expression shown is not an inner state."
    )
}


def sealed(graph: bytes, card: ModelCard | DetectorCard) -> bytes:
    """The model file: the graph with its card in the metadata, and the seal over all of it."""
    import onnx

    model = onnx.load_from_string(graph)
    key = DETECTOR_KEY if isinstance(card, DetectorCard) else CARD_KEY
    onnx.helper.set_model_props(model, {key: card.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def _name(truth: Truth) -> str:
    return truth.head


def _calibrated_head(head: Head, logits: Logits, validation: Dataset) -> Head:
    rows, answers = _judged(validation.truth(head.name))
    own = logits[head.name][rows]
    temperature, offsets, scales = fit_calibration(own, answers)
    threshold = unsure_threshold(softmax(own, temperature, offsets, scales), answers, SURE_ERROR)
    return dataclasses.replace(head, temperature=temperature, offsets=offsets, scales=scales, unsure_below=threshold)


def _uncalibrated_answer(training: Dataset, config: TrainingConfig) -> FusedOutput:
    own = training.truths[0]
    votes = training.truths[1:]
    if not votes:
        labels = tuple(map(str, own.labels))
        return FusedOutput(labels, ((own.head, 1.0),), offsets=evening(own, labels, config.prior_correction))
    labels = tuple(str(label) for label in FER2013 if all(label in truth.labels for truth in training.truths))
    share = (1.0 - config.own_head_weight) / len(votes)
    weights = ((own.head, config.own_head_weight), *((truth.head, share) for truth in votes))
    return FusedOutput(labels, weights, offsets=evening(votes[-1], labels, config.prior_correction))


def evening(truth: Truth, labels: Sequence[str], part: float) -> tuple[float, ...]:
    """The offsets that take a part of the labels' shares in the data taught out of an answer; () for no part.

    Args:
        truth: of the data taught, by which the answer is judged.
        labels: of the answer.
        part: 0 none, 1 all.
    """
    if part == 0:
        return ()
    answers = truth.class_ids[truth.evaluated]
    counts = np.array([(answers == list(map(str, truth.labels)).index(label)).sum() for label in labels])
    shares = np.maximum(counts, 1) / counts.sum()
    return tuple(float(-part * log) for log in np.log(shares * len(labels)))


def _calibrated_answer(card: ModelCard, logits: Logits, validation: Dataset) -> FusedOutput:
    """The answer's temperature and threshold, by the rows whose truth is among its labels."""
    card = dataclasses.replace(card, fused=dataclasses.replace(card.fused, temperature=1.0))
    answers, rows = targets_for(card, validation, FUSED)
    # the log of a blend is its logits: their temperature is the answer's
    blended = np.log(np.maximum(probabilities_of(card, _rows(logits, rows)), MIN_PROBABILITY))
    warmed = dataclasses.replace(card.fused, temperature=fit_temperature(blended, answers))
    warmed_card = dataclasses.replace(card, fused=warmed)
    probabilities = probabilities_of(warmed_card, _rows(logits, rows))
    return dataclasses.replace(warmed, unsure_below=unsure_threshold(probabilities, answers, SURE_ERROR))


def _scores(card: ModelCard, logits: Logits, validation: Dataset) -> list[Score]:
    split = ", ".join(validation.split_names())
    scores = []
    for labels in (*(truth.head for truth in validation.truths), FUSED):
        answers, rows = targets_for(card, validation, labels)
        scores += _figures(card, labels, split, probabilities_of(card, _rows(logits, rows), labels), answers)
    return scores


def _figures(
    card: ModelCard, head: str, split: str, probabilities: npt.NDArray[np.float32], answers: npt.NDArray[np.int64]
) -> list[Score]:
    metrics = compute_metrics(probabilities, answers, card.output(head).labels)
    figures = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1, "ece": metrics.ece, "nll": metrics.nll}
    return [Score(head, split, name, round(float(value), 5), metrics.n) for name, value in figures.items()]


def _judged(truth: Truth) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.flatnonzero(truth.evaluated)
    return rows, truth.class_ids[rows]


def _rows(logits: Logits, rows: npt.NDArray[np.int64]) -> Logits:
    return {head: values[rows] for head, values in logits.items()}


def versions(backend: str) -> str:
    """What a model was made with, and when."""
    names = ", ".join(f"{package} {version(package)}" for package in ("mien", "keras", "onnx"))
    return f"{names}, backend {backend}, {dt.datetime.now(dt.UTC).date()}"
