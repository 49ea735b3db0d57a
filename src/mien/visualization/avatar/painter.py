"""The drawn face as pixels, painted by OpenCV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.visualization.avatar.outlines import shapes

if TYPE_CHECKING:
    from mien.visualization.avatar.outlines import Points
    from mien.visualization.avatar.poses import Pose

OVERSAMPLE = 2
"""Painted this many times larger, then averaged: OpenCV's lines are a whole number of pixels wide."""

PARTS = 8
"""Bits of a pixel's fraction in which OpenCV takes places."""


def avatar_image(pose: Pose, size: int) -> npt.NDArray[np.uint8]:
    """The drawn face as RGBA: uint8 (size, size, 4), transparent around it.

    Raises:
        UsageError: the size is no positive number of pixels.
    """
    if size < 1:
        raise UsageError(f"expected an avatar of at least 1 pixel; received a size of {size}")
    side = size * OVERSAMPLE
    canvas: Any = np.zeros((side, side, 4), np.uint8)
    for shape in shapes(pose):
        points = _places(shape.points, side)
        if shape.fill is not None:
            cv2.fillPoly(canvas, [points], (*shape.fill, 255), cv2.LINE_AA, PARTS)
        if shape.stroke is not None:
            width = max(round(shape.width * side), 1)
            closed = shape.fill is not None
            cv2.polylines(canvas, [points], closed, (*shape.stroke, 255), width, cv2.LINE_AA, PARTS)
    return _straight(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA))


def _places(points: Points, side: int) -> npt.NDArray[np.int32]:
    """Points of the unit square in parts of a pixel; OpenCV counts from the middle of the first."""
    return np.rint((np.array(points) * side - 0.5) * (1 << PARTS)).astype(np.int32)


def _straight(painted: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The image with its colours undimmed at the edges, where they were mixed with transparent black."""
    alpha = painted[..., 3:].astype(np.uint16)
    undimmed = np.minimum(painted[..., :3] * np.uint16(255) // np.maximum(alpha, 1), 255)
    return np.concatenate([undimmed.astype(np.uint8), painted[..., 3:]], axis=2)
