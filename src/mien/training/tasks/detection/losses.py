"""The loss of the face detector: score, box and landmarks of each grid cell."""

from __future__ import annotations

import keras
from keras import ops

from mien.detection.grid import MAX_LOG_SIZE
from mien.training.tasks.detection.targets import BOX, BOX_LOSS_WEIGHT, POINTS, SCORE, SCORE_LOSS_WEIGHT

SCORE_WEIGHT, BOX_WEIGHT, LANDMARK_WEIGHT = 4.0, 3.0, 0.8
"""Weights of the three terms, so that they are of similar size. Unweighted, landmarks would be two thirds of the loss
and the score a seventh, although only the score decides whether a face is detected."""


class CellLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Quality focal loss of the score, distance IoU of the box, smooth L1 of the landmarks.

    Sources: Li et al. 2020 (arXiv:2006.04388); Zheng et al. 2020 (arXiv:1911.08287); Girshick 2015 (arXiv:1504.08083).
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Maps targets (count, cells, 17) and predictions (count, cells, 15) to the loss of each image, (count,)."""
        y_pred = ops.cast(y_pred, "float32")
        weight = y_true[..., BOX_LOSS_WEIGHT]
        faces = ops.maximum(ops.mean(ops.sum(weight, axis=1)), 1.0)
        score = ops.sum(_score_loss(y_true[..., SCORE], y_pred[..., 0]) * y_true[..., SCORE_LOSS_WEIGHT], axis=1)
        box = ops.sum(_box_loss(y_true[..., BOX], y_pred[..., 1:5]) * weight, axis=1)
        points = ops.sum(_point_loss(y_true, y_pred) * weight, axis=1)
        return (SCORE_WEIGHT * score + BOX_WEIGHT * box + LANDMARK_WEIGHT * points) / faces


def _score_loss(target: keras.KerasTensor, logit: keras.KerasTensor) -> keras.KerasTensor:
    error = ops.abs(ops.sigmoid(logit) - target)
    # softplus(x) - target x is the cross-entropy of sigmoid(x)
    return ops.square(error) * (ops.softplus(logit) - target * logit)


def _box_loss(target: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    sizes, own = ops.exp(target[..., 2:]), ops.exp(ops.minimum(predicted[..., 2:], MAX_LOG_SIZE))
    low, high = target[..., :2] - sizes / 2, target[..., :2] + sizes / 2
    own_low, own_high = predicted[..., :2] - own / 2, predicted[..., :2] + own / 2
    shared = ops.prod(ops.relu(ops.minimum(high, own_high) - ops.maximum(low, own_low)), axis=-1)
    union = ops.prod(sizes, axis=-1) + ops.prod(own, axis=-1) - shared
    enclosing = ops.maximum(high, own_high) - ops.minimum(low, own_low)
    distance = ops.sum(ops.square(target[..., :2] - predicted[..., :2]), axis=-1) / ops.sum(
        ops.square(enclosing), axis=-1
    )
    return 1.0 - shared / (union + 1e-6) + distance


def _point_loss(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Smooth L1 of the ten coordinates, in twentieths of the box side, averaged over the coordinates."""
    side = ops.exp(ops.mean(y_true[..., BOX][..., 2:], axis=-1, keepdims=True))
    error = ops.abs(y_true[..., POINTS] - y_pred[..., 5:15]) / side * 20.0
    return ops.mean(ops.where(error < 1.0, 0.5 * ops.square(error), error - 0.5), axis=-1)


def cell_recall(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Recall of grid cells: the share of cells with a certain face whose score exceeds 0.5, for each image."""
    certain = ops.cast(y_true[..., SCORE] >= 0.7, "float32")
    detected = certain * ops.cast(y_pred[..., 0] > 0.0, "float32")
    return (ops.sum(detected, axis=1) + 1e-6) / (ops.sum(certain, axis=1) + 1e-6)
