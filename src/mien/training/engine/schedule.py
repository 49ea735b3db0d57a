"""The learning rate of each step, and when a run ends: functions of the config and the history, so nothing to save."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Epoch

PLATEAU_EPOCHS = 3
"""Epochs in a row without a better one after which the schedule "plateau" lowers the rate."""

PLATEAU_FACTOR = 1.0 / 3.0

OPEN_ENDED = ("constant", "plateau")
"""Schedules that don't look at the number of epochs."""


def rate_at(config: TrainingConfig, steps: int, step: int, history: Sequence[Epoch]) -> float:
    """The learning rate of a step.

    Over the first ``config.warmup_epochs`` it rises evenly from a hundredth of ``config.learning_rate`` to that; then
    it goes on as ``config.schedule`` says.

    Args:
        config: schedule, peak and length.
        steps: of an epoch.
        step: counted from 0 over the whole run.
        history: the epochs before the one that the step is in.
    """
    total = config.epochs * steps
    warmup = min(int(config.warmup_epochs * steps), total - 1)
    if step < warmup:
        return config.learning_rate * (0.01 + 0.99 * step / warmup)
    done = (step - warmup) / (total - warmup)
    match config.schedule:
        case "cosine":
            return config.learning_rate * (1.0 + math.cos(math.pi * done)) / 2.0
        case "linear":
            return config.learning_rate * (1.0 - done)
        case "plateau":
            return config.learning_rate * PLATEAU_FACTOR ** plateaus(history)
        case _:
            return config.learning_rate


def plateaus(history: Sequence[Epoch]) -> int:
    """How often ``PLATEAU_EPOCHS`` in a row brought no better epoch."""
    best, waited, count = -math.inf, 0, 0
    for epoch in history:
        waited = 0 if epoch.validation_score > best else waited + 1
        best = max(best, epoch.validation_score)
        if waited == PLATEAU_EPOCHS:
            waited, count = 0, count + 1
    return count


def is_finished(config: TrainingConfig, history: Sequence[Epoch]) -> bool:
    """Whether no epoch is to follow: all are done, or ``config.patience`` in a row brought no better one."""
    if len(history) >= config.epochs:
        return True
    return 0 < config.patience <= len(history) - best_epoch(history) if history else False


def best_epoch(history: Sequence[Epoch]) -> int:
    """The number, from 1, of the first epoch of the highest merit; the history has one at least."""
    return max(range(len(history)), key=lambda at: history[at].validation_score) + 1


def averaging_decay(config: TrainingConfig, steps: int) -> float:
    """The decay a step of the averaged weights: the config's, but reaching back over a fifth of the run at most.

    Else the averages of a short run would still be those of the network's first weights. Where the schedule leaves the
    end open, nothing may depend on it.

    Args:
        config: every choice.
        steps: of an epoch.
    """
    if config.schedule in OPEN_ENDED:
        return config.ema_decay
    reach = config.epochs * steps / 5
    return min(config.ema_decay, max(0.0, 1.0 - 1.0 / reach))
