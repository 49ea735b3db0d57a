"""A network of the architectures made ready to learn: precision, optimizer, losses."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.training import architectures
from mien.training.engine.batches import Batches
from mien.training.engine.schedule import averaging_decay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from mien.data.dataset import Dataset, Truth
    from mien.training.config import TrainingConfig


class AdjustedCrossentropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]  # keras ships no types
    """Cross-entropy of logits to which the log of each class's share is added (Menon et al. 2021, arXiv:2007.07314).

    What the network itself then answers is right as if all classes were equally frequent.
    """

    def __init__(self, shares: npt.NDArray[np.float64], label_smoothing: float) -> None:
        super().__init__(from_logits=True, label_smoothing=label_smoothing)
        self._offsets = np.log(shares).astype(np.float32)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Targets and logits (count, labels) to the loss of each row, (count,)."""
        return super().call(y_true, keras.ops.add(y_pred, self._offsets))


def shape_of(data: Dataset, config: TrainingConfig) -> architectures.NetworkShape:
    """What the data and the config ask of a network."""
    heads = tuple((truth.head, len(truth.labels)) for truth in data.truths)
    return architectures.NetworkShape(data.size, data.channels, heads, config.dropout)


def plain(shape: architectures.NetworkShape, network: str) -> keras.Model:
    """A network of the architectures in float32, not made ready to learn."""
    with precision("float32"):
        return architectures.build(network, shape)


def compiled(
    training: Dataset, config: TrainingConfig, start: Callable[[keras.Model], None] | None = None
) -> keras.Model:
    """The config's network with its optimizer and losses, the same from the same seed.

    Args:
        training: what it will learn from.
        config: every choice.
        start: gives the fresh network other weights, or freezes layers, before the optimizer is made.
    """
    keras.utils.set_random_seed(config.seed)
    with precision(config.precision):
        model = architectures.build(config.network, shape_of(training, config))
    if start:
        start(model)
    make_ready(model, training, config)
    return model


def make_ready(model: keras.Model, training: Dataset, config: TrainingConfig) -> None:
    """Gives a network with the heads of the data the config's optimizer and losses."""
    made_ready(
        model,
        config,
        Batches(training, config).steps(),
        loss=losses(training, config),
        loss_weights=loss_weights(training, config),
        metrics={training.truths[0].head: [keras.metrics.CategoricalAccuracy(name="accuracy")]},
    )


def losses(training: Dataset, config: TrainingConfig) -> dict[str, keras.losses.Loss]:
    """The loss of each head, by logits."""
    own, *further = training.truths
    by_votes = {truth.head: keras.losses.CategoricalCrossentropy(from_logits=True) for truth in further}
    return {own.head: _own_loss(own, config)} | by_votes


def loss_weights(training: Dataset, config: TrainingConfig) -> dict[str, float]:
    """What the loss of each head counts."""
    own, *further = training.truths
    return {own.head: 1.0} | {truth.head: config.auxiliary_loss_weight for truth in further}


def made_ready(model: keras.Model, config: TrainingConfig, steps: int, **losses: Any) -> keras.Model:
    """The network itself, with the config's optimizer and what else ``keras.Model.compile`` takes.

    Args:
        model: any network.
        config: every choice.
        steps: of an epoch.
        losses: loss, loss_weights and metrics.
    """
    model.compile(optimizer=_optimizer(config, averaging_decay(config, steps)), **losses)
    model.optimizer.build(model.trainable_variables)
    return model


def balanced(training: Dataset, config: TrainingConfig) -> Dataset:
    """The data; where the config's balance is "weights", each row of the data's own labels counts by the inverse of
    its class's share, and all together as much as before.
    """  # noqa: D205 - one sentence of two lines
    if config.balance != "weights":
        return training
    own, *further = training.truths
    weights = own.weights * (own.targets @ (1.0 / class_shares(own)))
    weights *= own.weights.sum() / max(weights.sum(), 1e-12)
    return dataclasses.replace(
        training, truths=(dataclasses.replace(own, weights=weights.astype(np.float32)), *further)
    )


def class_shares(truth: Truth) -> npt.NDArray[np.float64]:
    """The share of each label among rows as they count, (labels,); of one that none has, as if half a row had it."""
    counts = truth.weights.astype(np.float64) @ truth.targets
    shares: npt.NDArray[np.float64] = np.maximum(counts, 0.5) / max(counts.sum(), 0.5)
    return shares


def _own_loss(own: Truth, config: TrainingConfig) -> keras.losses.Loss:
    if config.balance == "logits":
        return AdjustedCrossentropy(class_shares(own), config.label_smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)


def _optimizer(config: TrainingConfig, averaging: float) -> keras.optimizers.Optimizer:
    """The rate is a variable of it, set before each step."""
    common = {"global_clipnorm": config.clipnorm or None, "use_ema": True, "ema_momentum": averaging}
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, **common)
    else:
        # Keras takes the decay off the weights directly, where momentum does not multiply it
        decay = config.weight_decay / (1.0 - config.momentum) or None
        optimizer = keras.optimizers.SGD(
            config.learning_rate, momentum=config.momentum, nesterov=True, weight_decay=decay, **common
        )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Keras' dtype policy for the layers made in the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
