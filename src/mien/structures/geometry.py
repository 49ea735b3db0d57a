"""Boxes and landmarks in pixels of the original frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mien.errors import UsageError

NOSE_DEPTH_RATIO = 0.45
"""Distance of the nose tip from the plane of the eyes, over the distance of the eyes: about 28 of 63 mm."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the original frame; right and bottom are exclusive.

    It may reach outside the frame: at the border a face is cut, its box is not.

    Raises:
        UsageError: an edge is not finite, or the box is empty.

    Example:
        >>> Box(0, 0, 10, 10).iou(Box(5, 0, 15, 10))
        0.3333333333333333
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        edges = (self.left, self.top, self.right, self.bottom)
        if not all(math.isfinite(edge) for edge in edges):
            raise UsageError(f"expected a box of finite numbers; received {edges}")
        if self.right <= self.left or self.bottom <= self.top:
            raise UsageError(
                f"expected left < right and top < bottom; received left, top, right, bottom = {edges}. "
                "A box given as x, y, width, height becomes Box(x, y, x + width, y + height)"
            )

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def side(self) -> float:
        """Pixels of the longer side; the size of a face."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def scaled(self, factor: float) -> Box:
        """The box in an image that is this many times as wide and high."""
        return Box(*(edge * factor for edge in self.xyxy))

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        return float(box_iou(self.xyxy, other.xyxy))

    def intersection(self, other: Box) -> float:
        """Area of the intersection with another box, in square pixels."""
        return float(_intersection(self.xyxy, other.xyxy))


def box_iou(box: Any, others: Any, *, over_smaller: bool = False) -> Any:
    """Intersection over union (IoU) of a box with another or with many, 0 to 1.

    Args:
        box: left, top, right, bottom: four numbers.
        others: the same of the other box, or an array (4, count).
        over_smaller: divide by the area of the smaller box instead, so that a box inside another counts as 1.

    Returns:
        A number, or an array (count,).
    """
    shared = _intersection(box, others)
    area, areas = (box[2] - box[0]) * (box[3] - box[1]), (others[2] - others[0]) * (others[3] - others[1])
    return shared / (np.minimum(area, areas) if over_smaller else area + areas - shared)


def _intersection(box: Any, others: Any) -> Any:
    width = np.minimum(box[2], others[2]) - np.maximum(box[0], others[0])
    height = np.minimum(box[3], others[3]) - np.maximum(box[1], others[1])
    return np.maximum(width, 0) * np.maximum(height, 0)


class Point(NamedTuple):
    """x and y in pixels of the original frame."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points of a face. Sides are the subject's: the right eye is on the left of the image."""

    right_eye: Point
    left_eye: Point
    nose: Point
    right_mouth: Point
    left_mouth: Point

    def scaled(self, factor: float) -> Landmarks:
        """The points in an image that is this many times as wide and high."""
        points = (self.right_eye, self.left_eye, self.nose, self.right_mouth, self.left_mouth)
        return Landmarks(*(Point(x * factor, y * factor) for x, y in points))

    @property
    def roll(self) -> float:
        """In-plane rotation of the head in degrees, positive clockwise."""
        return math.degrees(math.atan2(self.left_eye.y - self.right_eye.y, self.left_eye.x - self.right_eye.x))

    @property
    def yaw(self) -> float:
        """Rough horizontal rotation of the head in degrees: 0 facing the camera, positive to the right of the image.

        The nose moves along the line of the eyes with the sine, the distance of the eyes shrinks with the cosine.
        """
        across, down = self.left_eye.x - self.right_eye.x, self.left_eye.y - self.right_eye.y
        eye_distance = math.hypot(across, down)
        x = self.nose.x - (self.left_eye.x + self.right_eye.x) / 2
        y = self.nose.y - (self.left_eye.y + self.right_eye.y) / 2
        offset = (x * across + y * down) / eye_distance if eye_distance else x
        return math.degrees(math.atan2(offset, NOSE_DEPTH_RATIO * eye_distance))
