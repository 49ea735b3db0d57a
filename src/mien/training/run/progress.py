"""What a run tells whoever listens while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mien.training.run.directory import Epoch


@dataclass(frozen=True, slots=True)
class Progress:
    """A step was done.

    Attributes:
        epoch: the one that goes on, counted from 1.
        epochs: of the whole run.
        step: steps done of it.
        steps: of an epoch.
        loss: mean over these steps.
        accuracy: likewise, of the first head on the training images as they were learnt from.
        images_per_second: learnt from.
        waiting: share of the time spent waiting for the next batch.
        seconds_left: until the epoch's last step.
        run_seconds_left: until the run's end, if no epoch takes longer than those before.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    waiting: float
    seconds_left: float
    run_seconds_left: float


TrainEvent: TypeAlias = Epoch | Progress | str
"""A finished epoch, a step done, or words for people."""
