"""What each cell of the detector should say of an image's faces.

Without a teacher a face belongs to the stride that its size asks for, to two near the border between sizes. There the
cells near its middle learn it; around them, and at strides next to its own, cells learn nothing; all others learn that
there is none.

With a teacher every cell learns what the teacher's says, of faces and of what looks like one, but where more is known:
a face's best cell should be as sure as its label; its box lies between the label's and the teacher's, which differ by
chance; its landmarks are the label's, since a teacher that hardly saw turned heads says upright ones; a face that the
teacher does not see here is learnt as without one; what it sees only here is doubted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.detection.grid import STRIDES, cell_corners, decode
from mien.structures import box_iou

if TYPE_CHECKING:
    from mien.data.scenes import BoxedFaces

SIZES = ((0.0, 40.0), (28.0, 104.0), (76.0, np.inf))
"""Side of a face (the root of its box's area), in pixels of the image, that the cells of each stride learn."""

NEAR = 1.35
"""Within this factor of a stride's sizes a face is not wrong there."""

TINY = 6.0
"""Pixels of the side under which nobody can tell a face."""

MIDDLE = 0.4
REACH = 1.5
"""Cells learn a face whose middle is this near: in sides of its box, at most in strides; and the cell that holds it."""

SPARED = 0.5
"""Cells this near, in sides of the box, that do not learn the face learn nothing."""

PLACED = 0.3
"""Of the teacher's cells with a score from here on the place is learnt too."""

SAME = 0.5
"""Intersection over union from which a cell of the teacher's means a face that is known."""

UNKNOWN, APART = 0.2, 0.3
"""The highest score where the teacher sees a face that is not known: of less than ``APART`` in common with any."""

SEEN = 0.5
"""The teacher sees a face if a cell says so with this score."""

TINY_UNSEEN = 12.0
"""Pixels of the side under which a face that the teacher does not see is left out."""

SCORE, COUNTED, LEARNT = 0, 1, 2
BOX, POINTS = slice(3, 7), slice(7, 17)
NUMBERS = 17
"""Columns: the score to learn, its weight, the weight of the box, then dx, dy, log width, log height and landmarks."""


def targets_of(
    faces: BoxedFaces, side: int, distilled: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """The targets of all cells, stride by stride, row by row: float32 (cells, 17).

    Args:
        faces: that are known.
        side: of the image in pixels.
        distilled: what a teacher says of the image's cells, float32 (cells, 15), scores from 0 to 1.
    """
    corners, strides = cell_corners(side, side)
    if distilled is None:
        return _alone(faces, corners, strides)
    targets, unseen = _distilled(faces, side, distilled)
    if unseen:
        own = _alone(faces.select(np.array(unseen)), corners, strides, TINY_UNSEEN)
        rows = ((own[:, LEARNT] > 0) | (own[:, COUNTED] == 0)) & (targets[:, LEARNT] == 0)
        targets[rows] = own[rows]
    return targets


def _distilled(
    faces: BoxedFaces, side: int, distilled: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], list[int]]:
    """The targets by a teacher and by the faces that it sees, and those that it does not see."""
    corners, strides = cell_corners(side, side)
    targets = np.zeros((len(distilled), NUMBERS), np.float32)
    targets[:, SCORE] = distilled[:, 0]
    targets[:, COUNTED] = 1.0
    targets[:, 3:] = distilled[:, 1:]
    said = np.flatnonzero(distilled[:, 0] >= PLACED)
    boxes = decode(distilled, side, side, PLACED).boxes
    shares = np.stack([np.zeros(len(said)), *(box_iou(box, boxes.T) for box in faces.boxes)], axis=1)[:, 1:]
    unknown = said[shares.max(axis=1, initial=0.0) < APART]
    targets[unknown, SCORE] = np.minimum(targets[unknown, SCORE], UNKNOWN)
    unseen = []
    for face in np.flatnonzero(faces.scores > 0).tolist():
        rows = said[(shares.argmax(axis=1) == face) & (shares[:, face] >= SAME)]
        best = distilled[rows, 0].max(initial=0.0)
        if best < SEEN:
            targets[rows, SCORE] = 0.0
            unseen.append(face)
            continue
        targets[rows, SCORE] *= faces.scores[face] / best
        known = _encoded(faces, face, corners[rows], strides[rows])
        targets[rows, BOX] = (targets[rows, BOX] + known[:, :4]) / 2
        targets[rows, POINTS] = known[:, 4:]
    targets[:, LEARNT] = np.where(targets[:, SCORE] >= PLACED, targets[:, SCORE], 0.0)
    return targets, unseen


def _alone(
    faces: BoxedFaces, corners: npt.NDArray[np.float32], strides: npt.NDArray[np.float32], tiny: float = TINY
) -> npt.NDArray[np.float32]:
    """The targets by what is known alone."""
    targets = np.zeros((len(corners), NUMBERS), np.float32)
    targets[:, COUNTED] = 1.0
    places, sizes = (corners + 0.5) * strides, np.repeat(SIZES, [int((strides == s).sum()) for s in STRIDES], axis=0)
    lengths = faces.boxes[:, 2:] - faces.boxes[:, :2]
    centres, sides = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2, np.sqrt(lengths.prod(axis=1))
    closest = np.full(len(places), np.inf)
    for face in np.argsort(-sides):  # small faces last: they have the fewest cells
        apart = np.abs(places - centres[face])
        spared = (apart < np.maximum(SPARED * lengths[face], 0.5 * strides)).all(axis=1)
        near = (sizes[:, 0] / NEAR <= sides[face]) & (sides[face] < sizes[:, 1] * NEAR)
        targets[spared & near & (targets[:, LEARNT] == 0), COUNTED] = 0.0
        if sides[face] < tiny or faces.scores[face] <= 0:
            continue
        own = (sizes[:, 0] <= sides[face]) & (sides[face] < sizes[:, 1])
        reach = np.clip(MIDDLE * lengths[face], 0.5 * strides, REACH * strides)
        distance = (apart / lengths[face]).max(axis=1)
        learnt = own & (apart <= reach).all(axis=1) & (distance < closest)
        closest[learnt] = distance[learnt]
        targets[learnt, SCORE] = targets[learnt, LEARNT] = faces.scores[face]
        targets[learnt, COUNTED] = 1.0
        targets[learnt, 3:] = _encoded(faces, face, corners[learnt], strides[learnt])
    return targets


def _encoded(
    faces: BoxedFaces, face: int, corners: npt.NDArray[np.float32], strides: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A face's box and landmarks as some cells have them, float32 (cells, 14)."""
    box = faces.boxes[face]
    offsets = (box[:2] + box[2:]) / 2 / strides - corners
    points = faces.points[face] / strides[:, None] - corners[:, None]
    return np.hstack([offsets, np.log((box[2:] - box[:2]) / strides), points.reshape(len(corners), 10)])
