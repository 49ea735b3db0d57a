"""A network of the zoo made ready to learn: precision, optimizer, losses."""

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
    from mien.training.config import Recipe


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


def shape_of(data: Dataset, recipe: Recipe) -> architectures.NetworkShape:
    """What the data and the recipe ask of a network."""
    heads = tuple((truth.head, len(truth.labels)) for truth in data.truths)
    return architectures.NetworkShape(data.size, data.channels, heads, recipe.dropout)


def plain(shape: architectures.NetworkShape, network: str) -> keras.Model:
    """A network of the zoo in float32, not made ready to learn."""
    with precision("float32"):
        return architectures.build(network, shape)


def compiled(training: Dataset, recipe: Recipe, start: Callable[[keras.Model], None] | None = None) -> keras.Model:
    """The recipe's network with its optimizer and losses, the same from the same seed.

    Args:
        training: what it will learn from.
        recipe: every choice.
        start: gives the fresh network other weights, or freezes layers, before the optimizer is made.
    """
    keras.utils.set_random_seed(recipe.seed)
    with precision(recipe.precision):
        model = architectures.build(recipe.network, shape_of(training, recipe))
    if start:
        start(model)
    make_ready(model, training, recipe)
    return model


def make_ready(model: keras.Model, training: Dataset, recipe: Recipe) -> None:
    """Gives a network with the heads of the data the recipe's optimizer and losses."""
    made_ready(
        model,
        recipe,
        Batches(training, recipe).steps(),
        loss=losses(training, recipe),
        loss_weights=loss_weights(training, recipe),
        metrics={training.truths[0].head: [keras.metrics.CategoricalAccuracy(name="accuracy")]},
    )


def losses(training: Dataset, recipe: Recipe) -> dict[str, keras.losses.Loss]:
    """The loss of each head, by logits."""
    own, *further = training.truths
    by_votes = {truth.head: keras.losses.CategoricalCrossentropy(from_logits=True) for truth in further}
    return {own.head: _own_loss(own, recipe)} | by_votes


def loss_weights(training: Dataset, recipe: Recipe) -> dict[str, float]:
    """What the loss of each head counts."""
    own, *further = training.truths
    return {own.head: 1.0} | {truth.head: recipe.further_heads for truth in further}


def made_ready(model: keras.Model, recipe: Recipe, steps: int, **losses: Any) -> keras.Model:
    """The network itself, with the recipe's optimizer and what else ``keras.Model.compile`` takes.

    Args:
        model: any network.
        recipe: every choice.
        steps: of an epoch.
        losses: loss, loss_weights and metrics.
    """
    model.compile(optimizer=_optimizer(recipe, averaging_decay(recipe, steps)), **losses)
    model.optimizer.build(model.trainable_variables)
    return model


def balanced(training: Dataset, recipe: Recipe) -> Dataset:
    """The data; where the recipe's balance is "weights", each row of the data's own labels counts by the inverse of
    its class's share, and all together as much as before.
    """  # noqa: D205 - one sentence of two lines
    if recipe.balance != "weights":
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


def _own_loss(own: Truth, recipe: Recipe) -> keras.losses.Loss:
    if recipe.balance == "logits":
        return AdjustedCrossentropy(class_shares(own), recipe.label_smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)


def _optimizer(recipe: Recipe, averaging: float) -> keras.optimizers.Optimizer:
    """The rate is a variable of it, set before each step."""
    common = {"global_clipnorm": recipe.clip or None, "use_ema": True, "ema_momentum": averaging}
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(recipe.rate, weight_decay=recipe.weight_decay, **common)
    else:
        # Keras takes the decay off the weights directly, where momentum does not multiply it
        decay = recipe.weight_decay / (1.0 - recipe.momentum) or None
        optimizer = keras.optimizers.SGD(
            recipe.rate, momentum=recipe.momentum, nesterov=True, weight_decay=decay, **common
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
