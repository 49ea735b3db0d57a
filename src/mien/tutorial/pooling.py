"""Pooling: the largest value, or the mean, of each window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import describe
from mien.tutorial.convolution import check_window, padded

if TYPE_CHECKING:
    from collections.abc import Callable

    Values = npt.NDArray[np.float64]


def max_pooling(image: npt.NDArray[Any], size: int = 2, stride: int | None = None, padding: str = "valid") -> Values:
    """The largest value of each window: what was found, wherever in the window it lies.

    Args:
        image: (height, width) or (height, width, channels); each channel for itself.
        size: side of the window.
        stride: pixels from window to window; None: the side, so that windows touch.
        padding: "valid": what no whole window covers is dropped; "same": windows reach over the border.

    Returns:
        float64 (rows, columns) or (rows, columns, channels).

    Raises:
        UsageError: shapes or options that no pooling could use.
    """
    return _pooled(image, size, stride, padding, np.nanmax)


def average_pooling(
    image: npt.NDArray[Any], size: int = 2, stride: int | None = None, padding: str = "valid"
) -> Values:
    """The mean of each window; at a border of what lies inside. See ``max_pooling``.

    With "same" that is Keras on TensorFlow and JAX; on torch Keras repeats the edge and counts it too.
    """
    return _pooled(image, size, stride, padding, np.nanmean)


def _pooled(image: npt.NDArray[Any], size: int, stride: int | None, padding: str, reduce: Callable[..., Any]) -> Values:
    step = size if stride is None else stride
    if image.ndim not in (2, 3) or 0 in image.shape or size < 1:
        raise UsageError(f"expected (height, width[, channels]) and a size from 1; received {describe(image)}, {size}")
    check_window(image.shape[:2], (size, size), step, padding)
    channels = np.atleast_3d(image.astype(np.float64))
    # the border is no number, so that it is neither the largest nor counted in the mean
    framed = [padded(channels[..., c], (size, size), step, padding, np.nan) for c in range(channels.shape[2])]
    windows = np.lib.stride_tricks.sliding_window_view(np.stack(framed, axis=-1), (size, size), axis=(0, 1))
    made: Values = reduce(windows[::step, ::step], axis=(-2, -1))
    return made[..., 0] if image.ndim == 2 else made
