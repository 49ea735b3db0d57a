"""A network's variables as NumPy arrays and back, bit for bit; its random state per step; batch-norm statistics."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from mien.training.run.checkpoint import Arrays


def to_arrays(variables: Sequence[keras.Variable]) -> Arrays:
    """Copies of variables in their order, under names that are the same in every process and on every backend."""
    return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in _named(variables).items()}


def restore(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Assign the values that ``to_arrays`` copied to all variables, or change none.

    Raises:
        TrainingError: names, shapes or dtypes differ from those of the variables.
    """
    named = _named(variables)
    expected = {name: (tuple(variable.shape), _kind(variable.dtype)) for name, variable in named.items()}
    received = {name: (values.shape, _kind(str(values.dtype))) for name, values in arrays.items()}
    if expected != received:
        odd = sorted(expected.items() ^ received.items())[0][0]
        raise TrainingError(
            f"expected the variables of the config's network; the checkpoint has others ({odd!r} is "
            f"{received.get(odd)}, not {expected.get(odd)}). Resume with the version of mien that started the run"
        )
    for name, variable in named.items():
        variable.assign(arrays[name])


def reseed(model: keras.Model, seed: int, epoch: int, step: int) -> None:
    """Seed the random operations of the network's next step (dropout) from these numbers alone."""
    places = seed_states(model)
    numbers = _random_numbers(len(places), seed, epoch, step)
    for place, pair in zip(places, _pairs(numbers), strict=True):
        state = model.non_trainable_variables[place]
        state.assign(pair.astype(state.dtype))
    if keras.backend.backend() == "torch":  # there dropout without a seed of its own uses torch's generator
        import torch

        torch.manual_seed(int(numbers[-1]))


def seed_states(model: keras.Model) -> list[int]:
    """The indices of the random seeds among a network's non-trainable variables."""
    return [at for at, variable in enumerate(model.non_trainable_variables) if variable.name == "seed_generator_state"]


def seeds_of(count: int, seed: int, epoch: int, step: int) -> npt.NDArray[np.uint32]:
    """The seeds of a step, uint32 (count, 2)."""
    return _pairs(_random_numbers(count, seed, epoch, step))


def _pairs(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Two numbers per seed; the last number is torch's."""
    return numbers[:-1].reshape(-1, 2)


def _random_numbers(count: int, seed: int, epoch: int, step: int) -> npt.NDArray[np.uint32]:
    numbers = np.random.SeedSequence((seed, epoch, step, 4)).generate_state(2 * count + 1)
    return (numbers >> 1).astype(np.uint32)  # int32 on some backends


def _named(variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    # the first part of a variable's own name counts the layers created before it in the process
    return {f"{at:04d} {variable.name.rsplit('_', 1)[-1]}": variable for at, variable in enumerate(variables)}


def _kind(dtype: str) -> str:
    """The dtype; integers are int64 on one backend and int32 on another."""
    return "int" if dtype in ("int32", "int64") else dtype


STATISTICS_IMAGES = 4096
"""Images from which batch-norm statistics of averaged weights are estimated; more change no third digit."""

STATISTICS_PIXELS = 2_400_000
"""Pixels per batch of that estimate: 256 face crops of 96x96, or 36 images of 256x256."""


def do_nothing() -> None:
    """The default check between batches."""


def estimate_batch_norm(
    model: keras.Model, images: npt.NDArray[np.uint8], check: Callable[[], None] = do_nothing
) -> None:
    """Estimate batch-norm statistics for the current weights; all batches weigh the same.

    Args:
        model: any network.
        images: without augmentation, in any order: uint8 (count, height, width, channels).
        check: called before each batch; an exception it raises ends the estimation.
    """
    layers = list(_trainable_batch_norms(model))
    if not layers:
        return
    moving = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    momenta = [layer.momentum for layer in layers]
    batch_size = min(256, max(16, STATISTICS_PIXELS // (images.shape[1] * images.shape[2])))
    parts = np.array_split(images, max(1, len(images) // batch_size))
    try:
        for layer in layers:
            layer.momentum = 0.0  # the moving statistics are those of the last batch
        sums = [np.zeros(variable.shape, np.float64) for variable in moving]
        for part in parts:
            check()
            _forward(model, part)
            sums = [total + keras.ops.convert_to_numpy(value) for total, value in zip(sums, moving, strict=True)]
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for total, variable in zip(sums, moving, strict=True):
        variable.assign((total / len(parts)).astype(np.float32))


def _forward(model: keras.Model, part: npt.NDArray[np.uint8]) -> None:
    """Run a network in training mode; only its statistics change."""
    if keras.backend.backend() != "jax":
        with _without_gradients():
            model(part, training=True)
        return
    trainable = [variable.value for variable in model.trainable_variables]
    other = [variable.value for variable in model.non_trainable_variables]
    for variable, value in zip(model.non_trainable_variables, _compiled(model)(trainable, other, part), strict=True):
        variable.assign(value)


@lru_cache(maxsize=1)
def _compiled(model: keras.Model) -> Callable[..., list[Any]]:
    """The non-trainable variables after a forward pass, as one compiled program; eager JAX takes seconds.

    It keeps the momenta of its first call.
    """
    import jax

    program: Callable[..., list[Any]] = jax.jit(
        lambda trainable, other, part: model.stateless_call(trainable, other, part, training=True)[1]
    )
    return program


def _trainable_batch_norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """The batch-norm layers that are not frozen, also in nested networks."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trainable_batch_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def _without_gradients() -> AbstractContextManager[Any]:
    """Turn off gradient recording, which only torch does by default."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()  # type: ignore[no-any-return]  # torch is skipped by mypy
