"""Crops faces from frames: the same code for training, evaluation and inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.media.resampling import Span, grey, resample, resize
from mien.structures import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.models.card import CropRule
    from mien.structures import Crops, Face, Frame

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]

MAX_OVERSAMPLING = 16
"""Pixels averaged into one of a face crop along a side; larger faces are reduced before they are rotated."""

BLOCK_ROWS = 32
"""Rows of a face that are rotated at once: a block stays within the processor's cache."""

ALIGN_BEYOND = 30.0
"""Roll in degrees above which a face is rotated upright where the model's card states no other."""


class _Cut(NamedTuple):
    """A part of the frame (height, width, channels), and the square to crop: its offset and size in that part."""

    image: npt.NDArray[np.uint8]
    left: float
    top: float
    width: float
    height: float


def crop_faces(frame: Frame, faces: Sequence[Face], rule: CropRule, size: int, channels: int) -> Crops:
    """Crop all faces of one frame; see ``crop``.

    Returns:
        uint8 (count, size, size, channels), in the order of the faces.
    """
    crops = np.empty((len(faces), size, size, channels), np.uint8)
    for index, face in enumerate(faces):
        crops[index] = crop(frame, face, rule, size, channels)
    return crops


def crop(frame: Frame, face: Face, rule: CropRule, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Crop the square around a face, with a side of ``rule.factor`` times the longer side of its box.

    The square has the centre of the box, at subpixel accuracy. Reduced pixels are the mean over their area, enlarged
    ones are interpolated linearly. Beyond the frame its edge is replicated. Grey is the luma of ITU-R BT.601, computed
    before resizing.

    Args:
        frame: uint8 (height, width, 3), RGB.
        face: the face; rotated upright about its box's centre if it rolls more than ``rule.align_beyond`` degrees,
            ``ALIGN_BEYOND`` if that is None.
        rule: from the model's card.
        size: side of the face crop in pixels.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 (size, size, channels).

    Raises:
        UsageError: channels is neither 1 nor 3.

    Example:
        >>> import numpy as np
        >>> from mien.classification.face_crop import crop
        >>> from mien.models.card import CropRule
        >>> from mien.structures import Box, Face
        >>> frame = np.zeros((240, 320, 3), np.uint8)
        >>> crop(frame, Face(Box(100, 80, 180, 170)), CropRule(factor=1.2), size=48, channels=1).shape
        (48, 48, 1)
    """
    if channels not in (1, 3):
        raise UsageError(f"expected face crops of 1 (grey) or 3 (RGB) channels; received {channels}")
    side = rule.factor * face.box.side
    roll = _roll_to_undo(face, rule)
    cut = _cut(frame, face.box.centre, side, margin=1.0 if roll is None else 1.0 + side / 4)
    if channels == 1:
        cut = cut._replace(image=grey(cut.image)[..., None])
    if roll is not None:
        cut = _upright(_reduced(cut, MAX_OVERSAMPLING * size), roll, MAX_OVERSAMPLING * size)
    return _resampled(cut, size)


def point_in_crop(point: Point, face: Face, rule: CropRule, size: int) -> Point:
    """Map a point of the frame to pixels of the face crop; it may lie outside.

    Args:
        point: in pixels of the frame.
        face: the face that was cropped.
        rule: from the model's card.
        size: side of the face crop in pixels.
    """
    angle = math.radians(_roll_to_undo(face, rule) or 0.0)
    x, y = point.x - face.box.centre[0], point.y - face.box.centre[1]
    x, y = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    scale = size / (rule.factor * face.box.side)
    return Point(size / 2 + scale * x, size / 2 + scale * y)


def _roll_to_undo(face: Face, rule: CropRule) -> float | None:
    beyond = ALIGN_BEYOND if rule.align_beyond is None else rule.align_beyond
    if face.landmarks is None or abs(face.landmarks.roll) <= beyond:
        return None
    return face.landmarks.roll


def _cut(frame: Frame, centre: tuple[float, float], side: float, margin: float) -> _Cut:
    """The part of the frame that the square and a margin touch: at least one pixel, even far outside."""
    left, top = centre[0] - side / 2, centre[1] - side / 2
    height, width = frame.shape[:2]
    first_x, last_x = _touched(left - margin, left + side + margin, width)
    first_y, last_y = _touched(top - margin, top + side + margin, height)
    return _Cut(frame[first_y:last_y, first_x:last_x], left - first_x, top - first_y, side, side)


def _touched(start: float, end: float, length: int) -> tuple[int, int]:
    first = math.floor(min(max(start, 0), length - 1))
    return first, math.ceil(min(max(end, first + 1), length))


def _reduced(cut: _Cut, longest: int) -> _Cut:
    """Reduce the part to a longest side, so that a point stands for no more than its pixel when it is rotated."""
    height, width = cut.image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return cut
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    x, y = size[0] / width, size[1] / height
    return _Cut(resize(cut.image, size), cut.left * x, cut.top * y, cut.width * x, cut.height * y)


def _upright(cut: _Cut, degrees: float, longest: int) -> _Cut:
    """The square itself, rotated about its centre to undo a roll."""
    pixels = min(math.ceil(max(cut.width, cut.height)), longest)
    steps = (np.arange(pixels, dtype=np.float64) + 0.5) / pixels - 0.5
    across, down = steps * cut.width, steps[:, None] * cut.height
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = np.empty((pixels, pixels, cut.image.shape[2]), np.uint8)
    for channel in range(turned.shape[2]):
        plane = cut.image[..., channel].astype(np.float32)
        for first in range(0, pixels, BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            x = cut.left + cut.width / 2 - 0.5 + cosine * across - sine * down[block]
            y = cut.top + cut.height / 2 - 0.5 + sine * across + cosine * down[block]
            turned[block, :, channel] = np.rint(_linear(plane, x, y))
    return _Cut(turned, 0, 0, pixels, pixels)


def _linear(plane: npt.NDArray[np.float32], x: Floats, y: Floats) -> npt.NDArray[np.float32]:
    """One channel at points, linear between its pixels; beyond its edge the nearest pixel, however far."""
    height, width = plane.shape
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    across, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    corner = top * np.int32(width) + left
    right, below = (left < width - 1).astype(np.int32), (top < height - 1) * np.int32(width)
    upper, lower = (_between(plane.take(at), plane.take(at + right), across) for at in (corner, corner + below))
    return _between(upper, lower, down)


def _between(start: Floats32, end: Floats32, share: Floats32) -> Floats32:
    return start + share * (end - start)


def _resampled(cut: _Cut, size: int) -> npt.NDArray[np.uint8]:
    across, down = Span(cut.left, cut.width / size, size), Span(cut.top, cut.height / size, size)
    return np.rint(resample(cut.image, across, down)).clip(0, 255).astype(np.uint8)
