"""Targets of the face detector: what each grid cell should predict for the faces of an image.

Without a teacher, a face is assigned to the stride of its size, or to two strides near the border between sizes. There
the cells near its centre are positive; cells around them, and those at neighbouring strides, are ignored; all others
are negative.

With a teacher, the targets are the teacher's predictions for each cell, corrected by the labels: the best cell of a
face gets the score of its label; its box is the mean of label and teacher, whose errors are independent; its landmarks
are the label's, since the teacher was trained on few turned heads. A face that the teacher misses is assigned as
without one. The score of a detection that matches no label is limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from mien.detection.grid import MAX_LOG_SIZE, STRIDES, cell_corners, decode
from mien.structures import box_iou

if TYPE_CHECKING:
    from mien.data.scenes import BoxedFaces

SIZE_RANGES = ((0.0, 40.0), (28.0, 104.0), (76.0, np.inf))
"""Side of a face (square root of the box area) in pixels that the cells of each stride detect."""

SIZE_TOLERANCE = 1.35
"""Within this factor of a stride's size range, cells at the face are ignored instead of negative."""

MIN_FACE_PX = 6.0
"""Smallest side of a face that is trained on."""

CENTRE_RADIUS = 0.4
MAX_CENTRE_STRIDES = 1.5
"""Positive cells lie this close to the centre: in sides of the box, and at most in strides; the cell that contains the
centre is always positive."""

IGNORE_RADIUS = 0.5
"""Cells this close to the centre, in sides of the box, that are not positive are ignored."""

MIN_BOX_SCORE = 0.3
"""Score of the teacher from which its box and landmarks are targets too."""

MATCH_IOU = 0.5
"""IoU from which a detection of the teacher matches a label."""

MAX_UNMATCHED_SCORE, UNMATCHED_IOU = 0.2, 0.3
"""Upper limit for the score of a detection of the teacher that overlaps no label by this IoU."""

DETECTED_SCORE = 0.5
"""Score from which the teacher has detected a labelled face."""

MIN_MISSED_FACE_PX = 12.0
"""Smallest side of a face that the teacher missed and that is still trained on."""

SCORE, SCORE_LOSS_WEIGHT, BOX_LOSS_WEIGHT = 0, 1, 2
BOX, POINTS = slice(3, 7), slice(7, 17)
TARGET_COLUMNS = 17
"""Columns: score, its weight in the loss, that of box and landmarks, dx, dy, log width, log height, landmarks."""


def cell_targets(
    faces: BoxedFaces, side: int, distilled: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """The targets of all grid cells, stride by stride, row by row: float32 (cells, 17).

    Args:
        faces: the labelled faces, in pixels of the image.
        side: of the square image in pixels.
        distilled: the teacher's predictions, float32 (cells, 15), scores from 0 to 1; None without a teacher.
    """
    corners, strides = cell_corners(side, side)
    if distilled is None:
        return _assigned(faces, corners, strides)
    targets, missed = _distilled(faces, side, distilled)
    if missed:
        own = _assigned(faces.select(np.array(missed)), corners, strides, MIN_MISSED_FACE_PX)
        rows = ((own[:, BOX_LOSS_WEIGHT] > 0) | (own[:, SCORE_LOSS_WEIGHT] == 0)) & (targets[:, BOX_LOSS_WEIGHT] == 0)
        targets[rows] = own[rows]
    return targets


def _distilled(
    faces: BoxedFaces, side: int, distilled: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], list[int]]:
    """The targets from a teacher and from the labels it detects, and the indices of the labels it misses."""
    corners, strides = cell_corners(side, side)
    targets = np.zeros((len(distilled), TARGET_COLUMNS), np.float32)
    targets[:, SCORE] = distilled[:, 0]
    targets[:, SCORE_LOSS_WEIGHT] = 1.0
    targets[:, 3:] = distilled[:, 1:]
    candidates = np.flatnonzero(distilled[:, 0] >= MIN_BOX_SCORE)
    boxes = decode(distilled, side, side, MIN_BOX_SCORE).boxes
    shares = np.stack([np.zeros(len(candidates)), *(box_iou(box, boxes.T) for box in faces.boxes)], axis=1)[:, 1:]
    unmatched = candidates[shares.max(axis=1, initial=0.0) < UNMATCHED_IOU]
    targets[unmatched, SCORE] = np.minimum(targets[unmatched, SCORE], MAX_UNMATCHED_SCORE)
    missed = []
    for face in np.flatnonzero(faces.scores > 0).tolist():
        rows = candidates[(shares.argmax(axis=1) == face) & (shares[:, face] >= MATCH_IOU)]
        best = distilled[rows, 0].max(initial=0.0)
        if best < DETECTED_SCORE:
            targets[rows, SCORE] = 0.0
            missed.append(face)
            continue
        targets[rows, SCORE] *= faces.scores[face] / best
        known = _encoded(faces, face, corners[rows], strides[rows])
        targets[rows, BOX] = (targets[rows, BOX] + known[:, :4]) / 2
        targets[rows, POINTS] = known[:, 4:]
    targets[:, BOX_LOSS_WEIGHT] = np.where(targets[:, SCORE] >= MIN_BOX_SCORE, targets[:, SCORE], 0.0)
    return targets, missed


