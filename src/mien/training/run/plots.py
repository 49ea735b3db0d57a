"""Plots of a run: learning curves, augmentation samples, and a TensorBoard log."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.errors import MissingExtraError, UsageError
from mien.media.files import atomic_write, redirect_library_caches
from mien.training.engine.augmentation import augment, draws
from mien.training.run.history import best_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig
    from mien.training.run.history import Epoch

SAMPLE_IMAGES, SAMPLE_EPOCHS = 4, 4
TILE_PX, GAP_PX, HEADING_PX = 112, 8, 26
SAMPLE_INK, SAMPLE_PAPER = (70, 76, 86), (255, 255, 255)

INK, FAINT = "#2b2f36", "#8a919c"
HEAD_COLOURS = ("#2166ac", "#d6604d", "#4d9221", "#8c510a")
"""By head; they differ in lightness too."""
MAX_MARKED_EPOCHS = 12
"""Epochs up to which each has a marker: a line of one epoch would show nothing."""


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draw the learning curves of a run as a PNG and mark the best epoch.

    Args:
        path: the image, written atomically.
        history: at least one epoch, in order.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: there is no epoch.
    """
    if not history:
        raise UsageError("expected the history of a run with at least one finished epoch; received none")
    redirect_library_caches()
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError("drawing curves", "matplotlib", "plots") from error
    with rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        layout = ConstrainedLayoutEngine(wspace=0.03, w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(12, 4), dpi=110, layout=layout, facecolor="white")
        FigureCanvasAgg(figure)
        _fill(figure, history)
        with atomic_write(path) as aside:
            figure.savefig(aside, format="png")


