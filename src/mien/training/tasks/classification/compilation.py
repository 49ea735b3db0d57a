"""Build and compile a classifier: network, losses of its heads, class balance, best weights of a run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.errors import TrainingError
from mien.training import architectures
from mien.training.engine.optimization import compile_model, precision
from mien.training.run.directory import BEST
from mien.training.tasks.classification.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from mien.data.dataset import Dataset, Truth
    from mien.training.config import TrainingConfig
    from mien.training.run.resume import Heads


class AdjustedCrossentropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]  # keras ships no types
    """Logit-adjusted cross-entropy: adds the log of each class's prior (Menon et al. 2021, arXiv:2007.07314).

    The network's own output is then calibrated for equally frequent classes.
    """

    def __init__(self, priors: npt.NDArray[np.float64], label_smoothing: float) -> None:
        super().__init__(from_logits=True, label_smoothing=label_smoothing)
        self._offsets = np.log(priors).astype(np.float32)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """The loss of each row, (count,), from targets and logits (count, labels)."""
        return super().call(y_true, keras.ops.add(y_pred, self._offsets))


def shape_of(data: Dataset, config: TrainingConfig) -> architectures.NetworkShape:
    """The network shape for a data set: input size, channels, heads and dropout."""
    heads = tuple((truth.head, len(truth.labels)) for truth in data.truths)
    return architectures.NetworkShape(data.size, data.channels, heads, config.dropout)


def heads_of(data: Dataset) -> Heads:
    """Name and labels of each head of a data set."""
    return tuple((truth.head, tuple(map(str, truth.labels))) for truth in data.truths)


def build_float32(shape: architectures.NetworkShape, network: str) -> keras.Model:
    """A network of the architectures in float32, not compiled."""
    with precision("float32"):
        return architectures.build(network, shape)


def load(weights: Path, shape: architectures.NetworkShape, network: str) -> keras.Model:
    """A float32 network of the architectures with the weights of a run."""
    model = build_float32(shape, network)
    model.load_weights(weights)
    return model


def best_network(
    run: Path, shape: architectures.NetworkShape, network: str, into: keras.Model | None = None
) -> keras.Model:
    """The network of a run with its best weights, in float32.

    Args:
        run: the directory.
        shape: size, channels and heads.
        network: its name in the architectures.
        into: an existing network of the same kind to load the weights into; None builds one.

    Raises:
        TrainingError: there are no weights, or they belong to another network or other data.
    """
    try:
        if into is not None:
            into.load_weights(run / BEST)
            return into
        return load(run / BEST, shape, network)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of {network!r} that fit the data at {run / BEST}; received none, or others "
            f"({error}). Give the run, and the data that it was trained on"
        ) from error


def build_compiled(
    training: Dataset, config: TrainingConfig, start: Callable[[keras.Model], None] | None = None
) -> keras.Model:
    """The config's network, compiled; the same from the same seed.

    Args:
        training: the rows to train on.
        config: the training config.
        start: sets initial weights or freezes layers, before the optimizer is created.
    """
    keras.utils.set_random_seed(config.seed)
    with precision(config.precision):
        model = architectures.build(config.network, shape_of(training, config))
    if start:
        start(model)
    compile_classifier(model, training, config)
    return model


def compile_classifier(model: keras.Model, training: Dataset, config: TrainingConfig) -> None:
    """Compile a network that has the heads of the data with the config's optimizer and losses."""
    compile_model(
        model,
        config,
        Batches(training, config).steps(),
        loss=losses(training, config),
        loss_weights=loss_weights(training, config),
        metrics={training.truths[0].head: [keras.metrics.CategoricalAccuracy(name="accuracy")]},
    )


def losses(training: Dataset, config: TrainingConfig) -> dict[str, keras.losses.Loss]:
    """The loss of each head, computed from logits."""
    own, *auxiliary = training.truths
    others = {truth.head: keras.losses.CategoricalCrossentropy(from_logits=True) for truth in auxiliary}
    return {own.head: _own_loss(own, config)} | others


def loss_weights(training: Dataset, config: TrainingConfig) -> dict[str, float]:
    """The weight of each head's loss."""
    own, *auxiliary = training.truths
    return {own.head: 1.0} | {truth.head: config.auxiliary_loss_weight for truth in auxiliary}


def class_balanced(training: Dataset, config: TrainingConfig) -> Dataset:
    """The data with class weights, if the config's balance is "weights".

    Each row of the data's own labels then weighs the inverse of its class's share; the total weight stays the same.
    """
    if config.balance != "weights":
        return training
    own, *auxiliary = training.truths
    weights = own.weights * (own.targets @ (1.0 / class_shares(own)))
    weights *= own.weights.sum() / max(weights.sum(), 1e-12)
    return dataclasses.replace(
        training, truths=(dataclasses.replace(own, weights=weights.astype(np.float32)), *auxiliary)
    )


def class_shares(truth: Truth) -> npt.NDArray[np.float64]:
    """The share of each label among the weighted rows, (labels,); an absent label counts as half a row."""
    counts = truth.weights.astype(np.float64) @ truth.targets
    shares: npt.NDArray[np.float64] = np.maximum(counts, 0.5) / max(counts.sum(), 0.5)
    return shares


def _own_loss(own: Truth, config: TrainingConfig) -> keras.losses.Loss:
    if config.balance == "logits":
        return AdjustedCrossentropy(class_shares(own), config.label_smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
