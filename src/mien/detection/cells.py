"""From a detector's cells to boxes and landmarks: the form that YuNet's outputs and those of mien's own detector share.

A cell at column c and row r of stride s means a box about (c + dx, r + dy) s of the size exp(log size) s, and
landmarks at (c, r) s + points s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

STRIDES = (8, 16, 32)
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


def decoded(
    scores: npt.NDArray[np.float32], places: npt.NDArray[np.float32], width: int, stride: int, least: float
) -> Found:
    """The candidates of one stride, one a cell, before suppression.

    Args:
        scores: float32 (cells,), row by row.
        places: float32 (cells, 14): dx, dy, log width, log height, and x, y of five landmarks, all in strides.
        width: of the network's input in pixels.
        stride: pixels a cell.
        least: the least score that is kept.
    """
    cells = np.flatnonzero(scores >= least)
    columns = width // stride
    corners = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    centres = (corners + places[cells, :2]) * stride
    halves = np.exp(np.minimum(places[cells, 2:4], LARGEST)) * (stride / 2)
    points = (corners[:, None] + places[cells, 4:].reshape(-1, 5, 2)) * stride
    return Found(np.hstack([centres - halves, centres + halves]), points, scores[cells])


def joined(parts: Iterable[Found]) -> Found:
    """The candidates of several strides in one."""
    return Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
