"""Learning-rate schedule, early stopping, weight averaging and the optimizer.

All of it follows from the config and the history, so a checkpoint needs no scheduler state.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mien.training.run.history import best_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras

    from mien.training.config import TrainingConfig
    from mien.training.run.history import Epoch

PLATEAU_EPOCHS = 3
"""Epochs in a row without improvement after which the schedule "plateau" lowers the learning rate."""

PLATEAU_FACTOR = 1.0 / 3.0

OPEN_ENDED = ("constant", "plateau")
"""Schedules that do not depend on the number of epochs."""


def learning_rate_at(config: TrainingConfig, steps: int, step: int, history: Sequence[Epoch]) -> float:
    """The learning rate of a step.

    It rises linearly from a hundredth of ``config.learning_rate`` to the full value over ``config.warmup_epochs``,
    then follows ``config.schedule``.

    Args:
        config: schedule, peak and length.
        steps: per epoch.
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
    """How often ``PLATEAU_EPOCHS`` in a row brought no improvement."""
    best, waited, count = -math.inf, 0, 0
    for epoch in history:
        waited = 0 if epoch.validation_score > best else waited + 1
        best = max(best, epoch.validation_score)
        if waited == PLATEAU_EPOCHS:
            waited, count = 0, count + 1
    return count


def is_finished(config: TrainingConfig, history: Sequence[Epoch]) -> bool:
    """Whether all epochs are done, or early stopping ends the run after ``config.patience`` without improvement."""
    if len(history) >= config.epochs:
        return True
    return 0 < config.patience <= len(history) - best_epoch(history) if history else False


def effective_ema_decay(config: TrainingConfig, steps: int) -> float:
    """The decay per step of the averaged weights: the config's, but averaging over a fifth of the run at most.

    Otherwise the averages of a short run would still be dominated by the initial weights. Where the schedule is open
    ended, nothing may depend on the number of epochs.

    Args:
        config: the training config.
        steps: per epoch.
    """
    if config.schedule in OPEN_ENDED:
        return config.ema_decay
    window = config.epochs * steps / 5
    return min(config.ema_decay, max(0.0, 1.0 - 1.0 / window))


def compile_model(model: keras.Model, config: TrainingConfig, steps: int, **losses: Any) -> keras.Model:
    """Compile a network with the optimizer of a config.

    Args:
        model: any network.
        config: the training config.
        steps: per epoch.
        losses: loss, loss_weights and metrics, as ``keras.Model.compile`` takes them.

    Returns:
        The same network.
    """
    model.compile(optimizer=_optimizer(config, effective_ema_decay(config, steps)), **losses)
    model.optimizer.build(model.trainable_variables)
    return model


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Set Keras' dtype policy for the layers created in the block, for example "mixed_bfloat16"."""
    import keras

    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _optimizer(config: TrainingConfig, ema_decay: float) -> keras.optimizers.Optimizer:
    """The optimizer. Its learning rate is a variable, which is set before each step."""
    import keras

    common = {"global_clipnorm": config.clipnorm or None, "use_ema": True, "ema_momentum": ema_decay}
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, **common)
    else:
        # Keras subtracts the decay from the weights directly, where momentum does not multiply it
        decay = config.weight_decay / (1.0 - config.momentum) or None
        optimizer = keras.optimizers.SGD(
            config.learning_rate, momentum=config.momentum, nesterov=True, weight_decay=decay, **common
        )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
