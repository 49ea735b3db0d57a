"""Resizes, blurs and greys images on NumPy and Pillow, for detection, face crops and drawings alike.

Reduced pixels are exact means over their area (OpenCV's INTER_AREA), enlarged ones linear between two (INTER_LINEAR).
The web page does the same in JavaScript (``apps/web/inference/image.js``), to one grey level.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

LUMA = (9798 / 32768, 19235 / 32768, 3735 / 32768)
"""Shares of red, green and blue in grey (ITU-R BT.601), in OpenCV's fixed point."""

MAX_REDUCTION = 4096
"""Most pixels that Pillow averages exactly; of many more its sums overflow."""

BLOCK_PIXELS = 32
"""Old rows or columns that are summed at once: a block stays within the processor's cache."""

MAX_PRODUCT, MAX_VECTOR_PRODUCT = 1 << 18, 9000
"""Largest product of matrices, and of a matrix and a vector, in multiplications, that OpenBLAS computes on the calling
thread alone. On a busy machine its threads wait for each other: 1,800 ms in place of 36 for 12 megapixels."""


class Span(NamedTuple):
    """A row of new pixels, side by side on a line of old ones.

    Attributes:
        start: left edge of the first new pixel, in old pixels.
        step: width of a new pixel in old ones.
        length: in new pixels.
    """

    start: float
    step: float
    length: int


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize an image to (width, height) pixels.

    Args:
        image: uint8 (height, width) or (height, width, channels); not modified.
        size: width and height of the result, at least 1.

    Returns:
        uint8; the same array where it has that size already.

    Example:
        >>> resize(np.array([[10, 20], [30, 40]], np.uint8), (1, 2)).tolist()
        [[15], [35]]
    """
    height, width = image.shape[:2]
    if size == (width, height):
        return image
    factors = width // size[0], height // size[1]
    if image.shape[2:] in ((), (3,)):  # Pillow is faster where it gives the same
        whole = (factors[0] * size[0], factors[1] * size[1]) == (width, height)
        if whole and factors[0] * factors[1] <= MAX_REDUCTION:
            return np.asarray(Image.fromarray(image).reduce(factors))
        if size[0] >= width and size[1] >= height:
            return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    across, down = Span(0, width / size[0], size[0]), Span(0, height / size[1], size[1])
    return np.rint(resample(image, across, down)).clip(0, 255).astype(np.uint8)


class Pyramid:
    """An image at several sizes. Means of means are means, so a smaller one is made of the last, where it divides it.

    Args:
        image: uint8 (height, width) or (height, width, channels); not modified.
    """

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        self.image = image
        self._reduced = image

    def resized(self, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """See ``resize``; the same to one grey level."""
        height, width = self._reduced.shape[:2]
        whole = width % size[0] == 0 and height % size[1] == 0
        resized = resize(self._reduced if whole else self.image, size)
        if resized.size < self._reduced.size:
            self._reduced = resized
        return resized


def resample(image: Pixels, across: Span, down: Span) -> npt.NDArray[np.float32]:
    """The new pixels of a grid that may lie anywhere on an image; beyond the image its edge is replicated.

    A new pixel is the mean over its area. One that is smaller than an old pixel is widened to its size, which makes it
    linear between two.

    Args:
        image: uint8 or float32 (height, width) or (height, width, channels); not modified.
        across: the columns of the grid.
        down: its rows.

    Returns:
        float32 (rows, columns) or (rows, columns, channels).
    """
    height, width = image.shape[:2]
    channels = math.prod(image.shape[2:])
    lines = image.reshape(height, width * channels)
    rows = np.empty((down.length, width * channels), np.float32)
    for new, old, weights in _blocks(down, height):
        _multiply(weights, lines[old], rows[new])
    pixels = np.empty((down.length, across.length * channels), np.float32)
    for new, old, weights in _blocks(across, width):
        from_old = slice(old.start * channels, old.stop * channels)
        to_new = slice(new.start * channels, new.stop * channels)
        # each channel by itself: the weights repeat along the diagonal
        _multiply(rows[:, from_old], np.kron(weights.T, np.eye(channels, dtype=np.float32)), pixels[:, to_new])
    return pixels.reshape(down.length, across.length, *image.shape[2:])


def _multiply(left: npt.NDArray[np.float32], right: Pixels, out: npt.NDArray[np.float32]) -> None:
    """The product of two matrices, in parts along its longer side."""
    height, width = out.shape
    limit = MAX_PRODUCT if min(height, width) > 1 else MAX_VECTOR_PRODUCT
    count = max(1, limit // (left.shape[1] * min(height, width)))
    for first in range(0, max(height, width), count):
        part = slice(first, first + count)
        if width >= height:
            np.matmul(left, right[:, part].astype(np.float32, copy=False), out=out[:, part])
        else:
            np.matmul(left[part], right, out=out[part])


def _blocks(span: Span, length: int) -> Iterator[tuple[slice, slice, npt.NDArray[np.float32]]]:
    """Blocks of new pixels: which they are, the old pixels that they touch, and the weight of each old in each new."""
    reach = max(span.step, 1.0) / 2
    block = max(1, round(BLOCK_PIXELS / (2 * reach)))
    for first in range(0, span.length, block):
        new = slice(first, min(first + block, span.length))
        centres = span.start + (np.arange(new.start, new.stop)[:, None] + 0.5) * span.step
        old = slice(
            math.floor(min(max(centres[0, 0] - reach, 0), length - 1)),
            math.ceil(min(max(centres[-1, 0] + reach, 1), length)),
        )
        starts, ends = np.arange(old.start, old.stop, dtype=np.float64), np.arange(old.start, old.stop) + 1.0
        if old.start == 0:
            starts[0] = -np.inf
        if old.stop == length:
            ends[-1] = np.inf
        shared = np.minimum(ends, centres + reach) - np.maximum(starts, centres - reach)
        yield new, old, (shared.clip(0) / (2 * reach)).astype(np.float32)


def grey(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The luma of an RGB image (ITU-R BT.601).

    Args:
        image: uint8 (height, width, 3), RGB; not modified.

    Returns:
        uint8 (height, width).

    Example:
        >>> grey(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).tolist()
        [[76, 150, 29]]
    """
    return np.asarray(Image.fromarray(image).convert("L", (*LUMA, 0.0)))


def blur(
    image: Pixels, sigma: float, border: Literal["edge", "reflect", "symmetric"] = "edge"
) -> npt.NDArray[np.float32]:
    """A Gaussian blur, cut off at four standard deviations.

    Args:
        image: uint8 or float32 (height, width) or (height, width, channels); not modified. Its sides should be short:
            the work grows with their cubes.
        sigma: standard deviation in pixels.
        border: what lies beyond the edge, as in ``numpy.pad``.

    Returns:
        float32 of the image's shape.
    """
    down, across = (_blur_weights(length, sigma, border) for length in image.shape[:2])
    pixels: Any = np.einsum("ri,ij...->rj...", down, image, optimize=True)
    return np.asarray(np.einsum("cj,rj...->rc...", across, pixels, optimize=True), np.float32)


@lru_cache(maxsize=16)
def _blur_weights(
    length: int, sigma: float, border: Literal["edge", "reflect", "symmetric"]
) -> npt.NDArray[np.float32]:
    """The weight of each pixel of a line in each blurred one: float32 (length, length)."""
    radius = math.ceil(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    indices = np.pad(np.arange(length), radius, mode=border)
    weights = np.zeros((length, length), np.float64)
    for row in range(length):
        np.add.at(weights[row], indices[row : row + len(kernel)], kernel / kernel.sum())
    return weights.astype(np.float32)
