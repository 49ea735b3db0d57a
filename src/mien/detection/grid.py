"""From a detector's cells to boxes and landmarks: the form that YuNet's outputs and those of mien's own detector share.

A cell is 15 numbers: a score, then dx, dy, log width, log height, and x, y of five landmarks, all in strides. That at
column c and row r of stride s means a box about (c + dx, r + dy) s of the size exp(log size) s, and landmarks at
(c, r) s + points s. Cells come stride by stride, row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

STRIDES = (8, 16, 32)
CELL = 15
"""Numbers a cell."""

LARGEST = 6.0
"""Log of the largest box in strides: beyond, a damaged model or a fresh one would overflow."""


class Found(NamedTuple):
    """What was decoded, in pixels of the network's input.

    Attributes:
        boxes: float32 (count, 4): left, top, right, bottom.
        points: float32 (count, 5, 2): right eye, left eye, nose, right and left mouth corner, each x and y.
        scores: float32 (count,), 0 to 1.
    """

    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


def corners_of(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The column and row of each cell of an image, float32 (cells, 2), and its stride, float32 (cells, 1)."""
    corners = [np.indices((height // s, width // s))[::-1].reshape(2, -1).T for s in STRIDES]
    strides = np.repeat(STRIDES, [len(part) for part in corners])[:, None]
    return np.concatenate(corners).astype(np.float32), strides.astype(np.float32)


def decode(cells: npt.NDArray[np.float32], height: int, width: int, least: float) -> Found:
    """The candidates in an image's cells, before suppression.

    Args:
        cells: float32 (cells, 15), scores from 0 to 1.
        height: of the network's input in pixels, a multiple of 32.
        width: the same.
        least: the least score that is kept.
    """
    kept = np.flatnonzero(cells[:, 0] >= least)
    corners, strides = (part[kept] for part in corners_of(height, width))
    scores, places = cells[kept, 0], cells[kept, 1:]
    centres = (corners + places[:, :2]) * strides
    halves = np.exp(np.minimum(places[:, 2:4], LARGEST)) * (strides / 2)
    points = (corners[:, None] + places[:, 4:].reshape(-1, 5, 2)) * strides[:, None]
    return Found(np.hstack([centres - halves, centres + halves]), points, scores)
