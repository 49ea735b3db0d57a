"""How a run takes its steps: one by one, or, on a device that holds the data, many in one program."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mien.training.engine.devices import own_part
from mien.training.engine.schedule import rate_at
from mien.training.run.state import reseed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras

    from mien.training.engine.batches import Batch
    from mien.training.run.directory import Epoch
    from mien.training.tasks.task import Task


@dataclass(frozen=True)
class Taken:
    """Some steps that were taken.

    Attributes:
        steps: how many.
        loss: of all, summed.
        accuracy: of the first head, summed over the steps.
        waiting: seconds spent on waiting for images.
    """

    steps: int
    loss: float
    accuracy: float
    waiting: float


class Stepper(Protocol):
    """What teaches a network step by step; every step is a function of (config, epoch, step)."""

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> Taken:
        """Takes the steps from one of an epoch on, at least that one and none of the next epoch.

        Args:
            epoch: counted from 0.
            step: counted from 0.
            history: the epochs before.
        """
        ...


class OneByOne:
    """A batch at a time, made on the host while the network learns from the one before."""

    def __init__(self, model: keras.Model, task: Task) -> None:
        self._model, self._task = model, task
        self._next: tuple[int, int] | None = None
        self._batches: Iterator[Batch] = iter(())

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> Taken:
        """As ``Stepper`` asks: one step."""
        started = time.perf_counter()
        if self._next != (epoch, step):
            self._batches = self._task.batches(epoch, step)
        batch = own_part(next(self._batches))
        self._next = (epoch, step + 1)
        waited = time.perf_counter() - started
        config, steps = self._task.config, self._task.steps_per_epoch
        reseed(self._model, config.seed, epoch, step)
        self._model.optimizer.learning_rate = rate_at(config, steps, epoch * steps + step, history)
        # Keras forgets the batches before when it is given the next one
        logs = self._model.train_on_batch(batch.crops, batch.targets, batch.weights, return_dict=True)
        accuracy = next(float(value) for name, value in logs.items() if name.endswith("accuracy"))
        return Taken(1, float(logs["loss"]), accuracy, waited)
