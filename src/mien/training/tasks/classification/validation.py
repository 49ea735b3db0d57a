"""Validation of a classifier: logits of each head, and their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.classification.probabilities import softmax
from mien.errors import DivergedError, TrainingError
from mien.evaluation.metrics import compute_metrics
from mien.training.engine.batch_norm import do_nothing
from mien.training.run.history import HeadScore

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mien.data.dataset import Dataset

EVALUATION_BATCH = 512

Logits = dict[str, "npt.NDArray[np.float32]"]


def predict_logits(model: keras.Model, crops: npt.NDArray[np.uint8], check: Callable[[], None] = do_nothing) -> Logits:
    """The logits of each head, float32 (count, labels), in batches.

    Args:
        model: a classifier of the architectures.
        crops: uint8 (count, size, size, channels).
        check: called before each batch; an exception it raises ends the prediction.
    """
    parts = []
    for at in range(0, len(crops), EVALUATION_BATCH):
        check()
        parts.append(model.predict_on_batch(_padded(crops[at : at + EVALUATION_BATCH], len(crops))))
    return {head: np.concatenate([part[head] for part in parts])[: len(crops)].astype(np.float32) for head in parts[0]}


def _padded(part: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """On JAX the last batch, padded to full length; a shorter one would be compiled again."""
    short = EVALUATION_BATCH - len(part)
    if keras.backend.backend() != "jax" or short == 0 or count < EVALUATION_BATCH:
        return part
    return np.concatenate([part, np.zeros((short, *part.shape[1:]), np.uint8)])


def evaluate_heads(logits: Logits, data: Dataset) -> tuple[HeadScore, ...]:
    """The scores of each head on the rows that count for evaluation.

    Raises:
        TrainingError: a head has no such rows.
        DivergedError: the logits of a head are not finite.
    """
    scores = []
    for truth in data.truths:
        rows = np.flatnonzero(truth.evaluated)
        if len(rows) == 0:
            raise TrainingError(f"expected validation rows with a label of the head {truth.head!r}; there are none")
        if not np.isfinite(logits[truth.head]).all():
            raise DivergedError(
                f"expected finite logits of the head {truth.head!r}; received others: the weights have diverged, "
                "so lower the learning rate, or use float32 precision"
            )
        metrics = compute_metrics(softmax(logits[truth.head][rows]), truth.class_ids[rows], truth.labels)
        scores.append(HeadScore(truth.head, metrics.accuracy, metrics.macro_f1, metrics.nll))
    return tuple(scores)
