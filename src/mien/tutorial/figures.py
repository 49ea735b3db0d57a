"""Images of the arithmetic: a convolution at one place and as an animation, pooling, activations, cross-entropy."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.errors import MissingExtraError, UsageError
from mien.media.files import redirect_library_caches, write_bytes
from mien.tutorial.activation import ACTIVATIONS
from mien.tutorial.convolution import convolve, padded, steps
from mien.tutorial.pooling import average_pooling, max_pooling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mien.tutorial.confusions import Confusion

    Values = npt.NDArray[np.float64]
    Frame = npt.NDArray[np.uint8]

INK, MARK, SPREAD = "#1c2230", "#c8423c", "#2c63c9"
DPI = 80
TWO_HUES = "RdBu_r"
"""Of matplotlib: blue below 0, red above."""

LARGEST = 12
"""Rows or columns up to which the numbers of a grid are written in."""


def figure(width: float, height: float) -> Figure:
    """An empty figure of inches, without a window to show it in.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    redirect_library_caches()
    try:
        from matplotlib.figure import Figure as Made
    except ImportError as error:
        raise MissingExtraError("drawing plots", "matplotlib", "plots") from error
    return Made(figsize=(width, height), dpi=DPI, layout="constrained")


def frame_of(drawn: Figure) -> Frame:
    """A figure as an image: uint8 (height, width, 3), RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3])


def convolution_step(
    image: npt.NDArray[Any], kernel: npt.NDArray[Any], place: int, stride: int = 1, padding: str = "valid"
) -> Frame:
    """A convolution when the kernel stands at one place: the window, the products, their sum, and the map so far.

    Args:
        image: (height, width), small enough to read its numbers.
        kernel: (kernel height, kernel width).
        place: number of the step, row by row from 0.
        stride: pixels from place to place.
        padding: "valid" or "same".

    Raises:
        UsageError: there is no such place, or what no convolution could use.
        MissingExtraError: matplotlib is not installed.
    """
    made = list(steps(image, kernel, stride, padding))
    if not 0 <= place < len(made):
        raise UsageError(f"expected a place from 0 to {len(made) - 1}; received {place}")
    step, whole = made[place], convolve(image, kernel, stride, padding)
    so_far = np.where(np.arange(whole.size).reshape(whole.shape) <= place, whole, np.nan)
    drawn = figure(11.0, 4.1)
    axes = drawn.subplots(1, 4, width_ratios=(1.5, 0.9, 0.9, 1.3))
    framed = padded(image.astype(np.float64), kernel.shape, stride, padding)
    _grid(axes[0], framed, "image" + (" with its border" if framed.shape != image.shape else ""), "Greys_r")
    _mark(axes[0], (step.left, step.top), kernel.shape)
    _grid(axes[1], kernel, "kernel", TWO_HUES)
    _grid(axes[2], step.products, f"products, sum {_number(step.total)}", TWO_HUES)
    _grid(axes[3], so_far, "map", TWO_HUES, (-float(np.abs(whole).max()), float(np.abs(whole).max())))
    _mark(axes[3], (step.column, step.row), (1, 1))
    return frame_of(drawn)


def convolution_animation(
    path: Path, image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid"
) -> None:
    """Writes a GIF of the kernel's way over an image, a step each third of a second; see ``convolution_step``."""
    places = range(len(list(steps(image, kernel, stride, padding))))
    write_gif(path, [convolution_step(image, kernel, place, stride, padding) for place in places])


def write_gif(path: Path, frames: Sequence[Frame], seconds: float = 0.35) -> None:
    """Writes images of one size as a GIF that goes round for ever, resting at its end.

    Raises:
        UsageError: there are none, or their sizes differ.
    """
    if len({frame.shape for frame in frames}) != 1:
        raise UsageError(f"expected images of one size; received {len(frames)} of {sorted({f.shape for f in frames})}")
    first, *others = (Image.fromarray(one).quantize(32) for one in frames)
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [round(4000 * seconds)]
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True)
    write_bytes(path, content.getvalue())


