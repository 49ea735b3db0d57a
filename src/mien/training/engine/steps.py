"""Training steps: one batch at a time from the host, or many in one program on a GPU that holds the data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mien.training.engine.optimization import learning_rate_at
from mien.training.engine.variables import reseed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import keras

    from mien.structures import Crops, Targets
    from mien.training.config import TrainingConfig
    from mien.training.run.history import Epoch

    Batches = Callable[[int, int], Iterator["Batch"]]

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """The images of one step, with the targets and weights of each head by name."""

    crops: Crops
    targets: dict[str, Targets]
    weights: dict[str, Weights]


@dataclass(frozen=True)
class StepResult:
    """The result of one or more training steps.

    Attributes:
        steps: how many.
        loss: summed over the steps.
        accuracy: of the first head, summed over the steps.
        waiting: seconds spent waiting for images.
    """

    steps: int
    loss: float
    accuracy: float
    waiting: float


class Stepper(Protocol):
    """Trains a network step by step; every step is a function of (config, epoch, step)."""

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> StepResult:
        """Take at least one step of an epoch, and none of the next epoch.

        Args:
            epoch: counted from 0.
            step: the first one to take, counted from 0.
            history: the epochs before.
        """
        ...


class BatchStepper:
    """One batch at a time, prepared on the host while the network trains on the previous one.

    Args:
        model: a compiled network.
        config: seed and schedule.
        steps: per epoch.
        batches: the batches of an epoch, counted from 0, from a step on.
        local_part: the rows of a batch for this process.
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrainingConfig,
        steps: int,
        batches: Batches,
        local_part: Callable[[Batch], Batch],
    ) -> None:
        self._model, self._config, self._steps = model, config, steps
        self._epoch_from, self._local_part = batches, local_part
        self._next: tuple[int, int] | None = None
        self._batches: Iterator[Batch] = iter(())

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> StepResult:
        """Take one step; see ``Stepper``."""
        started = time.perf_counter()
        if self._next != (epoch, step):
            self._batches = self._epoch_from(epoch, step)
        batch = self._local_part(next(self._batches))
        self._next = (epoch, step + 1)
        waited = time.perf_counter() - started
        reseed(self._model, self._config.seed, epoch, step)
        rate = learning_rate_at(self._config, self._steps, epoch * self._steps + step, history)
        self._model.optimizer.learning_rate = rate
        # Keras resets its running metrics with every call
        logs = self._model.train_on_batch(batch.crops, batch.targets, batch.weights, return_dict=True)
        accuracy = next(float(value) for name, value in logs.items() if name.endswith("accuracy"))
        return StepResult(1, float(logs["loss"]), accuracy, waited)
