"""The four array types, their checks, and the code that turns another array into an image.

=============  =====================================  =============================================
Frame          uint8 (height, width, 3), RGB          one image
Crops          uint8 (count, size, size, channels)    face crops; grey (1 channel) or RGB (3)
Probabilities  float32 (count, labels)                rows sum to 1
Targets        float32 (count, labels)                rows sum to 1: one-hot, or shares of votes
=============  =====================================  =============================================

Face crops stay uint8 at every interface: the network's graph scales them, so scaling can be neither forgotten nor
done twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import ImageError, UsageError

Frame: TypeAlias = npt.NDArray[np.uint8]
Crops: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]
Targets: TypeAlias = npt.NDArray[np.float32]

ROW_SUM_TOLERANCE = 1e-3

OVERSHOOT = 0.2
"""Share of the range by which resizing may take float pixels beyond it."""


def describe(value: object) -> str:
    """Type, dtype and shape of a value, for error messages; also of tensors, whichever library made them."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    name = type(value).__name__
    article = "an" if name[0] in "AEIOUaeiou" else "a"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return f"{article} {name}"
    return f"{article} {name} of {getattr(dtype, 'name', dtype)} with shape {_sides(shape)}"


def check_frame(array: Any, name: str = "x") -> Frame:
    """Check an image given as an array.

    Args:
        array: uint8 (height, width, 3) in RGB order, at least 1x1.
        name: of the array in the code that the message gives.

    Raises:
        ImageError: the array is anything else; the message has the code that converts it, where there is one.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
    if not good or 0 in array.shape:
        raise ImageError(
            f"expected an image as uint8 (height, width, 3) in RGB order; received {describe(array)}. "
            + _frame_remedy(array, name)
        )
    return np.ascontiguousarray(array)


def check_crops(array: Any) -> Crops:
    """Check face crops given as an array: uint8 (count, size, size, 1 or 3).

    Raises:
        ImageError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 4
    if not good or array.shape[1] != array.shape[2] or array.shape[1] == 0 or array.shape[3] not in (1, 3):
        raise ImageError(
            f"expected face crops as uint8 (count, size, size, 1 or 3); received {describe(array)}. "
            "Crop faces with mien.classification.face_crop.crop"
        )
    return np.ascontiguousarray(array)


def check_distribution(array: Any, labels: int) -> npt.NDArray[np.float32]:
    """Check probabilities or targets: float32 (count, labels), finite, not negative, rows sum to 1.

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


class _Step(NamedTuple):
    """A step of a conversion.

    Attributes:
        reason: what about the array makes it necessary.
        code: the conversion, with {} for the array.
    """

    reason: str
    code: str


def _frame_remedy(array: object, name: str) -> str:
    """How to make an image of an array: its code, or why there is none."""
    if not isinstance(array, np.ndarray):
        return "Pass a NumPy array"
    if 0 in array.shape:
        return "It is empty: check the slice or the file that it comes from"
    if array.ndim == 4:
        return f"It is a batch: pass each of its images, or the batch to predict_many({name})"
    layout = _layout_steps(array.shape)
    values = None if array.dtype == np.uint8 else _value_step(array)
    if layout is None or (values is not None and not values.code):
        return f"{values.reason}" if layout is not None and values else "It is no image: check where it comes from"
    grey = array.ndim == 2 or array.shape[0 if _channels_first(array.shape) else 2] == 1
    steps = [*layout, *filter(None, [values]), *([_Step("it is grey", "np.repeat({}[..., None], 3, axis=2)")] * grey)]
    code = name
    for step in steps:
        code = step.code.format(code)
    reasons = "; ".join(dict.fromkeys(step.reason for step in steps))
    return f"{reasons[0].upper()}{reasons[1:]}: pass {code}"


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4)


def _layout_steps(shape: tuple[int, ...]) -> list[_Step] | None:
    """The steps to (height, width, 3), or to (height, width) of a grey image; None where the shape is no image's."""
    if len(shape) == 2:
        return []
    first = _channels_first(shape)
    if len(shape) != 3 or not (first or shape[2] in (1, 3, 4)):
        return None
    steps = []
    if first and shape[0] > 1:
        reason = "its channels come first, as in torch, where x.permute(1, 2, 0) puts them last"
        steps.append(_Step(reason, "{}.transpose(1, 2, 0)"))
    if 4 in (shape[2], shape[0] if first else 0):
        steps.append(_Step("it has a fourth channel, transparency", "{}[..., :3]"))
    if 1 in (shape[2], shape[0] if first else 0):
        steps.append(_Step("it is grey", "{}[0]" if first else "{}[..., 0]"))
    return steps


def _value_step(array: npt.NDArray[Any]) -> _Step:
    """The step from other values to uint8; without code where it can't be known."""
    if array.dtype == np.bool_:
        return _Step("it is a mask", "({} * np.uint8(255))")
    if array.dtype.kind not in "iuf":
        return _Step("Its values are no numbers: build it with np.array(..., dtype='uint8')", "")
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return _Step("Its values are not all finite: find where NaN or infinity comes from", "")
    return _float_step(float(low), float(high)) if array.dtype.kind == "f" else _integer_step(int(low), int(high))


def _float_step(low: float, high: float) -> _Step:
    """The step for float pixels between two values, by the scale that they seem to have."""
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        inside = "{}" if low >= 0 and high <= 1 else "{}.clip(0, 1)"
        return _Step("its values are 0 to 1", f"({inside} * 255).round().astype('uint8')")
    if low >= -1 - OVERSHOOT and high <= 1 + OVERSHOOT:
        inside = "{}" if low >= -1 and high <= 1 else "{}.clip(-1, 1)"
        return _Step("its values are -1 to 1", f"(({inside} + 1) * 127.5).round().astype('uint8')")
    if low >= 0 and high <= 255:
        return _Step("its values are 0 to 255", "{}.round().astype('uint8')")
    if high > 50 and low >= -255 * OVERSHOOT and high <= 255 * (1 + OVERSHOOT):
        return _Step("its values are about 0 to 255", "{}.round().clip(0, 255).astype('uint8')")
    return _Step(
        f"Its values are {low:.4g} to {high:.4g}, as after normalisation: undo it (x * std + mean), then scale to 0 "
        "to 255 and convert with .round().astype('uint8')",
        "",
    )


def _integer_step(low: int, high: int) -> _Step:
    """The step for whole numbers between two values; more than 8 bits keep their upper ones."""
    if low >= 0 and high <= 255:
        return _Step("its values are 0 to 255", "{}.astype('uint8')")
    if low >= 0 and high < 1 << 16:
        bits = next(bits for bits in (10, 12, 14, 16) if high < 1 << bits)
        return _Step(f"its values are those of {bits} bits", f"({{}} >> {bits - 8}).astype('uint8')")
    return _Step(f"Its values are {low} to {high}: scale them to 0 to 255 and convert with .astype('uint8')", "")


def _sides(shape: Any) -> Any:
    """A shape as a plain tuple where its type can be turned into one."""
    try:
        return tuple(None if side is None else int(side) for side in shape)
    except (TypeError, ValueError):
        return shape