def pooling_image(image: npt.NDArray[Any], size: int = 2) -> Frame:
    """An image beside its max pooling and its average pooling; windows have frames."""
    drawn = figure(9.0, 4.2)
    axes = drawn.subplots(1, 3, width_ratios=(1.6, 1, 1))
    _grid(axes[0], image, "image", "Greys_r")
    for top in range(0, image.shape[0] - size + 1, size):
        for left in range(0, image.shape[1] - size + 1, size):
            _mark(axes[0], (left, top), (size, size), SPREAD)
    bound = (float(image.min()), float(image.max()))
    for place, (name, pool) in enumerate({"max": max_pooling, "ema_decay": average_pooling}.items(), 1):
        _grid(axes[place], pool(image, size), f"{name} of {size}x{size}", "Greys_r", bound)
    return frame_of(drawn)


def activations_image() -> Frame:
    """The activations that act on one number each, and softmax on a row."""
    drawn = figure(11.0, 2.9)
    axes = drawn.subplots(1, 4)
    x = np.linspace(-5, 5, 201)
    for at, name in zip(axes, ("sigmoid", "tanh", "relu"), strict=False):
        at.plot(x, ACTIVATIONS[name](x), color=SPREAD, linewidth=2)
        at.axhline(0, color="#c5cad3", linewidth=0.8)
        at.axvline(0, color="#c5cad3", linewidth=0.8)
        at.set_title(name)
    row = np.array([2.0, 1.0, 0.0, -1.0])
    bars = axes[3].bar([_number(value) for value in row], ACTIVATIONS["softmax"](row), color=SPREAD)
    axes[3].bar_label(bars, fmt="%.2f")
    axes[3].set_title("softmax of a row")
    axes[3].margins(y=0.15)
    return frame_of(drawn)


def confusion_image(found: Sequence[Confusion]) -> Frame:
    """Confusion matrices side by side as training goes on: a row is the truth, a column the answer, shaded by row.

    Raises:
        UsageError: there are none.
        MissingExtraError: matplotlib is not installed.
    """
    if not found:
        raise UsageError("expected a confusion at least; received none")
    drawn = figure(3.4 * len(found) + 0.6, 3.9)
    for at, one in zip(drawn.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        shares = one.counts / np.maximum(one.counts.sum(axis=1, keepdims=True), 1)
        at.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        at.set_title(f"{f'epoch {one.epoch}' if one.epoch else 'best'}: {one.accuracy:.0%} right")
        at.set_xticks(range(len(one.labels)), one.labels, rotation=45, ha="right")
        at.set_yticks(range(len(one.labels)), one.labels)
        if len(one.labels) <= LARGEST:
            for (row, column), count in np.ndenumerate(one.counts):
                ink = "white" if shares[row, column] > 0.5 else INK
                at.text(column, row, f"{count or ''}", ha="center", va="center", fontsize=7, color=ink)
    return frame_of(drawn)


def _grid(
    at: Axes,
    values: npt.NDArray[Any],
    title: str,
    colours: str,
    ends: tuple[float, float] | None = None,
) -> None:
    """Numbers as a grid of coloured squares; NaN stays empty. Colours of two hues have 0 in their middle."""
    signed = colours == TWO_HUES
    most = float(np.nanmax(np.abs(values))) or 1.0
    low, high = ends or ((-most, most) if signed else (float(np.nanmin(values)), float(np.nanmax(values))))
    at.imshow(values, cmap=colours, vmin=low, vmax=high)
    at.set_title(title, fontsize=11)
    at.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
    at.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
    at.grid(which="minor", color="#d5d9e0", linewidth=0.6)
    at.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    if max(values.shape) > LARGEST:
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            share = (value - low) / max(high - low, 1e-12)
            dark = abs(share - 0.5) > 0.35 if signed else share < 0.5
            colour = "white" if dark else INK
            at.text(column, row, _number(value), ha="center", va="center", fontsize=8, color=colour)


def _mark(at: Axes, corner: tuple[int, int], shape: tuple[int, ...], colour: str = MARK) -> None:
    """A frame round the squares from a corner (column, row)."""
    from matplotlib.patches import Rectangle

    at.add_patch(
        Rectangle((corner[0] - 0.5, corner[1] - 0.5), shape[1], shape[0], fill=False, edgecolor=colour, linewidth=2.5)
    )


def _number(value: float) -> str:
    """A number as short as it can be told."""
    rounded = round(float(value), 2) + 0.0  # which makes -0 a 0
    return f"{rounded:.2f}".rstrip("0").rstrip(".") if abs(rounded) < 1e4 else f"{rounded:.0f}"
