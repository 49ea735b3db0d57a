"""Teaches the new layers of a transfer network on the features of its frozen base: seconds, on any machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.errors import TrainingError
from mien.training.architectures.pretrained import new_layers
from mien.training.engine.augmentation import generator
from mien.training.engine.optimization import is_finished, learning_rate_at
from mien.training.engine.variables import reseed, restore, to_arrays
from mien.training.run.history import Epoch, best_epoch
from mien.training.tasks.classification.compilation import compile_classifier, shape_of
from mien.training.tasks.classification.task import trained_by
from mien.training.tasks.classification.validation import evaluate_heads

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig
    from mien.training.run.checkpoint import Arrays
    from mien.training.tasks.classification.validation import Logits
    from mien.training.transfer.features import Features

JUDGED_AT_ONCE = 4096


@dataclass(frozen=True)
class Material:
    """Features, float32 (count, width), with the data that they are of, row for row."""

    features: Features
    data: Dataset


def learn_new_layers(
    model: keras.Model,
    learnt: Material,
    judged: Material,
    config: TrainingConfig,
    record: Callable[[tuple[Epoch, ...]], None],
    check: Callable[[], None],
) -> tuple[Epoch, ...]:
    """Teaches Dense 256 and heads on features, and puts the best epoch's into the network.

    The same config, features and machine give the same weights.

    Args:
        model: a transfer network; its base is not touched.
        learnt: what is learnt from.
        judged: what the epoch is chosen on.
        config: how.
        record: called with the history after each epoch.
        check: called before each step; what it raises ends the work.
    """
    keras.utils.set_random_seed(config.seed)
    head = _head(learnt, config)
    learnt = Material(learnt.features, trained_by(learnt.data, config))
    best: Arrays = {}
    history: tuple[Epoch, ...] = ()
    while not is_finished(config, history):
        started = time.perf_counter()
        loss, accuracy = _learn(head, learnt, config, history, check)
        seconds = time.perf_counter() - started
        last = to_arrays(head.weights)
        head.optimizer.finalize_variable_values(head.trainable_variables)
        averaged = to_arrays(head.weights)
        restore(head.weights, averaged)  # until then, on JAX, they share their arrays with the averages
        steps = _steps(learnt, config)
        epoch = Epoch(
            number=len(history) + 1,
            loss=loss,
            accuracy=accuracy,
            scores=evaluate_heads(_logits(head, judged.features), judged.data),
            learning_rate=learning_rate_at(config, steps, (len(history) + 1) * steps - 1, history),
            seconds=time.perf_counter() - started,
            images_per_second=steps * min(config.batch, len(learnt.data)) / seconds,
            waiting=0.0,
        )
        history = (*history, epoch)
        if best_epoch(history) == epoch.number:
            best = averaged
        restore(head.weights, last)
        record(history)
    restore(head.weights, best)
    _put(head, model)
    return history


def _head(learnt: Material, config: TrainingConfig) -> keras.Model:
    """The new layers alone, ready to learn."""
    features = keras.Input(learnt.features.shape[1:], name="features")
    head = keras.Model(features, new_layers(features, shape_of(learnt.data, config)))
    compile_classifier(head, learnt.data, config)
    return head


def _learn(
    head: keras.Model, learnt: Material, config: TrainingConfig, history: tuple[Epoch, ...], check: Callable[[], None]
) -> tuple[float, float]:
    """One pass over what is learnt from; its mean loss, and the first head's mean accuracy."""
    epoch, steps = len(history), _steps(learnt, config)
    order = generator(config.seed, epoch, stream=1).permutation(len(learnt.data))
    sums = np.zeros(2)
    for step in range(steps):
        check()
        rows = order[step * config.batch : (step + 1) * config.batch]
        targets = {truth.head: truth.targets[rows] for truth in learnt.data.truths}
        weights = {truth.head: truth.weights[rows] for truth in learnt.data.truths}
        reseed(head, config.seed, epoch, step)
        head.optimizer.learning_rate = learning_rate_at(config, steps, epoch * steps + step, history)
        # Keras forgets the batches before when it is given the next one
        logs = head.train_on_batch(learnt.features[rows], targets, weights, return_dict=True)
        sums += float(logs["loss"]), next(float(value) for name, value in logs.items() if name.endswith("accuracy"))
    if not np.isfinite(sums).all():
        raise TrainingError(f"the loss of epoch {epoch + 1} is {sums[0] / steps}: lower the rate")
    loss, accuracy = (sums / steps).tolist()
    return loss, accuracy


def _steps(learnt: Material, config: TrainingConfig) -> int:
    """Batches an epoch; a last short one is left out unless it is the only one."""
    return max(1, len(learnt.data) // config.batch)


def _logits(head: keras.Model, features: Features) -> Logits:
    """The logits of each head, float32 (count, labels)."""
    blocks = np.array_split(features, max(1, len(features) // JUDGED_AT_ONCE))
    parts = [head.predict_on_batch(block) for block in blocks]
    return {name: np.concatenate([part[name] for part in parts]).astype(np.float32) for name in parts[0]}


def _put(head: keras.Model, model: keras.Model) -> None:
    """Gives the layers of a network the weights of those of the same names."""
    for layer in head.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
