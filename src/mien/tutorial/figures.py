"""Figures of the layers: one convolution step, its animation, pooling and activation functions."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.errors import MissingExtraError, UsageError
from mien.media.files import redirect_library_caches, write_bytes
from mien.tutorial.activation import ACTIVATIONS
from mien.tutorial.convolution import average_pooling, convolve, max_pooling, padded, steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Values = npt.NDArray[np.float64]
    Frame = npt.NDArray[np.uint8]

INK, RED, BLUE = "#1c2230", "#c8423c", "#2c63c9"
DPI = 80
DIVERGING = "RdBu_r"
"""Diverging colour map of matplotlib: blue below 0, red above."""

MAX_LABELLED_CELLS = 12
"""Maximum rows or columns of a grid whose numbers are written into its cells."""


def figure(width: float, height: float) -> Figure:
    """An empty matplotlib figure without a window; width and height in inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    redirect_library_caches()
    try:
        from matplotlib.figure import Figure as MatplotlibFigure
    except ImportError as error:
        raise MissingExtraError("drawing plots", "matplotlib", "plots") from error
    return MatplotlibFigure(figsize=(width, height), dpi=DPI, layout="constrained")


def frame_of(drawn: Figure) -> Frame:
    """Render a figure: uint8 (height, width, 3), RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3])


def convolution_step(
    image: npt.NDArray[Any], kernel: npt.NDArray[Any], position: int, stride: int = 1, padding: str = "valid"
) -> Frame:
    """Draw one step of a convolution: the window, the products, their sum, and the feature map so far.

    Args:
        image: (height, width), small enough that its numbers stay legible.
        kernel: (kernel height, kernel width).
        position: index of the step, row by row from 0.
        stride: pixels from one position to the next.
        padding: "valid" or "same".

    Raises:
        UsageError: there is no such position, or the arguments fit no convolution.
        MissingExtraError: matplotlib is not installed.
    """
    positions = list(steps(image, kernel, stride, padding))
    if not 0 <= position < len(positions):
        raise UsageError(f"expected a position from 0 to {len(positions) - 1}; received {position}")
    step, whole = positions[position], convolve(image, kernel, stride, padding)
    so_far = np.where(np.arange(whole.size).reshape(whole.shape) <= position, whole, np.nan)
    drawn = figure(11.0, 4.1)
    axes = drawn.subplots(1, 4, width_ratios=(1.5, 0.9, 0.9, 1.3))
    framed = padded(image.astype(np.float64), kernel.shape, stride, padding)
    _grid(axes[0], framed, "image" + (" with padding" if framed.shape != image.shape else ""), "Greys_r")
    _frame(axes[0], (step.left, step.top), kernel.shape)
    _grid(axes[1], kernel, "kernel", DIVERGING)
    _grid(axes[2], step.products, f"products, sum {_number(step.total)}", DIVERGING)
    _grid(axes[3], so_far, "feature map", DIVERGING, (-float(np.abs(whole).max()), float(np.abs(whole).max())))
    _frame(axes[3], (step.column, step.row), (1, 1))
    return frame_of(drawn)


def convolution_animation(
    path: Path, image: npt.NDArray[Any], kernel: npt.NDArray[Any], stride: int = 1, padding: str = "valid"
) -> None:
    """Write a GIF of the kernel sliding over an image, about three steps a second; see ``convolution_step``."""
    positions = range(len(list(steps(image, kernel, stride, padding))))
    write_gif(path, [convolution_step(image, kernel, position, stride, padding) for position in positions])


def write_gif(path: Path, frames: Sequence[Frame], seconds: float = 0.35) -> None:
    """Write images of one size as an endless GIF that pauses on its last frame.

    Raises:
        UsageError: there are no images, or their sizes differ.
    """
    if len({frame.shape for frame in frames}) != 1:
        raise UsageError(f"expected images of one size; received {len(frames)} of {sorted({f.shape for f in frames})}")
    first, *others = (Image.fromarray(frame).quantize(32) for frame in frames)
    milliseconds = [round(1000 * seconds)] * (len(frames) - 1) + [round(4000 * seconds)]
    content = io.BytesIO()
    first.save(content, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=True)
    write_bytes(path, content.getvalue())


def pooling_image(image: npt.NDArray[Any], size: int = 2) -> Frame:
    """An image next to its max pooling and average pooling, with the windows framed."""
    drawn = figure(9.0, 4.2)
    axes = drawn.subplots(1, 3, width_ratios=(1.6, 1, 1))
    _grid(axes[0], image, "image", "Greys_r")
    for top in range(0, image.shape[0] - size + 1, size):
        for left in range(0, image.shape[1] - size + 1, size):
            _frame(axes[0], (left, top), (size, size), BLUE)
    bound = (float(image.min()), float(image.max()))
    for index, (name, pool) in enumerate({"max": max_pooling, "average": average_pooling}.items(), 1):
        _grid(axes[index], pool(image, size), f"{name} of {size}x{size}", "Greys_r", bound)
    return frame_of(drawn)


def activations_image() -> Frame:
    """Curves of the element-wise activations, and softmax of one row as bars."""
    drawn = figure(11.0, 2.9)
    axes = drawn.subplots(1, 4)
    x = np.linspace(-5, 5, 201)
    for at, name in zip(axes, ("sigmoid", "tanh", "relu"), strict=False):
        at.plot(x, ACTIVATIONS[name](x), color=BLUE, linewidth=2)
        at.axhline(0, color="#c5cad3", linewidth=0.8)
        at.axvline(0, color="#c5cad3", linewidth=0.8)
        at.set_title(name)
    row = np.array([2.0, 1.0, 0.0, -1.0])
    bars = axes[3].bar([_number(value) for value in row], ACTIVATIONS["softmax"](row), color=BLUE)
    axes[3].bar_label(bars, fmt="%.2f")
    axes[3].set_title("softmax of a row")
    axes[3].margins(y=0.15)
    return frame_of(drawn)


def _grid(
    at: Axes,
    values: npt.NDArray[Any],
    title: str,
    colours: str,
    ends: tuple[float, float] | None = None,
) -> None:
    """Numbers as a grid of coloured cells; NaN stays empty. A diverging colour map is centred on 0."""
    signed = colours == DIVERGING
    largest = float(np.nanmax(np.abs(values))) or 1.0
    low, high = ends or ((-largest, largest) if signed else (float(np.nanmin(values)), float(np.nanmax(values))))
    at.imshow(values, cmap=colours, vmin=low, vmax=high)
    at.set_title(title, fontsize=11)
    at.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
    at.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
    at.grid(which="minor", color="#d5d9e0", linewidth=0.6)
    at.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    if max(values.shape) > MAX_LABELLED_CELLS:
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            share = (value - low) / max(high - low, 1e-12)
            dark = abs(share - 0.5) > 0.35 if signed else share < 0.5
            colour = "white" if dark else INK
            at.text(column, row, _number(value), ha="center", va="center", fontsize=8, color=colour)


def _frame(at: Axes, corner: tuple[int, int], shape: tuple[int, ...], colour: str = RED) -> None:
    """Frame the cells from a corner (column, row)."""
    from matplotlib.patches import Rectangle

    at.add_patch(
        Rectangle((corner[0] - 0.5, corner[1] - 0.5), shape[1], shape[0], fill=False, edgecolor=colour, linewidth=2.5)
    )


def _number(value: float) -> str:
    """A number with at most two decimals."""
    rounded = round(float(value), 2) + 0.0  # turns -0 into 0
    return f"{rounded:.2f}".rstrip("0").rstrip(".") if abs(rounded) < 1e4 else f"{rounded:.0f}"
