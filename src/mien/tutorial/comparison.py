"""Comparison of runs: confusion matrices over the checkpoints, training curves, accuracy against a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import TrainingError, UsageError
from mien.evaluation.metrics import wilson_interval
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import CHECKPOINTS
from mien.training.run.history import best_epoch
from mien.tutorial.figures import BLUE, INK, MAX_LABELLED_CELLS, RED, figure, frame_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import keras
    from matplotlib.axes import Axes

    from mien.data.dataset import Dataset
    from mien.explain.network import Network
    from mien.training.run.history import Epoch

    Frame = npt.NDArray[np.uint8]

LINE_COLOURS = (BLUE, RED, "#4d9221", "#8c510a", "#6a51a3", "#5f6670")
"""Colours of the compared networks in order; they repeat from the seventh on."""

MARKERS = "osD^vX"
"""Markers of the compared networks, so that no line differs by colour alone."""


@dataclass(frozen=True)
class ConfusionMatrix:
    """The confusion matrix of a network.

    Attributes:
        epoch: epochs of training behind it; 0 stands for the best epoch of the run.
        counts: int64 (labels, labels): rows are true labels, columns predictions.
        labels: names of the rows and columns.
    """

    epoch: int
    counts: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of the images on the diagonal; NaN for an empty matrix."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(int(np.trace(self.counts)), int(self.counts.sum()))


def confusion_history(run: Path, network: Network, data: Dataset) -> tuple[ConfusionMatrix, ...]:
    """The confusion matrix at each checkpoint that a run still has, then that of its best weights.

    A run keeps three checkpoints; copy them during training to cover more epochs. Each matrix is evaluated anew, since
    the history of a run holds none.

    Args:
        run: its directory.
        network: of the run, with its best weights.
        data: rows to evaluate, with the run's first head.

    Raises:
        TrainingError: a checkpoint is damaged, or belongs to another network.
    """
    from mien.training.engine.variables import restore, to_arrays

    best = to_arrays(network.model.weights)
    matrices = [confusion_matrix(network.model, data, 0)]
    try:
        for epoch, weights in _checkpoint_weights(run):
            restore(network.model.weights, weights)
            matrices.append(confusion_matrix(network.model, data, epoch))
    finally:
        restore(network.model.weights, best)
    return (*sorted(matrices[1:], key=lambda matrix: matrix.epoch), matrices[0])


def confusion_matrix(model: keras.Model, data: Dataset, epoch: int) -> ConfusionMatrix:
    """The confusion matrix of a network on the rows whose first head has a target.

    Args:
        model: with that head.
        data: the rows.
        epoch: epochs of training behind it.
    """
    from mien.training.tasks.classification.task import predict_logits

    truth = data.truths[0]
    known = truth.evaluated
    predictions = predict_logits(model, data.crops[known])[truth.head].argmax(axis=1)
    counts = np.zeros((len(truth.labels), len(truth.labels)), np.int64)
    np.add.at(counts, (truth.class_ids[known], predictions), 1)
    return ConfusionMatrix(epoch, counts, tuple(map(str, truth.labels)))


def confusion_image(matrices: Sequence[ConfusionMatrix]) -> Frame:
    """Confusion matrices side by side, normalised by row: rows are true labels, columns predictions.

    Raises:
        UsageError: there are no matrices.
        MissingExtraError: matplotlib is not installed.
    """
    if not matrices:
        raise UsageError("expected at least one confusion matrix; received none")
    drawn = figure(3.4 * len(matrices) + 0.6, 3.9)
    for at, matrix in zip(drawn.subplots(1, len(matrices), squeeze=False)[0], matrices, strict=True):
        shares = matrix.counts / np.maximum(matrix.counts.sum(axis=1, keepdims=True), 1)
        at.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        at.set_title(f"{f'epoch {matrix.epoch}' if matrix.epoch else 'best'}: {matrix.accuracy:.0%} accuracy")
        at.set_xticks(range(len(matrix.labels)), matrix.labels, rotation=45, ha="right")
        at.set_yticks(range(len(matrix.labels)), matrix.labels)
        if len(matrix.labels) <= MAX_LABELLED_CELLS:
            for (row, column), count in np.ndenumerate(matrix.counts):
                ink = "white" if shares[row, column] > 0.5 else INK
                at.text(column, row, f"{count or ''}", ha="center", va="center", fontsize=7, color=ink)
    return frame_of(drawn)


def histories_image(histories: Mapping[str, Sequence[Epoch]]) -> Frame:
    """Loss (top) and accuracy (bottom) over the epochs, one column per run, on shared axes; the best epoch is ringed.

    Where the two lines of a run diverge, it overfits. They are measured differently: training values are means over the
    epoch with augmentation and dropout, validation values are those of the averaged weights at its end.

    Args:
        histories: by the name of the run; the first head of each is drawn.

    Raises:
        UsageError: there are no histories, or one has no epoch.
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
        shares.plot(best.number, best.scores[0].accuracy, "o", markerfacecolor="none", color=BLUE, markersize=9)
        shares.set_title(f"best {best.scores[0].accuracy:.1%}, epoch {best.number}", fontsize=9, color=BLUE)
        shares.set_xlabel("epoch")
    rows[0][0].set_ylabel("loss")
    rows[0][0].set_ylim(bottom=0)
    rows[1][0].set_ylabel("accuracy")
    rows[1][0].yaxis.set_major_formatter(_percent)
    rows[0][-1].legend(fontsize=8)
    return frame_of(drawn)


