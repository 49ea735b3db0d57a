"""Training steps on the accelerator: many steps run as one JAX program, with the data set in device memory.

Between two steps of Keras' own loop the host copies about a hundred variables and waits for metrics, which takes longer
than a step of a small network on a GPU. Here the host only draws random numbers; the device gathers, augments and mixes
batches, queries the teachers and updates the weights.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mien.classification.probabilities import vector_scaled
from mien.models.store import ModelStore
from mien.training.engine.optimization import learning_rate_at
from mien.training.engine.steps import StepResult
from mien.training.engine.variables import seed_states, seeds_of
from mien.training.jax.augmentation import augmented, inverse_maps, strengths_of
from mien.training.tasks.classification.compilation import loss_weights, losses
from mien.training.transfer.warm_start import network_from_onnx

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.models.card import Head
    from mien.training.config import Augmentation, TrainingConfig
    from mien.training.jax.augmentation import Strengths
    from mien.training.run.history import Epoch
    from mien.training.tasks.classification.batches import Batches

    Truths = dict[str, tuple[jax.Array, jax.Array]]
    Values = tuple[list[jax.Array], list[jax.Array]]

MAX_STEPS = 128
"""Maximum number of steps of one program; between programs a run reports progress and can be interrupted."""

ROW_MULTIPLE = 1024
"""Data on the device is padded to a multiple of this many rows."""


class State(NamedTuple):
    """The variables that a step updates: trainable and other ones of the network, and those of the optimizer."""

    trainable: list[jax.Array]
    other: list[jax.Array]
    optimizer: list[jax.Array]


class Plan(NamedTuple):
    """The random choices, learning rates and seeds that the host prepares, one row per step."""

    rows: npt.NDArray[np.int32]
    maps: npt.NDArray[np.float32]
    table: npt.NDArray[np.float32]
    share: npt.NDArray[np.float32]
    rate: npt.NDArray[np.float32]
    seeds: npt.NDArray[np.uint32]


class DeviceData(NamedTuple):
    """Data in device memory for the whole run: images, targets and weights by head, variables of the teachers."""

    crops: jax.Array
    truths: Truths
    teachers: list[Values]


class DeviceTeachers:
    """``mien.training.distillation.online.Teachers`` on the device, as Keras networks with the weights of model files.

    Args:
        config: names the teachers; float32 model files.
        training: the training data.

    Attributes:
        weight: distillation weight.
        values: variables of each network. They are arguments of the program, so that it need not be compiled again.

    Raises:
        ModelError: there is no such model.
        TrainingError: the weights can't be read from a model file.
    """

    def __init__(self, config: TrainingConfig, training: Dataset) -> None:
        store = ModelStore()
        self._teachers = [network_from_onnx(store.load(name), training) for name in config.teachers()]
        self.weight = config.distillation_weight
        self.values = [_values(network) for network, _ in self._teachers]

    def predict(self, values: list[Values], images: jax.Array) -> dict[str, jax.Array]:
        """``Teachers.predict`` for given values of the variables."""
        each = []
        for (network, card), own in zip(self._teachers, values, strict=True):
            logits, _ = network.stateless_call(*own, images, training=False)
            each.append({head.name: _calibrated(logits[head.name], head) for head in card.heads})
        return {head: jnp.mean(jnp.stack([probabilities[head] for probabilities in each]), axis=0) for head in each[0]}


class DeviceStepper:
    """Implements ``Stepper`` for a compiled network on JAX.

    Args:
        model: compiled, with its optimizer.
        training: the training data, for the losses.
        batches: of the same rows, with targets and weights for training.
        config: the training config.
    """

    def __init__(self, model: keras.Model, training: Dataset, batches: Batches, config: TrainingConfig) -> None:
        self._model, self._batches, self._config = model, batches, config
        self._losses, self._weights = losses(training, config), loss_weights(training, config)
        self._first_head = training.truths[0].head
        self._rate = [variable.name for variable in model.optimizer.variables].index("learning_rate")
        self._seeds = seed_states(model)
        self._teachers = DeviceTeachers(config, training) if config.teacher else None
        data = batches.data
        self._crops = _on_device(data.crops)
        self._truths: Truths = {
            truth.head: (_on_device(truth.targets), _on_device(truth.weights)) for truth in data.truths
        }
        self._program = jax.jit(self._steps, donate_argnums=0)

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> StepResult:
        """Implements ``Stepper``: the rest of the epoch, or ``MAX_STEPS`` steps of it."""
        count = min(MAX_STEPS, self._batches.steps() - step)
        strength = self._config.augmentation_of(epoch)
        plan = self._plan(epoch, step, count, history, strength)
        variables = self._variables()
        state = State(*([variable.value for variable in part] for part in variables))
        data = DeviceData(self._crops, self._truths, self._teachers.values if self._teachers else [])
        state, loss, accuracy = self._program(state, plan, count, data, strengths_of(strength))
        for part, values in zip(variables, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        return StepResult(count, float(loss), float(accuracy), 0.0)

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        model = self._model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _plan(self, epoch: int, step: int, count: int, history: Sequence[Epoch], strength: Augmentation) -> Plan:
        """The plan of ``count`` steps, padded with its last row to ``MAX_STEPS``, so that all plans have one shape."""
        config, steps = self._config, self._batches.steps()
        choices = list(islice(self._batches.drawn(epoch, step), count))
        size = self._batches.data.size
        plan = Plan(
            np.stack([choice.rows for choice in choices]).astype(np.int32),
            np.stack([inverse_maps(choice.table, strength, size) for choice in choices]),
            np.stack([choice.table for choice in choices]),
            np.array([choice.share for choice in choices], np.float32),
            np.array(
                [learning_rate_at(config, steps, epoch * steps + step + at, history) for at in range(count)], np.float32
            ),
            np.stack([seeds_of(len(self._seeds), config.seed, epoch, step + at) for at in range(count)]),
        )
        more = min(MAX_STEPS, steps) - count
        return Plan(*(np.concatenate([part, np.repeat(part[-1:], more, axis=0)]) for part in plan))

    def _steps(
        self, state: State, plan: Plan, count: int, data: DeviceData, strengths: Strengths
    ) -> tuple[State, jax.Array, jax.Array]:
        """The state after ``count`` steps, and the sums of their losses and accuracies."""
        mixing = self._config.augmentation.mixup > 0 and self._config.augmentation.mixup_share > 0

        def take_step(at: jax.Array, so_far: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
            state, loss, accuracy = so_far
            now = jax.tree.map(lambda part: part[at], plan)
            images = augmented(data.crops[now.rows], now.maps, now.table, strengths)
            batch = {head: (targets[now.rows], weights[now.rows]) for head, (targets, weights) in data.truths.items()}
            if mixing:
                images = _mixed_images(images, now.share)
                batch = {head: _mixed_targets(*truth, now.share) for head, truth in batch.items()}
            if teachers := self._teachers:
                soft = teachers.predict(data.teachers, images)
                batch = {head: _blended_targets(*truth, soft[head], teachers.weight) for head, truth in batch.items()}
            state, (step_loss, step_accuracy) = self._step(self._with_step_values(state, now), images, batch)
            return state, loss + step_loss, accuracy + step_accuracy

        return jax.lax.fori_loop(0, count, take_step, (state, jnp.float32(0), jnp.float32(0)))  # type: ignore[no-any-return]

    def _with_step_values(self, state: State, now: Plan) -> State:
        """The state with the learning rate and the dropout seeds of the step."""
        optimizer, other = list(state.optimizer), list(state.other)
        optimizer[self._rate] = jnp.asarray(now.rate, optimizer[self._rate].dtype)
        for number, place in enumerate(self._seeds):
            other[place] = jnp.asarray(now.seeds[number], other[place].dtype)
        return State(state.trainable, other, optimizer)

    def _step(self, state: State, images: jax.Array, batch: Truths) -> tuple[State, tuple[jax.Array, jax.Array]]:
        def cost(trainable: list[jax.Array]) -> tuple[jax.Array, tuple[list[jax.Array], jax.Array]]:
            logits, other = self._model.stateless_call(trainable, state.other, images, training=True)
            loss = sum(
                self._weights[head] * self._losses[head](targets, logits[head], sample_weight=weights)
                for head, (targets, weights) in batch.items()
            )
            return jnp.asarray(loss), (other, logits[self._first_head])

        (loss, (other, logits)), slopes = jax.value_and_grad(cost, has_aux=True)(state.trainable)
        trainable, optimizer = self._model.optimizer.stateless_apply(state.optimizer, slopes, state.trainable)
        targets = batch[self._first_head][0]
        right = jnp.mean(logits.argmax(axis=1) == targets.argmax(axis=1), dtype=jnp.float32)
        return State(trainable, other, optimizer), (loss, right)


def _on_device(rows: npt.NDArray[Any]) -> jax.Array:
    """Rows in device memory, padded with zeros to a multiple of ``ROW_MULTIPLE``; no plan refers to the padding.

    Data sets of similar size then share one program, which JAX's compilation cache keeps between runs.
    """
    return jnp.asarray(np.concatenate([rows, np.zeros((-len(rows) % ROW_MULTIPLE, *rows.shape[1:]), rows.dtype)]))


def _mixed_images(crops: jax.Array, share: jax.Array) -> jax.Array:
    """``mien.training.tasks.classification.batches.mixed_crops`` in JAX."""
    own = crops.astype(jnp.float32)
    return jnp.round(share * own + (1.0 - share) * own[::-1]).astype(jnp.uint8)


def _mixed_targets(targets: jax.Array, weights: jax.Array, share: jax.Array) -> tuple[Any, Any]:
    """``mien.training.tasks.classification.batches.mixed_targets`` in JAX."""
    own, other = share * weights, (1.0 - share) * weights[::-1]
    total = own + other
    mixed = own[:, None] * targets + other[:, None] * targets[::-1]
    return jnp.where(total[:, None] > 0, mixed / jnp.maximum(total, 1e-12)[:, None], targets), total


def _blended_targets(targets: jax.Array, weights: jax.Array, soft: jax.Array, share: float) -> tuple[Any, Any]:
    """``mien.training.tasks.classification.batches.blended_targets`` in JAX."""
    own = (1.0 - share) * weights
    return (own[:, None] * targets + share * soft) / (own + share)[:, None], own + share


def _values(network: keras.Model) -> Values:
    variables = (network.trainable_variables, network.non_trainable_variables)
    trainable, others = ([variable.value for variable in part] for part in variables)
    return trainable, others


def _calibrated(logits: jax.Array, head: Head) -> jax.Array:
    return jax.nn.softmax(jnp.asarray(vector_scaled(logits, head.offsets, head.scales)) / head.temperature, axis=1)
