"""How a run directory begins, and whether the run in one can go on."""

from __future__ import annotations

import dataclasses
import datetime as dt
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import keras

from mien.errors import TrainingError
from mien.training.architectures.complexity import multiply_adds
from mien.training.config import read
from mien.training.engine.schedule import OPEN_ENDED
from mien.training.run.directory import CONFIG, SAMPLES, RunInfo, config_file, is_run, read_run_info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Source
    from mien.training.run.progress import TrainEvent

Heads = tuple[tuple[str, tuple[str, ...]], ...]

FIXED = ("training_rows", "validation_rows", "heads", "data", "digest")
"""What must be the same when a run goes on."""


class Rows(Protocol):
    """What is learnt from, of either kind: expressions or scenes."""

    @property
    def name(self) -> str:
        """Of the data."""
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
    """What a run is of, as RUN/run.json tells it; ``work`` in multiply-adds where the model has no fixed size."""
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


def heads_of(data: Dataset) -> Heads:
    """Name and labels of each head of a data set."""
    return tuple((truth.head, tuple(map(str, truth.labels))) for truth in data.truths)


def begin(run: Path, config: TrainingConfig, run_info: RunInfo, write_samples: Callable[[Path], None]) -> None:
    """Makes the directory a run's; the config comes last, as what marks it as one."""
    if config_file(run).exists():
        raise TrainingError(
            f"expected a directory without a run; {run} holds one: go on with it by --resume, or choose another --out"
        )
    run_info.save(run)
    write_samples(run / SAMPLES)
    config.save(run / CONFIG)


def check_resumable(run: Path, config: TrainingConfig, run_info: RunInfo, tell: Callable[[TrainEvent], None]) -> None:
    """Nothing, where the run in a directory can go on with this config on this data."""
    if not is_run(run):
        raise TrainingError(f"expected a run in {run} to go on with; there is none: leave --resume away to begin one")
    begun, was = read_run_info(run), read(config_file(run))
    for name in FIXED:
        if getattr(run_info, name) != getattr(begun, name):
            raise TrainingError(
                f"expected the data that the run {run} began with, {name} = {_short(getattr(begun, name))}; received "
                f"{_short(getattr(run_info, name))}. Give that data, or begin a new run with another --out"
            )
    _check_same(was, config, run)
    if run_info.backend != begun.backend:
        tell(f"the run began on {begun.backend} and resumes on {run_info.backend}: numbers agree, but not bit for bit")
    if run_info.on_device != begun.on_device:
        tell("the run goes on with --on-device otherwise than it began: numbers agree, but not to the last bit")
    for what in ("weights", "soft_labels", "teacher"):
        if getattr(run_info.source, what) != getattr(begun.source, what):
            raise TrainingError(
                f"expected {what} = {getattr(begun.source, what)} as the run {run} began with; received "
                f"{getattr(run_info.source, what)}. Bring those back, or begin a new run with another --out"
            )
    if config != was:
        config.save(run / CONFIG)


def _check_same(was: TrainingConfig, config: TrainingConfig, run: Path) -> None:
    """Nothing, where nothing but more epochs is asked for, and what is done so far would be the same with them."""
    changed = [part.name for part in dataclasses.fields(was) if getattr(was, part.name) != getattr(config, part.name)]
    extended = config.epochs > was.epochs and was.schedule in OPEN_ENDED and was.fine_tune_epochs == 0
    for name in changed:
        if not (name == "epochs" and extended):
            raise TrainingError(
                f"expected {name} = {getattr(was, name)} as the run {run} has it; received {getattr(config, name)}. "
                "Leave the option away, or begin a new run with another --out; more epochs can be had where the "
                f"schedule is one of {OPEN_ENDED} and there are no gentle epochs"
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
