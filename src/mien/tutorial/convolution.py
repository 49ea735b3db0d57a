"""Convolution and pooling in plain NumPy, step by step, equal to Keras' own layers.

What networks call convolution is cross-correlation: the kernel is not flipped (Goodfellow et al. 2016, "Deep Learning",
section 9.1).
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
    from collections.abc import Callable, Iterator

    Values = npt.NDArray[np.float64]

PADDINGS = ("valid", "same")


@dataclass(frozen=True)
class Step:
    """The kernel at one position.

    Attributes:
        row: of the output value computed here.
        column: of the output value computed here.
        top: first row of the window in the padded image.
        left: first column of the window in the padded image.
        window: the pixels under the kernel: (kernel height, kernel width).
        products: window times kernel, element by element.
    """

    row: int
    column: int
    top: int
    left: int
    window: Values
    products: Values

    @property
    def total(self) -> float:
        """The sum of the products: one value of the feature map."""
        return float(self.products.sum())


def steps(image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid") -> Iterator[Step]:
    """Every position of a kernel on an image of one channel, row by row.

    Args:
        image: (height, width).
        kernel: (kernel height, kernel width).
        stride: pixels from one position to the next.
        padding: "valid" keeps the kernel inside; "same" pads with zeros, so that stride 1 keeps the size.

    Raises:
        UsageError: the shapes or options fit no convolution.
    """
    _check(image, kernel, 2, stride, padding)
    framed = padded(image.astype(np.float64), kernel.shape, stride, padding)
    high, wide = kernel.shape
    for row, top in enumerate(range(0, framed.shape[0] - high + 1, stride)):
        for column, left in enumerate(range(0, framed.shape[1] - wide + 1, stride)):
            window = framed[top : top + high, left : left + wide]
            yield Step(row, column, top, left, window, window * kernel)


def convolve(image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid") -> Values:
    """The feature map of one channel: float64 (rows, columns); arguments as for ``steps``.

    >>> convolve(np.eye(3), np.array([[1, 0], [0, 1]])).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    positions = list(steps(image, kernel, stride, padding))
    return np.array([step.total for step in positions]).reshape(positions[-1].row + 1, positions[-1].column + 1)


def convolution(
    image: npt.NDArray[Any],
    kernels: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None = None,
    stride: int = 1,
    padding: str = "valid",
) -> Values:
    """A whole convolution layer: each kernel sums over all channels and produces one feature map.

    Args:
        image: (height, width, channels).
        kernels: (kernel height, kernel width, channels, filters), as Keras has them.
        bias: (filters,), added to each feature map; None adds nothing.
        stride: pixels from one position to the next.
        padding: "valid" or "same".

    Returns:
        float64 (rows, columns, filters).

    Raises:
        UsageError: the shapes or options fit no convolution.
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
    values: Values = np.stack(maps, axis=-1)
    return values if bias is None else values + bias


def max_pooling(image: npt.NDArray[Any], size: int = 2, stride: int | None = None, padding: str = "valid") -> Values:
    """Max pooling: the largest value of each window, wherever in the window it lies.

    Args:
        image: (height, width) or (height, width, channels); each channel is pooled on its own.
        size: side of the window.
        stride: pixels from one window to the next; None: ``size``, so that windows touch.
        padding: "valid" drops pixels that no whole window covers; "same" lets windows extend past the border.

    Returns:
        float64 (rows, columns) or (rows, columns, channels).

    Raises:
        UsageError: the shapes or options fit no pooling.
    """
    return _pooled(image, size, stride, padding, np.nanmax)


def average_pooling(
    image: npt.NDArray[Any], size: int = 2, stride: int | None = None, padding: str = "valid"
) -> Values:
    """Average pooling: the mean of each window. Arguments as for ``max_pooling``.

    With "same" padding only pixels inside the image count, as in Keras on TensorFlow and JAX; on torch, Keras repeats
    the edge and counts it.
    """
    return _pooled(image, size, stride, padding, np.nanmean)


def padded(image: Values, window: tuple[int, ...], stride: int, padding: str, fill: float = 0.0) -> Values:
    """Pad an image; the larger half of an odd border goes to the bottom and right, as in Keras.

    Args:
        image: (height, width).
        window: height and width of the kernel or pooling window.
        stride: pixels from one position to the next.
        padding: "valid" (no border) or "same" (ceil(size / stride) positions).
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
    """Check that a window fits an image, both (height, width).

    Raises:
        UsageError: it does not fit, or the stride or padding is invalid.
    """
    if padding not in PADDINGS or stride < 1:
        raise UsageError(f"expected a stride from 1 and a padding of {PADDINGS}; received {stride} and {padding!r}")
    if padding == "valid" and any(side > length for side, length in zip(window, size, strict=True)):
        raise UsageError(f"expected a window no larger than the image's {size}; received {window}: or pad with 'same'")


def _pooled(image: npt.NDArray[Any], size: int, stride: int | None, padding: str, reduce: Callable[..., Any]) -> Values:
    step = size if stride is None else stride
    if image.ndim not in (2, 3) or 0 in image.shape or size < 1:
        raise UsageError(f"expected (height, width[, channels]) and a size from 1; received {describe(image)}, {size}")
    check_window(image.shape[:2], (size, size), step, padding)
    channels = np.atleast_3d(image.astype(np.float64))
    # the border is NaN, so that it is neither the maximum nor counted in the mean
    framed = [padded(channels[..., c], (size, size), step, padding, np.nan) for c in range(channels.shape[2])]
    windows = np.lib.stride_tricks.sliding_window_view(np.stack(framed, axis=-1), (size, size), axis=(0, 1))
    values: Values = reduce(windows[::step, ::step], axis=(-2, -1))
    return values[..., 0] if image.ndim == 2 else values
