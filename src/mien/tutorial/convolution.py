"""Convolution in steps: a kernel slides over an image, and at each place the products are summed.

What networks call convolution is cross-correlation: the kernel is not turned round (Goodfellow et al. 2016, "Deep
Learning", section 9.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    Values = npt.NDArray[np.float64]

PADDINGS = ("valid", "same")


@dataclass(frozen=True)
class Step:
    """The kernel at one place.

    Attributes:
        row: of the map's value that is made here.
        column: likewise.
        top: row of the padded image at which the window begins.
        left: likewise its column.
        window: what the kernel covers: (kernel height, kernel width).
        products: window times kernel, number by number.
    """

    row: int
    column: int
    top: int
    left: int
    window: Values
    products: Values

    @property
    def total(self) -> float:
        """The sum at this place: one value of the map."""
        return float(self.products.sum())


def steps(image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid") -> Iterator[Step]:
    """Each place that a kernel takes on an image of one channel, row by row.

    Args:
        image: (height, width).
        kernel: (kernel height, kernel width).
        stride: pixels from place to place.
        padding: "valid": the kernel stays inside; "same": zeros around, so that stride 1 keeps the size.

    Raises:
        UsageError: shapes or options that no convolution could use.
    """
    _check(image, kernel, 2, stride, padding)
    framed = padded(image.astype(np.float64), kernel.shape, stride, padding)
    high, wide = kernel.shape
    for row, top in enumerate(range(0, framed.shape[0] - high + 1, stride)):
        for column, left in enumerate(range(0, framed.shape[1] - wide + 1, stride)):
            window = framed[top : top + high, left : left + wide]
            yield Step(row, column, top, left, window, window * kernel)


def convolve(image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid") -> Values:
    """The map of all places of one channel: float64 (rows, columns); see ``steps``."""
    made = list(steps(image, kernel, stride, padding))
    return np.array([step.total for step in made]).reshape(made[-1].row + 1, made[-1].column + 1)


def convolution(
    image: npt.NDArray[Any],
    kernels: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None = None,
    stride: int = 1,
    padding: str = "valid",
) -> Values:
    """A whole layer: every kernel sums over all channels, so each makes one map.

    Args:
        image: (height, width, channels).
        kernels: (kernel height, kernel width, channels, filters), as Keras has them.
        bias: (filters,), added to each map; None: nothing.
        stride: pixels from place to place.
        padding: "valid" or "same".

    Returns:
        float64 (rows, columns, filters).

    Raises:
        UsageError: shapes or options that no convolution could use.
    """
    _check(image, kernels[..., 0] if kernels.ndim == 4 else kernels, 3, stride, padding)
    if image.shape[2] != kernels.shape[2]:
        raise UsageError(
            f"expected kernels over the image's {image.shape[2]} channels; received {describe(kernels)}: "
            "their third axis is the channels"
        )
    maps = [
        sum(convolve(image[..., c], kernels[..., c, f], stride, padding) for c in range(kernels.shape[2]))
        for f in range(kernels.shape[3])
    ]
    made: Values = np.stack(maps, axis=-1)
    return made if bias is None else made + bias


def padded(image: Values, window: tuple[int, ...], stride: int, padding: str, fill: float = 0.0) -> Values:
    """An image with the border that a padding asks for; of an odd border the larger half is below and to the right.

    Args:
        image: (height, width).
        window: height and width of what slides over it.
        stride: pixels from place to place.
        padding: "valid" (no border) or "same": as many places as ceil(size / stride).
        fill: value of the border.
    """
    if padding == "valid":
        return image
    borders = []
    for size, side in zip(image.shape, window, strict=True):
        missing = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
        borders.append((missing // 2, missing - missing // 2))
    return np.pad(image, borders, constant_values=fill)


def _check(image: npt.NDArray[Any], kernel: npt.NDArray[Any], axes: int, stride: int, padding: str) -> None:
    if image.ndim != axes or kernel.ndim != axes or 0 in image.shape or 0 in kernel.shape:
        raise UsageError(
            f"expected an image of {axes} axes and a kernel of {axes} (with filters {axes + 1}); received "
            f"{describe(image)} and {describe(kernel)}"
        )
    check_window(image.shape[:2], kernel.shape[:2], stride, padding)


def check_window(size: tuple[int, ...], window: tuple[int, ...], stride: int, padding: str) -> None:
    """Nothing, where a window can slide over an image of a size, both (height, width).

    Raises:
        UsageError: it can't.
    """
    if padding not in PADDINGS or stride < 1:
        raise UsageError(f"expected a stride from 1 and a padding of {PADDINGS}; received {stride} and {padding!r}")
    if padding == "valid" and any(side > length for side, length in zip(window, size, strict=True)):
        raise UsageError(f"expected a window no larger than the image's {size}; received {window}: or pad with 'same'")
