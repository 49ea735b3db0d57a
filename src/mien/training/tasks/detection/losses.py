"""What a detector's cells are scored by while they learn: certainty, box and landmarks in one loss."""

from __future__ import annotations

import keras
from keras import ops

from mien.detection.grid import MAX_LOG_SIZE
from mien.training.tasks.detection.targets import BOX, COUNTED, LEARNT, POINTS, SCORE

SCORES, BOXES, LANDMARKS = 4.0, 3.0, 0.8
"""How much each part counts. Unweighted, landmarks would be two thirds of the loss and the score, by which faces are
found at all, a seventh; so they are of a size."""


class CellLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Quality focal loss of the score, distance IoU of the box, smooth L1 of the landmarks.

    Sources: Li et al. 2020 (arXiv:2006.04388); Zheng et al. 2020 (arXiv:1911.08287); Girshick 2015 (arXiv:1504.08083).
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Targets (count, cells, 17) and cells (count, cells, 15) to the loss of each image, (count,)."""
        y_pred = ops.cast(y_pred, "float32")
        learnt = y_true[..., LEARNT]
        faces = ops.maximum(ops.mean(ops.sum(learnt, axis=1)), 1.0)
        score = ops.sum(_score_loss(y_true[..., SCORE], y_pred[..., 0]) * y_true[..., COUNTED], axis=1)
        box = ops.sum(_box_loss(y_true[..., BOX], y_pred[..., 1:5]) * learnt, axis=1)
        points = ops.sum(_point_loss(y_true, y_pred) * learnt, axis=1)
        return (SCORES * score + BOXES * box + LANDMARKS * points) / faces


def _score_loss(wanted: keras.KerasTensor, logit: keras.KerasTensor) -> keras.KerasTensor:
    away = ops.abs(ops.sigmoid(logit) - wanted)
    # softplus(x) - wanted x is the cross-entropy of sigmoid(x)
    return ops.square(away) * (ops.softplus(logit) - wanted * logit)


def _box_loss(wanted: keras.KerasTensor, found: keras.KerasTensor) -> keras.KerasTensor:
    sizes, own = ops.exp(wanted[..., 2:]), ops.exp(ops.minimum(found[..., 2:], MAX_LOG_SIZE))
    low, high = wanted[..., :2] - sizes / 2, wanted[..., :2] + sizes / 2
    own_low, own_high = found[..., :2] - own / 2, found[..., :2] + own / 2
    shared = ops.prod(ops.relu(ops.minimum(high, own_high) - ops.maximum(low, own_low)), axis=-1)
    union = ops.prod(sizes, axis=-1) + ops.prod(own, axis=-1) - shared
    around = ops.maximum(high, own_high) - ops.minimum(low, own_low)
    apart = ops.sum(ops.square(wanted[..., :2] - found[..., :2]), axis=-1) / ops.sum(ops.square(around), axis=-1)
    return 1.0 - shared / (union + 1e-6) + apart


def _point_loss(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Smooth L1 of the ten coordinates, in twentieths of the box's side, summed over the points."""
    side = ops.exp(ops.mean(y_true[..., BOX][..., 2:], axis=-1, keepdims=True))
    away = ops.abs(y_true[..., POINTS] - y_pred[..., 5:15]) / side * 20.0
    return ops.mean(ops.where(away < 1.0, 0.5 * ops.square(away), away - 0.5), axis=-1)


def found_share(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """The share of cells with a sure face whose score is over a half, for each image."""
    sure = ops.cast(y_true[..., SCORE] >= 0.7, "float32")
    right = sure * ops.cast(y_pred[..., 0] > 0.0, "float32")
    return (ops.sum(right, axis=1) + 1e-6) / (ops.sum(sure, axis=1) + 1e-6)
