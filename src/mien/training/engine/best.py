"""The network that a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import TrainingError
from mien.training.engine.fit import BEST, load

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from mien.training.architectures import NetworkShape


def best_network(run: Path, shape: NetworkShape, network: str, into: keras.Model | None = None) -> keras.Model:
    """The network with the run's best weights, in float32.

    Args:
        run: the directory.
        shape: size, channels and heads.
        network: its name in the architectures.
        into: a network of the same kind that they are loaded into, which is compiled already; else a new one.

    Raises:
        TrainingError: there are no weights, or they are of another network or other data.
    """
    try:
        if into is not None:
            into.load_weights(run / BEST)
            return into
        return load(run / BEST, shape, network)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of {network!r} that fit the data at {run / BEST}; received none, or others "
            f"({error}). Give the run, and the data that it was taught on"
        ) from error
