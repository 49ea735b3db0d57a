"""Teachers that are asked while a network learns: models that read the very images that it learns from.

Soft labels of a file are of an image; these are of what augmentation made of it, so teacher and student see the same
(Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and consistent", arXiv:2106.05237). Needs no
Keras: teachers are model files and run on ONNX Runtime, whatever backend the student is taught on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.classifier import Classifier, probabilities_of
from mien.errors import TrainingError
from mien.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data.dataset import Dataset, Truth
    from mien.models.card import ModelCard
    from mien.structures import Crops, Probabilities
    from mien.training.config import TrainingConfig


class Teachers:
    """Models that a network learns from, together.

    Args:
        models: at least one; each with the size, the channels and every head of what is learnt, by the same labels.

    Attributes:
        share: how much they count of each row, 0 to 1; the rest is the data's own label's.
        origin: their files and SHA-256, for the run's facts.
    """

    def __init__(self, models: Sequence[Classifier], share: float, origin: str = "") -> None:
        self._models = tuple(models)
        self.share = share
        self.origin = origin

    def told(self, crops: Crops) -> dict[str, Probabilities]:
        """The mean of what the teachers say of face crops as they are, by head: float32 (count, labels), calibrated.

        Args:
            crops: uint8 (count, size, size, channels).
        """
        each = [_calibrated(model, crops) for model in self._models]
        return {head: np.mean([told[head] for told in each], axis=0, dtype=np.float32) for head in each[0]}


def teachers_for(config: TrainingConfig, training: Dataset, store: ModelStore | None = None) -> Teachers | None:
    """The teachers that a config names, or None.

    Args:
        config: names them.
        training: what the network learns from.
        store: where models are found by name.

    Raises:
        ModelError: there is no such model.
        TrainingError: one reads other face crops, or has not all heads of the data by the same labels.
    """
    names = config.teachers()
    if not names:
        return None
    store = store or ModelStore()
    contents = [store.load(name) for name in names]
    models = [Classifier(content) for content in contents]
    for name, model in zip(names, models, strict=True):
        _check(name, model.card, training)
    files = zip(names, contents, strict=True)
    origin = ", ".join(f"{Path(name).name} sha256:{hashlib.sha256(content).hexdigest()}" for name, content in files)
    return Teachers(models, config.distillation_weight, origin)


def _calibrated(model: Classifier, crops: Crops) -> dict[str, Probabilities]:
    logits = model.logits(crops)
    return {head.name: probabilities_of(model.card, logits, head.name) for head in model.card.heads}


def _check(name: str, card: ModelCard, training: Dataset) -> None:
    if (card.size, card.channels) != (training.size, training.channels):
        raise TrainingError(
            f"expected teachers of face crops of {training.size} px, {training.channels} channels; received {name}, "
            f"which reads {card.size} px, {card.channels} channels"
        )
    labels = {head.name: head.labels for head in card.heads}
    for truth in training.truths:
        if labels.get(truth.head) != _labels(truth):
            raise TrainingError(
                f"expected teachers with the head {truth.head!r} for {list(_labels(truth))}, in this order; received "
                f"{name}, which has {', '.join(f'{head!r} for {list(known)}' for head, known in labels.items())}. "
                "Choose another, or say --teacher none"
            )


def _labels(truth: Truth) -> tuple[str, ...]:
    return tuple(map(str, truth.labels))
