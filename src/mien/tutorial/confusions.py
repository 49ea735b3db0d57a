"""Confusion as training goes on: what is taken for what, at each moment of a run that can still be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import TrainingError
from mien.evaluation.metrics import wilson_interval
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keras

    from mien.data.dataset import Dataset
    from mien.explain.network import Network


@dataclass(frozen=True)
class Confusion:
    """What a network takes for what.

    Attributes:
        epoch: how many epochs it has learnt; 0: the best of the run, whichever it was.
        counts: int64 (labels, labels): rows are the truth, columns the answer.
        labels: the names of both.
    """

    epoch: int
    counts: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of the rows on the diagonal; NaN where there are none."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(int(np.trace(self.counts)), int(self.counts.sum()))


def confusions(run: Path, network: Network, data: Dataset) -> tuple[Confusion, ...]:
    """The confusion at each checkpoint of a run that is still there, by its own weights, and with the best weights.

    A run keeps three checkpoints; copy them aside while it goes on to see more of the way. A run's history holds no
    confusion, so each is judged anew.

    Args:
        run: its directory.
        network: of the run, with its best weights.
        data: rows to judge, with the run's first head.

    Raises:
        TrainingError: a checkpoint is damaged, or of another network.
    """
    from mien.training.engine.variables import restore, to_arrays

    best = to_arrays(network.model.weights)
    found = [judged(network.model, data, 0)]
    try:
        for epoch, weights in _moments(run):
            restore(network.model.weights, weights)
            found.append(judged(network.model, data, epoch))
    finally:
        restore(network.model.weights, best)
    return (*sorted(found[1:], key=lambda one: one.epoch), found[0])


def judged(model: keras.Model, data: Dataset, epoch: int) -> Confusion:
    """The confusion of a network on the rows whose first label set has a truth.

    Args:
        model: with a head of that label set.
        data: the rows.
        epoch: how many it has learnt.
    """
    from mien.training.tasks.classification.validation import predict_logits

    truth = data.truths[0]
    known = truth.evaluated
    answers = predict_logits(model, data.crops[known])[truth.head].argmax(axis=1)
    counts = np.zeros((len(truth.labels), len(truth.labels)), np.int64)
    np.add.at(counts, (truth.class_ids[known], answers), 1)
    return Confusion(epoch, counts, tuple(map(str, truth.labels)))


def _moments(run: Path) -> Iterator[tuple[int, dict[str, npt.NDArray[np.float32]]]]:
    """Epoch and weights of each whole checkpoint at the end of an epoch."""
    checkpoints = Checkpoints(run / CHECKPOINTS)
    for (epoch, step), path in checkpoints.places().items():
        if step == 0:
            checkpoint = checkpoints.read(path)
            if "model" not in checkpoint.arrays:
                raise TrainingError(f"expected a network's weights in {path}; received {sorted(checkpoint.arrays)}")
            yield epoch, checkpoint.arrays["model"]
