"""The four arrays that cross borders inside mien, and the checks made where users hand them in.

=============  =====================================  =============================================
Frame          uint8 (height, width, 3), RGB          one picture
Chips          uint8 (count, size, size, channels)    cropped faces; grey (1) or RGB (3)
Probabilities  float32 (count, labels)                rows sum to 1
Targets        float32 (count, labels)                rows sum to 1: one-hot, or shares of votes
=============  =====================================  =============================================

Chips stay uint8 at every border: scaling happens inside the network's graph, so it can be neither
forgotten nor done twice.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import PictureError, UsageError

Frame: TypeAlias = npt.NDArray[np.uint8]
Chips: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]
Targets: TypeAlias = npt.NDArray[np.float32]

ROW_SUM_TOLERANCE = 1e-3


def describe(array: object) -> str:
    """What came, in words for an error: type, dtype and shape."""
    if isinstance(array, np.ndarray):
        return f"an array of {array.dtype} with shape {array.shape}"
    return f"a {type(array).__name__}"


def check_frame(array: Any) -> Frame:
    """A picture from a Python user, checked.

    Args:
        array: uint8 (height, width, 3) in RGB order, at least 1x1.

    Raises:
        PictureError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
    if not good or 0 in array.shape:
        raise PictureError(
            "expected a picture as uint8 (height, width, 3) in RGB order; "
            f"received {describe(array)}. Convert floats with (x * 255).astype('uint8'), "
            "grey with numpy.repeat(x[..., None], 3, axis=2), OpenCV's BGR with x[..., ::-1]"
        )
    return np.ascontiguousarray(array)


def check_chips(array: Any) -> Chips:
    """Cropped faces from a Python user: uint8 (count, size, size, 1 or 3).

    Raises:
        PictureError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 4
    if not good or array.shape[1] != array.shape[2] or array.shape[1] == 0 or array.shape[3] not in (1, 3):
        raise PictureError(
            f"expected chips as uint8 (count, size, size, 1 or 3); received {describe(array)}. "
            "Crop faces with mien.cropping.crop"
        )
    return np.ascontiguousarray(array)


def check_distribution(array: Any, labels: int) -> npt.NDArray[np.float32]:
    """Probabilities or targets: float32 (count, labels), finite, none negative, rows that sum to 1.

    Raises:
        UsageError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.float32 and array.ndim == 2
    if not good or array.shape[1] != labels:
        raise UsageError(f"expected float32 (count, {labels}); received {describe(array)}")
    sums = array.sum(axis=1)
    if not (np.isfinite(array).all() and (array >= 0).all() and (np.abs(sums - 1) < ROW_SUM_TOLERANCE).all()):
        raise UsageError("expected rows that are finite, not negative and sum to 1; received rows that are not")
    checked: npt.NDArray[np.float32] = array
    return checked
