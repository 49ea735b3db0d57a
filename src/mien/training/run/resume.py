"""Start a run in a directory, or check that the run in one can be resumed."""

from __future__ import annotations

import dataclasses
import datetime as dt
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import keras

from mien.errors import TrainingError
from mien.training.architectures.complexity import multiply_adds
from mien.training.config import read
from mien.training.engine.optimization import OPEN_ENDED
from mien.training.run.directory import CONFIG, SAMPLES, RunInfo, config_file, is_run, read_run_info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Source
    from mien.training.run.history import TrainEvent

Heads = tuple[tuple[str, tuple[str, ...]], ...]
"""Name and labels of each output head."""

FIXED_FIELDS = ("training_rows", "validation_rows", "heads", "data", "digest")
"""Fields of ``RunInfo`` that must not change when a run is resumed."""


class Rows(Protocol):
    """A data set of any task: face crops or scenes."""

    @property
    def name(self) -> str:
        """Name of the data set."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over the data, in hex."""
        ...

    def __len__(self) -> int: ...


def run_info_of(
    model: keras.Model,
    data: tuple[Rows, Rows],
    heads: Heads,
    config: TrainingConfig,
    source: Source,
    work: int | None = None,
) -> RunInfo:
    """The content of RUN/run.json.

    Args:
        model: the network.
        data: training and validation split.
        heads: name and labels of each output head.
        config: the training config.
        source: where the data was read.
        work: multiply-adds, for a network without a fixed input size.
    """
    training, validation = data
    return RunInfo(
        network=config.network,
        backend=keras.backend.backend(),
        parameters=model.count_params(),
        multiply_adds=multiply_adds(model) if work is None else work,
        data=training.name,
        digest=training.digest,
        training_rows=len(training),
        validation_rows=len(validation),
        heads=heads,
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        versions=(("mien", version("mien")), ("keras", keras.__version__)),
        source=source,
    )


def start_run(run: Path, config: TrainingConfig, run_info: RunInfo, write_samples: Callable[[Path], None]) -> None:
    """Write the first files of a run; the config comes last, because it marks the directory as a run.

    Raises:
        TrainingError: the directory already holds a run.
    """
    if config_file(run).exists():
        raise TrainingError(
            f"expected a directory without a run; {run} holds one: continue it with --resume, or choose another --out"
        )
    run_info.save(run)
    write_samples(run / SAMPLES)
    config.save(run / CONFIG)


def check_resumable(run: Path, config: TrainingConfig, run_info: RunInfo, report: Callable[[TrainEvent], None]) -> None:
    """Check that the run in a directory can continue with this config on this data.

    Raises:
        TrainingError: it can't; the message names what differs.
    """
    if not is_run(run):
        raise TrainingError(f"expected a run in {run} to resume; there is none: drop --resume to start one")
    original, previous = read_run_info(run), read(config_file(run))
    for name in FIXED_FIELDS:
        if getattr(run_info, name) != getattr(original, name):
            raise TrainingError(
                f"expected the data that the run {run} began with, {name} = {_short(getattr(original, name))}; "
                f"received {_short(getattr(run_info, name))}. Give that data, or begin a new run with another --out"
            )
    _check_config(previous, config, run)
    if run_info.backend != original.backend:
        report(
            f"the run began on {original.backend} and resumes on {run_info.backend}: results agree, but not bit for bit"
        )
    if run_info.on_device != original.on_device:
        report("the run began with another setting of --on-device: results agree, but not bit for bit")
    for name in ("weights", "soft_labels", "teacher"):
        if getattr(run_info.source, name) != getattr(original.source, name):
            raise TrainingError(
                f"expected {name} = {getattr(original.source, name)} as the run {run} began with; received "
                f"{getattr(run_info.source, name)}. Restore that, or begin a new run with another --out"
            )
    if config != previous:
        config.save(run / CONFIG)


def _check_config(previous: TrainingConfig, config: TrainingConfig, run: Path) -> None:
    """Allow no change but more epochs, and these only where they would not have changed the finished ones."""
    fields = (part.name for part in dataclasses.fields(previous))
    changed = [name for name in fields if getattr(previous, name) != getattr(config, name)]
    extended = config.epochs > previous.epochs and previous.schedule in OPEN_ENDED and previous.fine_tune_epochs == 0
    for name in changed:
        if not (name == "epochs" and extended):
            raise TrainingError(
                f"expected {name} = {getattr(previous, name)} as the run {run} has it; received "
                f"{getattr(config, name)}. Drop the option, or begin a new run with another --out; more epochs are "
                f"possible where the schedule is one of {OPEN_ENDED} and fine_tune_epochs is 0"
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
