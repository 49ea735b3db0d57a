"""Rasterises the drawn face with OpenCV."""

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
"""Supersampling factor: OpenCV draws lines of whole pixels only."""

SHIFT_BITS = 8
"""Fractional bits of the coordinates given to OpenCV."""


def avatar_image(pose: Pose, size: int) -> npt.NDArray[np.uint8]:
    """The drawn face as RGBA: uint8 (size, size, 4), transparent around the head.

    Args:
        pose: from ``mien.visualization.avatar.pose``.
        size: side in pixels.

    Raises:
        UsageError: the size is not positive.

    Example:
        >>> from mien.visualization.avatar import pose
        >>> avatar_image(pose(("happy", "sad"), (0.9, 0.1)), 64).shape
        (64, 64, 4)
    """
    if size < 1:
        raise UsageError(f"expected an avatar of at least 1 pixel; received a size of {size}")
    side = size * OVERSAMPLE
    canvas: Any = np.zeros((side, side, 4), np.uint8)
    for shape in shapes(pose):
        points = _coordinates(shape.points, side)
        if shape.fill is not None:
            cv2.fillPoly(canvas, [points], (*shape.fill, 255), cv2.LINE_AA, SHIFT_BITS)
        if shape.stroke is not None:
            width = max(round(shape.width * side), 1)
            closed = shape.fill is not None
            cv2.polylines(canvas, [points], closed, (*shape.stroke, 255), width, cv2.LINE_AA, SHIFT_BITS)
    return _unpremultiplied(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA))


def _coordinates(points: Points, side: int) -> npt.NDArray[np.int32]:
    """Points of the unit square in fixed-point pixels; for OpenCV the centre of the first pixel is 0."""
    return np.rint((np.array(points) * side - 0.5) * (1 << SHIFT_BITS)).astype(np.int32)


def _unpremultiplied(painted: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The image with straight alpha: at the edges, colours were blended with transparent black."""
    alpha = painted[..., 3:].astype(np.uint16)
    straight = np.minimum(painted[..., :3] * np.uint16(255) // np.maximum(alpha, 1), 255)
    return np.concatenate([straight.astype(np.uint8), painted[..., 3:]], axis=2)
