"""Crops faces from frames: the same code for training, evaluation and inference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.models.card import CropRule
    from mien.structures import Crops, Face, Frame

MAX_OVERSAMPLING = 16
"""Pixels averaged into one of a face crop along a side; larger faces are reduced first, to save memory."""

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
        cut = cut._replace(image=np.atleast_3d(cv2.cvtColor(cut.image, cv2.COLOR_RGB2GRAY)))
    cut = _reduced(cut, MAX_OVERSAMPLING * size)
    if roll is not None:
        cut = _upright(cut, roll, MAX_OVERSAMPLING * size)
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
    """Reduce the part to a longest side, so that the face of a poster needs no more memory than others."""
    height, width = cut.image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return cut
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    x, y = size[0] / width, size[1] / height
    image = np.atleast_3d(cv2.resize(cut.image, size, interpolation=cv2.INTER_AREA))
    return _Cut(image.astype(np.uint8, copy=False), cut.left * x, cut.top * y, cut.width * x, cut.height * y)


def _upright(cut: _Cut, degrees: float, longest: int) -> _Cut:
    """The square itself, rotated about its centre to undo a roll."""
    pixels = min(math.ceil(max(cut.width, cut.height)), longest)
    steps = (np.arange(pixels, dtype=np.float64) + 0.5) / pixels - 0.5
    across, down = steps[None, :] * cut.width, steps[:, None] * cut.height
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x = cut.left + cut.width / 2 - 0.5 + cosine * across - sine * down
    y = cut.top + cut.height / 2 - 0.5 + sine * across + cosine * down
    height, width = cut.image.shape[:2]
    # clipped coordinates repeat the edge however far outside they lie; OpenCV's own border overflows there
    maps = (x.clip(0, width - 1).astype(np.float32), y.clip(0, height - 1).astype(np.float32))
    turned: Any = cv2.remap(cut.image, *maps, interpolation=cv2.INTER_LINEAR)
    return _Cut(np.atleast_3d(turned), 0, 0, pixels, pixels)


def _resampled(cut: _Cut, size: int) -> npt.NDArray[np.uint8]:
    height, width, channels = cut.image.shape
    rows = _weights(cut.top, cut.height / size, size, height)
    columns = _weights(cut.left, cut.width / size, size, width)
    reduced = (rows @ cut.image.reshape(height, width * channels)).reshape(size, width, channels)
    return np.rint(columns @ reduced).clip(0, 255).astype(np.uint8)


def _weights(start: float, step: float, size: int, length: int) -> npt.NDArray[np.float32]:
    """The weight of each pixel of a line in each pixel of a face crop, (size, length); rows sum to 1.

    A pixel of the face crop spans ``step`` pixels of the line, but at least one: the mean over an area when reducing,
    linear interpolation when enlarging. The first and last pixels of the line extend to infinity.
    """
    centres = start + (np.arange(size)[:, None] + 0.5) * step
    reach = max(step, 1.0) / 2
    starts, ends = np.arange(length, dtype=np.float64), np.arange(1, length + 1, dtype=np.float64)
    starts[0], ends[-1] = -np.inf, np.inf
    shared = np.minimum(ends, centres + reach) - np.maximum(starts, centres - reach)
    weights: npt.NDArray[np.float32] = (shared.clip(0) / (2 * reach)).astype(np.float32)
    return weights
