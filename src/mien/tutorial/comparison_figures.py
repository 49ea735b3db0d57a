"""Runs beside each other: their histories, and how well their networks answer as the task is made harder or easier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.training.run.history import best_epoch
from mien.tutorial.figures import INK, MARK, SPREAD, figure, frame_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from mien.training.run.history import Epoch
    from mien.tutorial.confusions import Confusion

    Frame = npt.NDArray[np.uint8]

LINES = (SPREAD, MARK, "#4d9221", "#8c510a", "#6a51a3", "#5f6670")
"""Colours of what is compared, in order; from the seventh on they come again."""

MARKERS = "osD^vX"
"""And the marks of their points, so that no line is told by its colour alone."""


def histories_image(histories: Mapping[str, Sequence[Epoch]]) -> Frame:
    """Loss (above) and accuracy (below) over the epochs, a column a run, on the same scales; the best epoch is ringed.

    Where the two lines of a run part, it learns its training images by heart. They are not measured alike: training
    is the mean over the epoch as the network saw the images (augmented, with dropout); validation is the averaged
    weights' at its end.

    Args:
        histories: by the name of the run; the first head of each is drawn.

    Raises:
        UsageError: there are none, or one has no epoch.
        MissingExtraError: matplotlib is not installed.
    """
    if not histories or not all(histories.values()):
        raise UsageError("expected histories with at least one epoch each; received none, or an empty one")
    drawn = figure(3.0 * len(histories) + 0.5, 4.8)
    rows = drawn.subplots(2, len(histories), squeeze=False, sharey="row", sharex="col")
    for losses, shares, (name, history) in zip(*rows, histories.items(), strict=True):
        best = history[best_epoch(history) - 1]
        own = [epoch.scores[0] for epoch in history]
        losses.set_title(name, fontsize=11)
        _pair(losses, history, [epoch.loss for epoch in history], [score.nll for score in own])
        _pair(shares, history, [epoch.accuracy for epoch in history], [score.accuracy for score in own])
        shares.plot(best.number, best.scores[0].accuracy, "o", markerfacecolor="none", color=SPREAD, markersize=9)
        shares.set_title(f"best {best.scores[0].accuracy:.1%}, epoch {best.number}", fontsize=9, color=SPREAD)
        shares.set_xlabel("epoch")
    rows[0][0].set_ylabel("loss")
    rows[0][0].set_ylim(bottom=0)
    rows[1][0].set_ylabel("accuracy")
    rows[1][0].yaxis.set_major_formatter(_percent)
    rows[0][-1].legend(fontsize=8)
    return frame_of(drawn)


def accuracies_image(steps: Sequence[float], found: Mapping[str, Sequence[Confusion]], along: str) -> Frame:
    """The accuracy of each network at each step, with its 95 % interval.

    Args:
        steps: what is changed, rising: pixels of a shift, images learnt from.
        found: by the name of a network, its confusion at each step.
        along: what the steps are, for the axis.

    Raises:
        UsageError: a network has not one confusion a step.
        MissingExtraError: matplotlib is not installed.
    """
    if not found or not steps or any(len(each) != len(steps) for each in found.values()):
        raise UsageError(f"expected {len(steps)} confusions of each network, and at least one; received others")
    drawn = figure(6.4, 3.8)
    at = drawn.subplots()
    for number, (name, each) in enumerate(found.items()):
        accuracies = [one.accuracy for one in each]
        lows, highs = zip(*(one.interval for one in each), strict=True)
        reach = [
            [accuracy - low for accuracy, low in zip(accuracies, lows, strict=True)],
            [high - accuracy for accuracy, high in zip(accuracies, highs, strict=True)],
        ]
        colour, marker = LINES[number % len(LINES)], MARKERS[number % len(MARKERS)]
        at.errorbar(steps, accuracies, reach, color=colour, marker=marker, markersize=5, capsize=3, label=name)
    if min(steps) > 0 and max(steps) >= 4 * min(steps):  # doublings then stand at even distances
        at.set_xscale("log", base=2)
    at.set_xticks(list(steps), [f"{step:,g}" for step in steps])
    at.minorticks_off()
    at.set_xlabel(along)
    at.set_ylabel("accuracy")
    at.yaxis.set_major_formatter(_percent)
    at.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    at.legend(fontsize=9)
    return frame_of(drawn)


def _pair(at: Axes, history: Sequence[Epoch], learnt: Sequence[float], held: Sequence[float]) -> None:
    numbers = [epoch.number for epoch in history]
    at.plot(numbers, learnt, color=INK, linestyle=(0, (3, 1.5)), linewidth=1.6, label="training")
    at.plot(numbers, held, color=SPREAD, linewidth=2, label="validation")
    at.grid(axis="y", color="#e4e7eb", linewidth=0.8)


def _percent(value: float, _: float) -> str:
    """A tick of an axis of shares: 0.425 is 42.5%."""
    return f"{round(100 * value, 1):g}%"
