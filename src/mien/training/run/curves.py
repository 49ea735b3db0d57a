"""An image of a run's history: loss, accuracy and macro-F1, and the learning rate over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtraError, UsageError
from mien.media.files import atomic_write, redirect_library_caches
from mien.training.engine.schedule import best_epoch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mien.training.run.directory import Epoch

INK, FAINT = "#2b2f36", "#8a919c"
HEAD_COLOURS = ("#2166ac", "#d6604d", "#4d9221", "#8c510a")
"""Of the heads in their order; apart in lightness too."""
DOTTED_UP_TO = 12
"""Epochs up to which each is a dot: a line of one epoch would show nothing."""


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draws the history of a run as a PNG, the best epoch marked; written whole.

    Args:
        path: the image.
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
    """The best epoch's accuracy as a ring and a figure, written towards the middle of the image."""
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
    dot = "o" if len(history) <= DOTTED_UP_TO else None
    numbers = [epoch.number for epoch in history]
    axes.plot(numbers, values, color=colour, linewidth=1.7, marker=dot, markersize=3.5, **options)


def _legend(axes: Axes) -> None:
    axes.legend(
        facecolor="white", framealpha=0.8, edgecolor="none", fontsize=8, labelcolor=INK, loc="best", handlelength=2.4
    )


def _colour(at: int) -> str:
    return HEAD_COLOURS[at % len(HEAD_COLOURS)]