def _fill(figure: Figure, history: Sequence[Epoch]) -> None:
    losses, shares, rates = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    best = history[best_epoch(history) - 1]
    for axes, title in ((losses, "Loss"), (shares, "Accuracy and macro-F1"), (rates, "Learning rate")):
        _furnish(axes, title, history)
        axes.margins(y=0.08)
        axes.axvline(best.number, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    _draw_losses(losses, history)
    _draw_shares(shares, history, best)
    shares.set_title(f"best: epoch {best.number}", loc="right", color=FAINT, fontsize=9)
    _line(rates, history, [epoch.learning_rate for epoch in history], INK)
    rates.set_ylim(bottom=0)


def _draw_losses(axes: Axes, history: Sequence[Epoch]) -> None:
    _line(axes, history, [epoch.loss for epoch in history], INK, label="training")
    for at, score in enumerate(history[0].scores):
        values = [epoch.scores[at].nll for epoch in history]
        _line(axes, history, values, _colour(at), label=f"{score.head}, validation (NLL)")
    axes.set_ylim(bottom=0)
    _legend(axes)


def _draw_shares(axes: Axes, history: Sequence[Epoch], best: Epoch) -> None:
    _line(axes, history, [epoch.accuracy for epoch in history], INK, label="training images, as augmented", alpha=0.45)
    for at, score in enumerate(history[0].scores):
        accuracy = [epoch.scores[at].accuracy for epoch in history]
        _line(axes, history, accuracy, _colour(at), label=f"{score.head}, accuracy")
        macro_f1 = [epoch.scores[at].macro_f1 for epoch in history]
        _line(axes, history, macro_f1, _colour(at), label=f"{score.head}, macro-F1", linestyle=(0, (2, 1.5)))
        _mark(axes, best, best.scores[at].accuracy, _colour(at), rightmost=history[-1].number)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend(axes)


def _mark(axes: Axes, best: Epoch, value: float, colour: str, rightmost: int) -> None:
    """Mark the best epoch's accuracy with a ring and its value."""
    axes.plot([best.number], [value], "o", color="white", markeredgecolor=colour, markeredgewidth=1.6, markersize=6)
    late = best.number > rightmost / 2
    axes.annotate(
        f"{value:.1%}",
        (best.number, value),
        xytext=(-8 if late else 8, 6),
        textcoords="offset points",
        ha="right" if late else "left",
        color=colour,
        fontweight="bold",
    )


def _furnish(axes: Axes, title: str, history: Sequence[Epoch]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", color=INK, fontweight="bold", fontsize=10)
    axes.set_xlabel("epoch", color=FAINT)
    axes.set_xlim(min(history[0].number, 1) - 0.5, max(history[-1].number, 2) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c4c9d1")


def _line(axes: Axes, history: Sequence[Epoch], values: Sequence[float], colour: str, **options: Any) -> None:
    dot = "o" if len(history) <= MAX_MARKED_EPOCHS else None
    numbers = [epoch.number for epoch in history]
    axes.plot(numbers, values, color=colour, linewidth=1.7, marker=dot, markersize=3.5, **options)


def _legend(axes: Axes) -> None:
    axes.legend(
        facecolor="white", framealpha=0.8, edgecolor="none", fontsize=8, labelcolor=INK, loc="best", handlelength=2.4
    )


def _colour(at: int) -> str:
    return HEAD_COLOURS[at % len(HEAD_COLOURS)]


def write_samples(path: Path, training: Dataset, config: TrainingConfig) -> None:
    """Write a PNG of four training images, one per row: the original, then its augmentation in four epochs.

    Mixup is not shown.

    Args:
        path: the image, written atomically.
        training: the training split.
        config: its augmentation and seed; the sheet shows the images that the run will use.
    """
    rows = np.unique(np.linspace(0, len(training) - 1, SAMPLE_IMAGES + 2).round().astype(int)[1:-1])
    epochs = sorted({round(part * (config.epochs - 1) / (SAMPLE_EPOCHS - 1)) for part in range(SAMPLE_EPOCHS)})
    columns = [training.crops[rows]]
    for epoch in epochs:
        table = draws(config.seed, epoch * config.repeats, len(training))[rows]
        columns.append(augment(training.crops[rows], table, config.augmentation_of(epoch)))
    headings = ["original", *(f"epoch {epoch + 1}" for epoch in epochs)]
    with atomic_write(path) as aside:
        _sheet(np.stack(columns), headings).save(aside, format="PNG")


def _sheet(columns: npt.NDArray[np.uint8], headings: list[str]) -> Image.Image:
    """Face crops (columns, rows, size, size, channels) under their headings; the first column is set off."""
    across, down = columns.shape[:2]
    sheet = Image.new(
        "RGB", (across * (TILE_PX + GAP_PX) + 3 * GAP_PX, HEADING_PX + down * (TILE_PX + GAP_PX)), SAMPLE_PAPER
    )
    pen = ImageDraw.Draw(sheet)
    for column in range(across):
        left = GAP_PX + column * (TILE_PX + GAP_PX) + (GAP_PX if column else 0)
        pen.text((left, GAP_PX // 2), headings[column], fill=SAMPLE_INK, font=ImageFont.load_default(14))
        for row in range(down):
            sheet.paste(_enlarged(columns[column, row]), (left, HEADING_PX + row * (TILE_PX + GAP_PX)))
    return sheet


def _enlarged(crop: npt.NDArray[np.uint8]) -> Image.Image:
    factor = max(1, TILE_PX // crop.shape[0])  # an integer, so pixels stay square
    method = cv2.INTER_AREA if crop.shape[0] > TILE_PX else cv2.INTER_NEAREST
    large = cv2.resize(np.repeat(np.repeat(crop, factor, 0), factor, 1), (TILE_PX, TILE_PX), interpolation=method)
    return Image.fromarray(large.reshape(TILE_PX, TILE_PX, -1).repeat(3 // crop.shape[2], axis=2))


def open_log(folder: Path) -> Callable[[Epoch], None]:
    """Open a log for TensorBoard: ``tensorboard --logdir FOLDER``; the result writes an epoch's scalars.

    A resumed run writes a second event file; repeated epochs replace the earlier ones.

    Args:
        folder: created if needed; a run directory works.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise MissingExtraError("writing a log for TensorBoard", "tensorboard", "tensorboard") from error
    writer = EventFileWriter(str(folder))
    started = False

    def write(epoch: Epoch) -> None:
        nonlocal started
        if not started:  # makes TensorBoard drop this and later epochs from the file of a killed run
            start = SessionLog(status=SessionLog.START)
            writer.add_event(Event(wall_time=time.time(), step=epoch.number, session_log=start))
            started = True
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(epoch) if math.isfinite(value)]
        writer.add_event(Event(wall_time=time.time(), step=epoch.number, summary=Summary(value=values)))
        writer.flush()

    return write


def scalars(epoch: Epoch) -> Iterator[tuple[str, float]]:
    """Tags and values of an epoch; the part of a tag before the slash groups the charts."""
    yield "loss/training", epoch.loss
    for score in epoch.scores:
        yield f"loss/{score.head}", score.nll
        yield f"accuracy/{score.head}", score.accuracy
        yield f"macro_f1/{score.head}", score.macro_f1
    yield "run/learning_rate", epoch.learning_rate
    yield "run/images_per_second", epoch.images_per_second
    yield "run/seconds", epoch.seconds
