"""Many steps of a classifier's run as one program: batches are gathered, changed, mixed and learnt from on the device.

Between the steps of Keras' own loop the host copies some hundred variables and waits for figures, which takes longer
than a small network's step on a GPU. Here it decides what chance decides, and the device does the rest.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mien.training.engine.optimization import learning_rate_at
from mien.training.engine.steps import StepResult
from mien.training.engine.variables import seed_states, seeds_of
from mien.training.jax.augmentation import changed, inverse_maps, strengths_of
from mien.training.jax.teachers import TeachersOnDevice
from mien.training.tasks.classification.compilation import loss_weights, losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.training.config import Augmentation, TrainingConfig
    from mien.training.jax.augmentation import Strengths
    from mien.training.jax.teachers import Values
    from mien.training.run.history import Epoch
    from mien.training.tasks.classification.batches import Batches

    Truths = dict[str, tuple[jax.Array, jax.Array]]

TOGETHER = 128
"""Steps a program at most: so often a run can be stopped and tells how it goes."""

ROWS = 1024


class State(NamedTuple):
    """What a step changes: trainable and other variables of the network, and the optimizer's."""

    trainable: list[jax.Array]
    other: list[jax.Array]
    optimizer: list[jax.Array]


class Plan(NamedTuple):
    """What the host decides of steps, one a row."""

    rows: npt.NDArray[np.int32]
    maps: npt.NDArray[np.float32]
    table: npt.NDArray[np.float32]
    share: npt.NDArray[np.float32]
    rate: npt.NDArray[np.float32]
    seeds: npt.NDArray[np.uint32]


class Held(NamedTuple):
    """What lies on the device for the whole run: images, targets and weights by head, the teachers' variables."""

    crops: jax.Array
    truths: Truths
    teachers: list[Values]


class OnDevice:
    """As ``Stepper`` asks, for a network on JAX that is ready to learn.

    Args:
        model: with its optimizer.
        training: whose labels the losses go by, as the config's run reads them.
        batches: of the same rows, with targets and weights as they are learnt from.
        config: every choice.
    """

    def __init__(self, model: keras.Model, training: Dataset, batches: Batches, config: TrainingConfig) -> None:
        self._model, self._batches, self._config = model, batches, config
        self._losses, self._weights = losses(training, config), loss_weights(training, config)
        self._first_head = training.truths[0].head
        self._rate = [variable.name for variable in model.optimizer.variables].index("learning_rate")
        self._seeds = seed_states(model)
        self._teachers = TeachersOnDevice(config, training) if config.teacher else None
        data = batches.data
        self._crops = _held(data.crops)
        self._truths: Truths = {truth.head: (_held(truth.targets), _held(truth.weights)) for truth in data.truths}
        self._program = jax.jit(self._steps, donate_argnums=0)

    def take(self, epoch: int, step: int, history: Sequence[Epoch]) -> StepResult:
        """As ``Stepper`` asks: the rest of the epoch, or as many steps as go together."""
        count = min(TOGETHER, self._batches.steps() - step)
        strength = self._config.augmentation_of(epoch)
        plan = self._plan(epoch, step, count, history, strength)
        variables = self._variables()
        state = State(*([variable.value for variable in part] for part in variables))
        held = Held(self._crops, self._truths, self._teachers.values if self._teachers else [])
        state, loss, accuracy = self._program(state, plan, count, held, strengths_of(strength))
        for part, values in zip(variables, state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        return StepResult(count, float(loss), float(accuracy), 0.0)

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        model = self._model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def _plan(self, epoch: int, step: int, count: int, history: Sequence[Epoch], strength: Augmentation) -> Plan:
        """The plan of ``count`` steps; its last row again and again up to ``TOGETHER``, so that all have one shape."""
        config, steps = self._config, self._batches.steps()
        drawn = list(islice(self._batches.drawn(epoch, step), count))
        size = self._batches.data.size
        plan = Plan(
            np.stack([one.rows for one in drawn]).astype(np.int32),
            np.stack([inverse_maps(one.table, strength, size) for one in drawn]),
            np.stack([one.table for one in drawn]),
            np.array([one.share for one in drawn], np.float32),
            np.array(
                [learning_rate_at(config, steps, epoch * steps + step + at, history) for at in range(count)], np.float32
            ),
            np.stack([seeds_of(len(self._seeds), config.seed, epoch, step + at) for at in range(count)]),
        )
        more = min(TOGETHER, steps) - count
        return Plan(*(np.concatenate([part, np.repeat(part[-1:], more, axis=0)]) for part in plan))

    def _steps(
        self, state: State, plan: Plan, count: int, held: Held, strengths: Strengths
    ) -> tuple[State, jax.Array, jax.Array]:
        """The state after ``count`` steps, and their losses and accuracies, summed."""
        mixing = self._config.augmentation.mixup > 0 and self._config.augmentation.mixup_share > 0

        def one(at: jax.Array, so_far: tuple[State, jax.Array, jax.Array]) -> tuple[State, jax.Array, jax.Array]:
            state, loss, accuracy = so_far
            now = jax.tree.map(lambda part: part[at], plan)
            images = changed(held.crops[now.rows], now.maps, now.table, strengths)
            batch = {head: (targets[now.rows], weights[now.rows]) for head, (targets, weights) in held.truths.items()}
            if mixing:
                images = _mixed_images(images, now.share)
                batch = {head: _mixed_targets(*truth, now.share) for head, truth in batch.items()}
            if teachers := self._teachers:
                told = teachers.told(held.teachers, images)
                batch = {head: _blended_targets(*truth, told[head], teachers.share) for head, truth in batch.items()}
            state, (step_loss, step_accuracy) = self._step(self._set(state, now), images, batch)
            return state, loss + step_loss, accuracy + step_accuracy

        return jax.lax.fori_loop(0, count, one, (state, jnp.float32(0), jnp.float32(0)))  # type: ignore[no-any-return]

    def _set(self, state: State, now: Plan) -> State:
        """The state with the step's rate, and its seeds of dropout."""
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


def _held(rows: npt.NDArray[Any]) -> jax.Array:
    """Rows on the device, and empty ones up to a multiple of ``ROWS``, which no plan names.

    So data of about one size has one program, which JAX's cache on disk knows from one run to the next.
    """
    return jnp.asarray(np.concatenate([rows, np.zeros((-len(rows) % ROWS, *rows.shape[1:]), rows.dtype)]))


def _mixed_images(crops: jax.Array, share: jax.Array) -> jax.Array:
    """As ``batches.mixed_crops``."""
    own = crops.astype(jnp.float32)
    return jnp.round(share * own + (1.0 - share) * own[::-1]).astype(jnp.uint8)


def _mixed_targets(targets: jax.Array, weights: jax.Array, share: jax.Array) -> tuple[Any, Any]:
    """As ``batches.mixed_targets``."""
    own, other = share * weights, (1.0 - share) * weights[::-1]
    total = own + other
    mixed = own[:, None] * targets + other[:, None] * targets[::-1]
    return jnp.where(total[:, None] > 0, mixed / jnp.maximum(total, 1e-12)[:, None], targets), total


def _blended_targets(targets: jax.Array, weights: jax.Array, told: jax.Array, share: float) -> tuple[Any, Any]:
    """As ``batches.blended_targets``."""
    own = (1.0 - share) * weights
    return (own[:, None] * targets + share * told) / (own + share)[:, None], own + share