def _assigned(
    faces: BoxedFaces, corners: npt.NDArray[np.float32], strides: npt.NDArray[np.float32], min_face: float = MIN_FACE_PX
) -> npt.NDArray[np.float32]:
    """The targets from labels alone."""
    targets = np.zeros((len(corners), TARGET_COLUMNS), np.float32)
    targets[:, SCORE_LOSS_WEIGHT] = 1.0
    places, sizes = (
        (corners + 0.5) * strides,
        np.repeat(SIZE_RANGES, [int((strides == s).sum()) for s in STRIDES], axis=0),
    )
    lengths = faces.boxes[:, 2:] - faces.boxes[:, :2]
    centres, sides = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2, np.sqrt(lengths.prod(axis=1))
    closest = np.full(len(places), np.inf)
    for face in np.argsort(-sides):  # small faces last, so that they win: they have the fewest cells
        apart = np.abs(places - centres[face])
        ignored = (apart < np.maximum(IGNORE_RADIUS * lengths[face], 0.5 * strides)).all(axis=1)
        near = (sizes[:, 0] / SIZE_TOLERANCE <= sides[face]) & (sides[face] < sizes[:, 1] * SIZE_TOLERANCE)
        targets[ignored & near & (targets[:, BOX_LOSS_WEIGHT] == 0), SCORE_LOSS_WEIGHT] = 0.0
        if sides[face] < min_face or faces.scores[face] <= 0:
            continue
        own = (sizes[:, 0] <= sides[face]) & (sides[face] < sizes[:, 1])
        reach = np.clip(CENTRE_RADIUS * lengths[face], 0.5 * strides, MAX_CENTRE_STRIDES * strides)
        distance = (apart / lengths[face]).max(axis=1)
        positive = own & (apart <= reach).all(axis=1) & (distance < closest)
        closest[positive] = distance[positive]
        targets[positive, SCORE] = targets[positive, BOX_LOSS_WEIGHT] = faces.scores[face]
        targets[positive, SCORE_LOSS_WEIGHT] = 1.0
        targets[positive, 3:] = _encoded(faces, face, corners[positive], strides[positive])
    return targets


def _encoded(
    faces: BoxedFaces, face: int, corners: npt.NDArray[np.float32], strides: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Box and landmarks of a face encoded for some cells: float32 (cells, 14)."""
    box = faces.boxes[face]
    offsets = (box[:2] + box[2:]) / 2 / strides - corners
    points = faces.points[face] / strides[:, None] - corners[:, None]
    return np.hstack([offsets, np.log((box[2:] - box[:2]) / strides), points.reshape(len(corners), 10)])


SCORE_WEIGHT, BOX_WEIGHT, LANDMARK_WEIGHT = 4.0, 3.0, 0.8
"""Weights of the three terms, so that they are of similar size. Unweighted, landmarks would be two thirds of the loss
and the score a seventh, although only the score decides whether a face is detected."""


class CellLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """Quality focal loss of the score, distance IoU of the box, smooth L1 of the landmarks.

    Sources: Li et al. 2020 (arXiv:2006.04388); Zheng et al. 2020 (arXiv:1911.08287); Girshick 2015 (arXiv:1504.08083).
    """

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Map targets (count, cells, 17) and predictions (count, cells, 15) to the loss of each image, (count,)."""
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
