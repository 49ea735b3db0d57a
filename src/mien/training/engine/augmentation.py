"""Augmentation as a pure function of (seed, epoch, row): no random state to save, so runs resume exactly.

Rotation, scale, shift, shear and flip are composed into one matrix, so that each image is resampled once.
Face crops stay uint8.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.media.opencv import load_opencv

if TYPE_CHECKING:
    from mien.structures import Crops
    from mien.training.config import Augmentation

cv2 = load_opencv("augmenting images")

Draws = npt.NDArray[np.float32]

MIN_SHRUNK_PX = 8
"""The smallest side that an image is downscaled to."""


class Draw(IntEnum):
    """The columns of the table of random numbers, one per operation."""

    @staticmethod
    def _generate_next_value_(_name: str, _start: int, count: int, _last: list[int]) -> int:
        return count

    FLIP = auto()
    ROTATE = auto()
    SCALE = auto()
    SHIFT_ACROSS = auto()
    SHIFT_DOWN = auto()
    SHEAR_ACROSS = auto()
    SHEAR_DOWN = auto()
    BRIGHTNESS = auto()
    CONTRAST = auto()
    GAMMA = auto()
    BLUR = auto()
    BLUR_WIDTH = auto()
    SHRINK = auto()
    SHRINK_TO = auto()
    JPEG = auto()
    JPEG_QUALITY = auto()
    ERASE = auto()
    ERASE_AREA = auto()
    ERASE_ASPECT = auto()
    ERASE_ACROSS = auto()
    ERASE_DOWN = auto()
    ERASE_GREY = auto()


def draws(seed: int, epoch: int, rows: int) -> Draws:
    """The random numbers of an epoch, float32 (rows, columns) in [0, 1): row i belongs to image i."""
    return generator(seed, epoch, stream=0).random((rows, len(Draw)), dtype=np.float32)


def generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """A generator that depends on (seed, epoch, stream) alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch, stream))))


def augment(crops: Crops, table: Draws, strength: Augmentation) -> Crops:
    """Augment face crops.

    Args:
        crops: uint8 (count, size, size, channels).
        table: their rows of ``draws``, (count, columns).
        strength: strength and probability of each operation.

    Returns:
        uint8 of the same shape.
    """
    matrices = warp_matrices(table, strength, crops.shape[1])
    tones = tone_tables(table, strength)
    out = np.empty_like(crops)
    for index, crop in enumerate(crops):
        # cv2 drops a single channel; reshape brings it back
        out[index] = _augmented(crop, matrices[index], tones[index], table[index], strength).reshape(crop.shape)
    return out


def warp_matrices(table: Draws, strength: Augmentation, size: int) -> npt.NDArray[np.float64]:
    """The affine matrix of each image about its centre, (count, 2, 3), from source to output pixels."""
    u = table.astype(np.float64)
    angle = np.radians(_symmetric(u[:, Draw.ROTATE], strength.rotate))
    low, high = np.log(strength.scale)
    scale = np.exp(low + (high - low) * u[:, Draw.SCALE])
    mirror = np.where(u[:, Draw.FLIP] < strength.flip, -1.0, 1.0)
    across = _symmetric(u[:, Draw.SHEAR_ACROSS], strength.shear)
    down = _symmetric(u[:, Draw.SHEAR_DOWN], strength.shear)
    rotation = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    shear = np.stack([mirror, across, down * mirror, np.ones_like(across)], axis=1).reshape(-1, 2, 2)
    linear = scale[:, None, None] * (rotation @ shear)
    centre = np.full(2, (size - 1) / 2)
    moved = size * _symmetric(u[:, [Draw.SHIFT_ACROSS, Draw.SHIFT_DOWN]], strength.shift)
    offset = centre + moved - linear @ centre
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def tone_tables(table: Draws, strength: Augmentation) -> npt.NDArray[np.uint8]:
    """Lookup tables of grey values, (count, 256): gamma, then contrast about mid-grey, then brightness."""
    grey = np.linspace(0.0, 1.0, 256, dtype=np.float32)[None]
    gamma = np.exp(_symmetric(table[:, Draw.GAMMA], strength.brightness))[:, None]
    contrast = 1.0 + _symmetric(table[:, Draw.CONTRAST], strength.brightness)[:, None]
    brightness = _symmetric(table[:, Draw.BRIGHTNESS], strength.brightness)[:, None]
    toned = (grey**gamma - 0.5) * contrast + 0.5 + brightness
    tones: npt.NDArray[np.uint8] = (np.clip(toned, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return tones


def _augmented(
    crop: npt.NDArray[np.uint8],
    matrix: npt.NDArray[np.float64],
    tones: npt.NDArray[np.uint8],
    u: Draws,
    strength: Augmentation,
) -> npt.NDArray[np.uint8]:
    size = crop.shape[0]
    # replicate the border, as the crop rule does outside the frame
    x: Any = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x = cv2.LUT(x, tones)
    if u[Draw.BLUR] < strength.blur:
        x = cv2.GaussianBlur(x, (0, 0), 0.3 + 0.9 * float(u[Draw.BLUR_WIDTH]))
    if u[Draw.SHRINK] < strength.shrink:
        small = max(MIN_SHRUNK_PX, round(size * (0.4 + 0.5 * float(u[Draw.SHRINK_TO]))))
        x = cv2.resize(cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    if u[Draw.JPEG] < strength.jpeg:
        _, stored = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 15 + int(60 * u[Draw.JPEG_QUALITY])])
        x = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    if u[Draw.ERASE] < strength.random_erasing:
        x = _erased(x, u)
    return np.asarray(x, dtype=np.uint8)


def _erased(x: npt.NDArray[np.uint8], u: Draws) -> npt.NDArray[np.uint8]:
    """Fill a rectangle with one grey value (random erasing, Zhong et al. 2020, arXiv:1708.04896)."""
    size = x.shape[0]
    area = size * size * (0.03 + 0.17 * float(u[Draw.ERASE_AREA]))
    aspect = float(np.exp(np.log(3.0) * (2.0 * float(u[Draw.ERASE_ASPECT]) - 1.0)))
    height = min(size, max(1, round((area * aspect) ** 0.5)))
    width = min(size, max(1, round((area / aspect) ** 0.5)))
    top = int(float(u[Draw.ERASE_DOWN]) * (size - height + 1))
    left = int(float(u[Draw.ERASE_ACROSS]) * (size - width + 1))
    x[top : top + height, left : left + width] = int(256 * u[Draw.ERASE_GREY])
    return x


def _symmetric(u: npt.NDArray[np.floating], limit: float) -> npt.NDArray[np.floating]:
    """Uniform numbers in [0, 1) as numbers in [-limit, limit)."""
    return (2.0 * u - 1.0) * limit
