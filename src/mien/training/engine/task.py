"""The training task: everything that the training loop needs to know about data, network and evaluation."""

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
    """A network with its training and validation data; deterministic, given the data and the config."""

    @property
    def config(self) -> TrainingConfig:
        """The training config."""
        ...

    @property
    def batch_size(self) -> int:
        """Images per step."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch."""
        ...

    def build_model(self) -> keras.Model:
        """The network in float32 with random weights, not compiled."""
        ...

    def compiled_model(self, initialize: Callable[[keras.Model], None] | None) -> keras.Model:
        """The network with optimizer and losses; ``initialize`` loads weights or freezes layers before compilation."""
        ...

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """The description of the run for RUN/run.json."""
        ...

    def write_samples(self, path: Path) -> None:
        """Write an image with examples of augmented training images."""
        ...

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from a step on."""
        ...

    def device_stepper(self, model: keras.Model, /) -> Stepper:
        """A stepper that keeps the data on the accelerator and runs many steps as one program.

        Raises:
            UsageError: the task does not support it.
        """
        ...

    def unaugmented_images(self, limit: int) -> npt.NDArray[np.uint8]:
        """Typical images for estimating batch normalisation: uint8 (count, height, width, channels), in any order."""
        ...

    def evaluate(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """Scores on the validation split; ``check`` is called regularly and may end the evaluation by an exception."""
        ...
