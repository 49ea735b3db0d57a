"""Exports a trained classifier to RUN/model.onnx: calibrated, verified against Keras, and sealed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.classification.classifier import Classifier
from mien.classification.probabilities import softmax
from mien.errors import TrainingError
from mien.media.files import write_bytes
from mien.training.export.card import calibrated_card, sealed
from mien.training.export.conversion import to_onnx
from mien.training.run.directory import Source, is_run, read_run_info
from mien.training.tasks.classification.task import Logits, predict_logits

if TYPE_CHECKING:
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.models.card import ModelCard
    from mien.structures import Crops
    from mien.training.config import TrainingConfig

TOLERANCE = 1e-4
"""Largest difference between a probability of Keras and of the exported graph."""


def export_classifier(
    model: keras.Model, training: Dataset, validation: Dataset, config: TrainingConfig, path: Path
) -> ModelCard:
    """Write the model file of a trained classifier.

    Args:
        model: the trained network in float32.
        training: its training data, named in the card.
        validation: split for temperatures, thresholds and the scores in the card.
        config: the training config.
        path: of the .onnx file, written atomically.

    Returns:
        The model card in the file.

    Raises:
        TrainingError: the exported graph does not agree with Keras on every validation face crop.
        MissingExtraError: no backend with ONNX export, or not its exporter, is installed.
    """
    logits = predict_logits(model, validation.crops)
    card = calibrated_card(logits, training, validation, config, _backend_of(path.parent))
    card = with_origin(card, path.parent)
    content = sealed(to_onnx(model), card)
    check_agreement(Classifier(content), validation.crops, logits)
    write_bytes(path, content)
    return card


def _backend_of(run: Path) -> str:
    """The backend that a run started on; the current one without a run."""
    return read_run_info(run).backend if is_run(run) else keras.backend.backend()


def with_origin(card: ModelCard, run: Path) -> ModelCard:
    """The card with initial weights, soft labels and teachers of a run in its origin notes."""
    source = read_run_info(run).source if is_run(run) else Source()
    added = [f"Initial weights: {source.weights}."] if source.weights else []
    added += [f"Distilled from the soft labels {source.soft_labels}."] if source.soft_labels else []
    added += [f"Distilled online from {source.teacher}."] if source.teacher else []
    notes = " ".join([*([card.origin.notes] if card.origin.notes else []), *added])
    return dataclasses.replace(card, origin=dataclasses.replace(card.origin, notes=notes))


def check_agreement(classifier: Classifier, crops: Crops, logits: Logits) -> None:
    """Check that the exported graph has Keras' probabilities to 1e-4 and the same top label on every face crop.

    Raises:
        TrainingError: it does not.
    """
    exported = classifier.logits(crops)
    for head, expected in logits.items():
        # logits agree to six digits in float32, so probabilities are compared
        finite = bool(np.isfinite(exported[head]).all())
        worst = float(np.abs(softmax(exported[head]) - softmax(expected)).max()) if finite else float("inf")
        if worst > TOLERANCE or (exported[head].argmax(axis=1) != expected.argmax(axis=1)).any():
            raise TrainingError(
                f"expected the exported graph to agree with Keras to {TOLERANCE}; the head {head!r} "
                f"differs by {worst:.2g}. Export with float32 precision and the backend of the training run"
            )
