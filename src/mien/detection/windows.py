"""Windows along a long image, such as a panorama or a strip: searched one by one, its faces keep their pixels.

Scaled down as a whole, an image of 12,000 by 900 pixels would leave a face of 90 pixels with 5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mien.structures import Box, Frame

LONG_ASPECT = 2.5
"""Longer over shorter side above which an image is searched in windows; films have up to 2.4."""

WINDOW_ASPECT = 2.0
"""The same of a window. Two neighbours share a square, so a face as high as the image is whole in one of them."""

MIN_WINDOW_PX = 320
"""Shortest window: a shorter one would not be enlarged further."""

MAX_WINDOWS = 64
"""Most windows of an image; of a longer one each window is longer, so that the work stays bounded."""

BORDER_SHARE = 0.25
"""Where two windows meet, a face centred within this share of the image's shorter side from the end of one counts in
the other only, which has all of it."""


class Window(NamedTuple):
    """A part of an image along its longer side, in whole pixels.

    Attributes:
        start: first column, or row of an upright image.
        end: the one after the last.
        first_centre: a face counts if its centre lies from here on,
        last_centre: and up to here.
        upright: whether the image is higher than wide.
    """

    start: int
    end: int
    first_centre: float
    last_centre: float
    upright: bool

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top."""
        return (0, self.start) if self.upright else (self.start, 0)

    def part_of(self, frame: Frame) -> Frame:
        """The window's pixels, a view."""
        return frame[self.start : self.end] if self.upright else frame[:, self.start : self.end]

    def holds(self, box: Box) -> bool:
        """Whether a face counts in this window; the box is in pixels of the image."""
        return self.first_centre <= box.centre[self.upright] <= self.last_centre


def windows_of(frame: Frame) -> list[Window]:
    """The windows in which a frame is searched; one that holds all of it unless it is long.

    Args:
        frame: uint8 (height, width, 3).

    Example:
        >>> import numpy as np
        >>> [(window.start, window.end) for window in windows_of(np.zeros((400, 1500, 3), np.uint8))]
        [(0, 800), (350, 1150), (700, 1500)]
    """
    height, width = frame.shape[:2]
    shorter, longer = sorted((height, width))
    length = max(round(WINDOW_ASPECT * shorter), MIN_WINDOW_PX)
    if longer <= max(LONG_ASPECT * shorter, length):
        return [Window(0, longer, -math.inf, math.inf, height > width)]
    count = min(math.ceil((longer - shorter) / (length - shorter)), MAX_WINDOWS)
    length = max(length, math.ceil((longer - shorter) / count) + shorter)
    margin = BORDER_SHARE * shorter
    windows = []
    for index in range(count):
        start = index * (longer - length) // (count - 1)
        first = -math.inf if index == 0 else start + margin
        last = math.inf if index == count - 1 else start + length - margin
        windows.append(Window(start, start + length, first, last, height > width))
    return windows
