"""The drawn face as pixels, painted by Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from mien.avatar.outlines import WHITE, shapes
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.avatar.outlines import Colour, Points
    from mien.avatar.poses import Pose

OVERSAMPLE = 4
"""Painted this many times larger, then averaged: Pillow's own edges are jagged."""


def avatar_picture(pose: Pose, size: int) -> npt.NDArray[np.uint8]:
    """The drawn face as RGBA: uint8 (size, size, 4), transparent around it.

    Raises:
        UsageError: the size is no positive number of pixels.
    """
    if size < 1:
        raise UsageError(f"expected an avatar of at least 1 pixel; received a size of {size}")
    side = size * OVERSAMPLE
    canvas = Image.new("RGBA", (side, side), (*WHITE, 0))
    pen = ImageDraw.Draw(canvas)
    for shape in shapes(pose):
        points = tuple((x * side, y * side) for x, y in shape.points)
        if shape.fill is not None:
            pen.polygon(points, fill=shape.fill)
        if shape.stroke is not None:
            outline = points if shape.fill is None else (*points, points[0])
            _stroke(pen, outline, shape.stroke, shape.width * side)
    return np.array(canvas.resize((size, size), Image.Resampling.BOX))


def _stroke(pen: ImageDraw.ImageDraw, points: Points, colour: Colour, width: float) -> None:
    """A line with round joints and ends, which Pillow lacks."""
    pen.line(points, fill=colour, width=max(round(width), 1))
    radius = width / 2
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
