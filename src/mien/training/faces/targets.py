"""What each cell of the detector should say of a picture's faces.

A face belongs to the stride that its size asks for, to two near the border between sizes. There the cells near its
middle learn it; around them, and at strides next to its own, cells learn nothing; all others learn that there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.detection.cells import STRIDES

if TYPE_CHECKING:
    from mien.datasets.scenes import BoxedFaces

SIZES = ((0.0, 40.0), (28.0, 104.0), (76.0, np.inf))
"""Side of a face (the root of its box's area), in pixels of the picture, that the cells of each stride learn."""

NEAR = 1.35
"""Within this factor of a stride's sizes a face is not wrong there."""

TINY = 6.0
"""Pixels of the side under which nobody can tell a face."""

MIDDLE = 0.4
REACH = 1.5
"""Cells learn a face whose middle is this near: in sides of its box, at most in strides; and the cell that holds it."""

SPARED = 0.5
"""Cells this near, in sides of the box, that do not learn the face learn nothing."""

SCORE, COUNTED, LEARNT = 0, 1, 2
BOX, POINTS = slice(3, 7), slice(7, 17)
NUMBERS = 17
"""Columns: the score to learn, its weight, the weight of the box, then dx, dy, log width, log height and landmarks."""


def cells_of(side: int) -> int:
    """How many cells a picture of this side has."""
    return sum((side // stride) ** 2 for stride in STRIDES)


def targets_of(faces: BoxedFaces, side: int) -> npt.NDArray[np.float32]:
    """The targets of all cells, stride by stride, row by row: float32 (cells, 17)."""
    return np.concatenate([_targets_at(faces, side, *at) for at in zip(STRIDES, SIZES, strict=True)])


def _targets_at(faces: BoxedFaces, side: int, stride: int, sizes: tuple[float, float]) -> npt.NDArray[np.float32]:
    count = side // stride
    targets = np.zeros((count * count, NUMBERS), np.float32)
    targets[:, COUNTED] = 1.0
    if not len(faces):
        return targets
    corners = np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2).astype(np.float32)
    places = (corners + 0.5) * stride
    lengths = faces.boxes[:, 2:] - faces.boxes[:, :2]
    centres, sides = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2, np.sqrt(lengths.prod(axis=1))
    closest = np.full(len(places), np.inf)
    for face in np.argsort(-sides):  # small faces last: they have the fewest cells
        apart = np.abs(places - centres[face])
        spared = (apart < np.maximum(SPARED * lengths[face], 0.5 * stride)).all(axis=1)
        near = sizes[0] / NEAR <= sides[face] < sizes[1] * NEAR
        own = sizes[0] <= sides[face] < sizes[1] and sides[face] >= TINY and faces.scores[face] > 0
        if not near:
            continue
        targets[spared & (targets[:, LEARNT] == 0), COUNTED] = 0.0
        if not own:
            continue
        reach = np.clip(MIDDLE * lengths[face], 0.5 * stride, REACH * stride)
        distance = (apart / lengths[face]).max(axis=1)
        learnt = (apart <= reach).all(axis=1) & (distance < closest)
        closest[learnt] = distance[learnt]
        targets[learnt, SCORE] = faces.scores[face]
        targets[learnt, COUNTED] = 1.0
        targets[learnt, LEARNT] = faces.scores[face]
        offset = centres[face] / stride - corners[learnt]
        targets[learnt, BOX] = np.hstack([offset, np.broadcast_to(np.log(lengths[face] / stride), offset.shape)])
        points = faces.points[face][None] / stride - corners[learnt][:, None]
        targets[learnt, POINTS] = points.reshape(len(offset), 10)
    return targets
