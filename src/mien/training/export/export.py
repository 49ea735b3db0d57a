"""From a taught network to the .onnx file that everything else uses: calibrated, proven equal, sealed.

It is written as

    RUN/model.onnx
"""

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
from mien.training.tasks.classification.validation import Logits, predict_logits

if TYPE_CHECKING:
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.models.card import ModelCard
    from mien.structures import Crops
    from mien.training.config import TrainingConfig

AGREEMENT = 1e-4
"""Largest difference between a probability of Keras and of the exported graph."""


def export(model: keras.Model, training: Dataset, validation: Dataset, config: TrainingConfig, path: Path) -> ModelCard:
    """Writes the model file of a taught network.

    Args:
        model: a float32 network of the architectures with its weights.
        training: what it was taught, named in the card.
        validation: what temperatures and thresholds are fitted on, and what the card's scores are of.
        config: how it was taught.
        path: the .onnx file, written whole.

    Returns:
        The card that the file carries.

    Raises:
        TrainingError: the exported graph does not agree with Keras on every validation face crop.
        MissingExtraError: no backend that exports, or not its exporter, is installed.
    """
    logits = predict_logits(model, validation.crops)
    card = calibrated_card(logits, training, validation, config, _trained_on(path.parent))
    card = with_start(card, path.parent)
    content = sealed(to_onnx(model), card)
    check_agreement(Classifier(content), validation.crops, logits)
    write_bytes(path, content)
    return card


def _trained_on(run: Path) -> str:
    """The backend that a run began on; this one where there is no run."""
    return read_run_info(run).backend if is_run(run) else keras.backend.backend()


def with_start(card: ModelCard, run: Path) -> ModelCard:
    """The card with what a run began with, and what it learnt from beside the data's labels, in its origin."""
    source = read_run_info(run).source if is_run(run) else Source()
    told = [f"Began with the weights {source.weights}."] if source.weights else []
    told += [f"Learnt from the soft labels {source.soft_labels}, too."] if source.soft_labels else []
    told += [f"Learnt from what these say of the same images, too: {source.teacher}."] if source.teacher else []
    notes = " ".join([*([card.origin.notes] if card.origin.notes else []), *told])
    return dataclasses.replace(card, origin=dataclasses.replace(card.origin, notes=notes))


def check_agreement(classifier: Classifier, crops: Crops, logits: Logits) -> None:
    """Checks that the exported graph gives Keras' probabilities to 1e-4 and the same best label on every face crop.

    Raises:
        TrainingError: it does not.
    """
    exported = classifier.logits(crops)
    for head, expected in logits.items():
        # of logits float32 keeps six digits, so how near they come depends on how large they are
        finite = bool(np.isfinite(exported[head]).all())
        worst = float(np.abs(softmax(exported[head]) - softmax(expected)).max()) if finite else float("inf")
        if worst > AGREEMENT or (exported[head].argmax(axis=1) != expected.argmax(axis=1)).any():
            raise TrainingError(
                f"expected the exported graph to agree with Keras to {AGREEMENT}; the head {head!r} "
                f"differs by {worst:.2g}. Export with float32 precision and the backend that taught the network"
            )
