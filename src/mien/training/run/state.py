"""A network's variables as arrays and back, bit for bit; and what is random while it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mien.training.run.checkpoint import Arrays


def captured(variables: Sequence[keras.Variable]) -> Arrays:
    """Copies of variables, in their order, under names that are the same in every process and on every backend."""
    return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in _named(variables).items()}


def restore(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Gives variables the values that ``captured`` took, or changes none.

    Raises:
        TrainingError: names, shapes or kinds of number are not those of the variables.
    """
    named = _named(variables)
    expected = {name: (tuple(variable.shape), _kind(variable.dtype)) for name, variable in named.items()}
    received = {name: (values.shape, _kind(str(values.dtype))) for name, values in arrays.items()}
    if expected != received:
        odd = sorted(expected.items() ^ received.items())[0][0]
        raise TrainingError(
            f"expected the variables of the config's network; the checkpoint has others ({odd!r} is "
            f"{received.get(odd)}, not {expected.get(odd)}). Go on with the version of mien that began the run"
        )
    for name, variable in named.items():
        variable.assign(arrays[name])


def reseed(model: keras.Model, seed: int, epoch: int, step: int) -> None:
    """Makes what is random in the network's next step (dropout) depend on nothing but these numbers."""
    places = seed_states(model)
    words = _words(len(places), seed, epoch, step)
    for place, pair in zip(places, _pairs(words), strict=True):
        state = model.non_trainable_variables[place]
        state.assign(pair.astype(state.dtype))
    if keras.backend.backend() == "torch":  # there dropout without a seed of its own takes torch's generator
        import torch

        torch.manual_seed(int(words[-1]))


def seed_states(model: keras.Model) -> list[int]:
    """The places of the seeds of what is random in a network, among its variables that are not trained."""
    return [at for at, one in enumerate(model.non_trainable_variables) if one.name == "seed_generator_state"]


def seeds_of(count: int, seed: int, epoch: int, step: int) -> npt.NDArray[np.uint32]:
    """The seeds of a step, (count, 2)."""
    return _pairs(_words(count, seed, epoch, step))


def _pairs(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The words of each seed; the last word is torch's own."""
    return words[:-1].reshape(-1, 2)


def _words(count: int, seed: int, epoch: int, step: int) -> npt.NDArray[np.uint32]:
    words = np.random.SeedSequence((seed, epoch, step, 4)).generate_state(2 * count + 1)
    return (words >> 1).astype(np.uint32)  # int32 on some backends


def _named(variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    # the first part of a variable's own name counts the layers made before it in the process
    return {f"{at:04d} {variable.name.rsplit('_', 1)[-1]}": variable for at, variable in enumerate(variables)}


def _kind(dtype: str) -> str:
    """The type of number; whole ones are int64 on one backend and int32 on another."""
    return "int" if dtype in ("int32", "int64") else dtype
