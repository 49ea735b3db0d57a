"""A network's variables as NumPy arrays and back, bit for bit; and its random state per step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mien.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy.typing as npt

    from mien.training.run.checkpoint import Arrays


def to_arrays(variables: Sequence[keras.Variable]) -> Arrays:
    """Copies of variables in their order, under names that are the same in every process and on every backend."""
    import keras

    return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in _named(variables).items()}


def restore(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Assigns the values that ``to_arrays`` copied to all variables, or changes none.

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
    """Seeds what is random in the network's next step (dropout) by these numbers alone."""
    import keras

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
