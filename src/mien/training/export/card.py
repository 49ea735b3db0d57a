"""The model card of a trained classifier: calibration and scores on the validation split, and sealing."""

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

MAX_CONFIDENT_ERROR = 0.10
"""Error rate of confident predictions on the validation split that sets the threshold for "unsure"."""


def calibrated_card(
    logits: Logits, training: Dataset, validation: Dataset, config: TrainingConfig, backend: str
) -> ModelCard:
    """Build the card: temperatures and thresholds fitted on the validation split, with its scores.

    Args:
        logits: of the validation face crops by head, float32 (count, labels).
        training: the training data, named in the card.
        validation: with targets for each head.
        config: the training config.
        backend: the Keras backend of the run.
    """
    # Keras sorts a dict of outputs by key, and so does the graph
    heads = tuple(Head(truth.head, tuple(map(str, truth.labels))) for truth in sorted(validation.truths, key=_name))
    card = ModelCard(
        name=config.network,
        size=training.size,
        channels=training.channels,
        crop=CropRule(factor=config.crop_factor),
        heads=heads,
        fused=_uncalibrated_fusion(training, config),
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
        card: with the same heads.
        logits: of the validation face crops by head, float32 (count, labels).
        validation: with targets for each head.
    """
    heads = tuple(_calibrated_head(head, logits, validation) for head in card.heads)
    card = dataclasses.replace(card, heads=heads)
    card = dataclasses.replace(card, fused=_calibrated_fusion(card, logits, validation))
    return dataclasses.replace(card, scores=tuple(_scores(card, logits, validation)))


NOTES = {
    "fer2013": (
        "FER2013 (Goodfellow et al. 2013) was collected by web search for a research contest; FER+ votes "
        "(Barsoum et al. 2016) are MIT. The data has no age or origin labels, so accuracy by group is unknown. "
        "A facial expression is not an inner state."
    )
}


def sealed(graph: bytes, card: ModelCard | DetectorCard) -> bytes:
    """The model file: the graph with its card in the metadata, and a seal over both."""
    import onnx

    model = onnx.load_from_string(graph)
    key = DETECTOR_KEY if isinstance(card, DetectorCard) else CARD_KEY
    onnx.helper.set_model_props(model, {key: card.to_json(), SEAL_KEY: UNSEALED})
    return seal(model.SerializeToString())


def _name(truth: Truth) -> str:
    return truth.head


def _calibrated_head(head: Head, logits: Logits, validation: Dataset) -> Head:
    rows, targets = _labelled_rows(validation.truth(head.name))
    own = logits[head.name][rows]
    temperature, offsets, scales = fit_calibration(own, targets)
    threshold = unsure_threshold(softmax(own, temperature, offsets, scales), targets, MAX_CONFIDENT_ERROR)
    return dataclasses.replace(head, temperature=temperature, offsets=offsets, scales=scales, unsure_below=threshold)


def _uncalibrated_fusion(training: Dataset, config: TrainingConfig) -> FusedOutput:
    own = training.truths[0]
    votes = training.truths[1:]
    if not votes:
        labels = tuple(map(str, own.labels))
        return FusedOutput(labels, ((own.head, 1.0),), offsets=prior_offsets(own, labels, config.prior_correction))
    labels = tuple(str(label) for label in FER2013 if all(label in truth.labels for truth in training.truths))
    share = (1.0 - config.own_head_weight) / len(votes)
    weights = ((own.head, config.own_head_weight), *((truth.head, share) for truth in votes))
    return FusedOutput(labels, weights, offsets=prior_offsets(votes[-1], labels, config.prior_correction))


def prior_offsets(truth: Truth, labels: Sequence[str], strength: float) -> tuple[float, ...]:
    """Logit offsets of prior correction: minus the log of each label's share in the training data; () at strength 0.

    Args:
        truth: of the training data, for the labels of the fused prediction.
        labels: of the fused prediction.
        strength: 0 for no correction, 1 for uniform priors.
    """
    if strength == 0:
        return ()
    targets = truth.class_ids[truth.evaluated]
    counts = np.array([(targets == list(map(str, truth.labels)).index(label)).sum() for label in labels])
    shares = np.maximum(counts, 1) / counts.sum()
    return tuple(float(-strength * log) for log in np.log(shares * len(labels)))


def _calibrated_fusion(card: ModelCard, logits: Logits, validation: Dataset) -> FusedOutput:
    """Temperature and threshold of the fused prediction, on the rows whose target is among its labels."""
    card = dataclasses.replace(card, fused=dataclasses.replace(card.fused, temperature=1.0))
    targets, rows = targets_for(card, validation, FUSED)
    # log-probabilities of the fused prediction serve as its logits
    blended = np.log(np.maximum(probabilities_of(card, _rows(logits, rows)), MIN_PROBABILITY))
    scaled = dataclasses.replace(card.fused, temperature=fit_temperature(blended, targets))
    scaled_card = dataclasses.replace(card, fused=scaled)
    probabilities = probabilities_of(scaled_card, _rows(logits, rows))
    return dataclasses.replace(scaled, unsure_below=unsure_threshold(probabilities, targets, MAX_CONFIDENT_ERROR))


def _scores(card: ModelCard, logits: Logits, validation: Dataset) -> list[Score]:
    split = ", ".join(validation.split_names())
    scores = []
    for head in (*(truth.head for truth in validation.truths), FUSED):
        targets, rows = targets_for(card, validation, head)
        scores += _head_scores(card, head, split, probabilities_of(card, _rows(logits, rows), head), targets)
    return scores


def _head_scores(
    card: ModelCard, head: str, split: str, probabilities: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]
) -> list[Score]:
    metrics = compute_metrics(probabilities, targets, card.output(head).labels)
    figures = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1, "ece": metrics.ece, "nll": metrics.nll}
    return [Score(head, split, name, round(float(value), 5), metrics.n) for name, value in figures.items()]


def _labelled_rows(truth: Truth) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.flatnonzero(truth.evaluated)
    return rows, truth.class_ids[rows]


def _rows(logits: Logits, rows: npt.NDArray[np.int64]) -> Logits:
    return {head: values[rows] for head, values in logits.items()}


def versions(backend: str) -> str:
    """Versions of mien, keras and onnx, the backend and the date (UTC)."""
    names = ", ".join(f"{package} {version(package)}" for package in ("mien", "keras", "onnx"))
    return f"{names}, backend {backend}, {dt.datetime.now(dt.UTC).date()}"