def accuracies_image(
    conditions: Sequence[float], matrices: Mapping[str, Sequence[ConfusionMatrix]], label: str
) -> Frame:
    """The accuracy of each network at each value of a condition, with its 95 % interval.

    Args:
        conditions: values of the x axis, ascending: pixels of a shift, number of training images.
        matrices: by the name of a network, its confusion matrix at each condition.
        label: of the x axis.

    Raises:
        UsageError: a network does not have one confusion matrix per condition.
        MissingExtraError: matplotlib is not installed.
    """
    if not matrices or not conditions or any(len(each) != len(conditions) for each in matrices.values()):
        raise UsageError(
            f"expected {len(conditions)} confusion matrices for each network, at least one; received another number"
        )
    drawn = figure(6.4, 3.8)
    at = drawn.subplots()
    for number, (name, each) in enumerate(matrices.items()):
        accuracies = [matrix.accuracy for matrix in each]
        lows, highs = zip(*(matrix.interval for matrix in each), strict=True)
        errors = [
            [accuracy - low for accuracy, low in zip(accuracies, lows, strict=True)],
            [high - accuracy for accuracy, high in zip(accuracies, highs, strict=True)],
        ]
        colour, marker = LINE_COLOURS[number % len(LINE_COLOURS)], MARKERS[number % len(MARKERS)]
        at.errorbar(conditions, accuracies, errors, color=colour, marker=marker, markersize=5, capsize=3, label=name)
    if min(conditions) > 0 and max(conditions) >= 4 * min(conditions):  # doublings are then evenly spaced
        at.set_xscale("log", base=2)
    at.set_xticks(list(conditions), [f"{value:,g}" for value in conditions])
    at.minorticks_off()
    at.set_xlabel(label)
    at.set_ylabel("accuracy")
    at.yaxis.set_major_formatter(_percent)
    at.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    at.legend(fontsize=9)
    return frame_of(drawn)


def _checkpoint_weights(run: Path) -> Iterator[tuple[int, dict[str, npt.NDArray[np.float32]]]]:
    """Epoch and weights of each checkpoint at the end of an epoch."""
    checkpoints = Checkpoints(run / CHECKPOINTS)
    for (epoch, step), path in checkpoints.places().items():
        if step == 0:
            checkpoint = checkpoints.read(path)
            if "model" not in checkpoint.arrays:
                raise TrainingError(
                    f"expected the weights of a network in {path}; received {sorted(checkpoint.arrays)}"
                )
            yield epoch, checkpoint.arrays["model"]


def _pair(at: Axes, history: Sequence[Epoch], training: Sequence[float], validation: Sequence[float]) -> None:
    numbers = [epoch.number for epoch in history]
    at.plot(numbers, training, color=INK, linestyle=(0, (3, 1.5)), linewidth=1.6, label="training")
    at.plot(numbers, validation, color=BLUE, linewidth=2, label="validation")
    at.grid(axis="y", color="#e4e7eb", linewidth=0.8)


def _percent(value: float, _: float) -> str:
    """A tick label in per cent: 0.425 is 42.5%."""
    return f"{round(100 * value, 1):g}%"
