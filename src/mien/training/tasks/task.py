"""What a run teaches, apart from how a run goes: ``fit`` needs no more of it than this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras
    import numpy as np
    import numpy.typing as npt

    from mien.training.config import TrainingConfig
    from mien.training.engine.steps import Batch, Stepper
    from mien.training.run.directory import RunInfo, Source
    from mien.training.run.history import HeadScore


class Task(Protocol):
    """Data and a config, as a network learns from them. All of it is a function of the two."""

    @property
    def config(self) -> TrainingConfig:
        """Every choice."""
        ...

    @property
    def batch(self) -> int:
        """Images a step."""
        ...

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        ...

    def network(self) -> keras.Model:
        """The network in float32, with fresh weights, not made ready to learn."""
        ...

    def learner(self, start: Callable[[keras.Model], None] | None) -> keras.Model:
        """The network made ready to learn; ``start`` gives it other weights, or freezes layers, before that."""
        ...

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """What the run is of."""
        ...

    def write_samples(self, path: Path) -> None:
        """Draws what the network will see."""
        ...

    def epoch(self, number: int, first: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from a step on."""
        ...

    def on_device(self, model: keras.Model, /) -> Stepper:
        """What takes the steps of ``epoch`` with the data on the device, many at once.

        Raises:
            UsageError: this lesson can't.
        """
        ...

    def plain_images(self, most: int) -> npt.NDArray[np.uint8]:
        """Images as in use, from which batch normalisation is estimated: uint8, in any order."""
        ...

    def judge(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """How the network does on the validation split; ``check`` is called now and then, and may end it."""
        ...
