"""The files of a run directory, and how to read them.

RUN/config.toml         the training config; written last at the start, so a directory that has it is a run
RUN/run.json            network, data and versions of the run
RUN/history.csv         one row per epoch, for spreadsheets
RUN/history.jsonl       the same at full precision, one JSON object per line
RUN/augmentation.png    training images, original and augmented
RUN/curves.png          learning curves, if matplotlib is installed
RUN/checkpoints/        the last three checkpoints
RUN/best.weights.h5     the weights of the best epoch, in Keras' format
RUN/model.onnx          the model file
RUN/lock                locked while the run is active

Nothing here needs Keras.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import MienError, TrainingError
from mien.media.files import write_text
from mien.models.legacy import RUN_FILES, SOURCE_FIELDS, renamed
from mien.models.typed_json import fields_of, read_json, structured
from mien.training.config import TrainingConfig, read
from mien.training.engine.optimization import is_finished
from mien.training.run.history import Epoch, best_epoch, read_history

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "config.toml"
RUN_INFO = "run.json"
SAMPLES = "augmentation.png"
CURVES = "curves.png"
CHECKPOINTS = "checkpoints"
BEST = "best.weights.h5"
MODEL = "model.onnx"
LOCK = "lock"


@dataclass(frozen=True)
class Source:
    """Where the data of a run was read, and which other models it was trained from.

    Attributes:
        data: folder or file.
        exclude: file that lists excluded rows; "" for none.
        validation_share: held out where the data has no splits.
        weights: file or run of the initial weights, and SHA-256; "" for random ones.
        soft_labels: file of a teacher's soft labels, and SHA-256; "" for none.
        teacher: models for online distillation, and SHA-256; "" for none.
        fold: the excluded fold of the training rows, "K/N"; "" for none.
    """

    data: str = ""
    exclude: str = ""
    validation_share: float = 0.1
    weights: str = ""
    soft_labels: str = ""
    teacher: str = ""
    fold: str = ""


@dataclass(frozen=True)
class RunInfo:
    """The description of a run, written when it starts.

    Attributes:
        network: name in the architectures.
        backend: of Keras: "tensorflow", "torch" or "jax".
        parameters: of the network.
        multiply_adds: per image.
        data: name of the data set.
        digest: SHA-256 over the data, in hex.
        training_rows: number of rows that are trained on.
        validation_rows: number of rows that the best epoch is chosen on.
        heads: name and labels of each output head, the data's own first.
        started: date and time in UTC, ISO 8601.
        versions: of mien and keras.
        source: where the data was read.
        on_device: whether the data set was kept on the GPU.
    """

    network: str
    backend: str
    parameters: int
    multiply_adds: int
    data: str
    digest: str
    training_rows: int
    validation_rows: int
    heads: tuple[tuple[str, tuple[str, ...]], ...]
    started: str
    versions: tuple[tuple[str, str], ...]
    source: Source
    on_device: bool = False

    def save(self, run: Path) -> None:
        """Write RUN/run.json atomically."""
        values = {**dataclasses.asdict(self), "heads": dict(self.heads), "versions": dict(self.versions)}
        write_text(run / RUN_INFO, json.dumps(values, indent=2) + "\n")


@dataclass(frozen=True)
class Record:
    """A run, as read from its directory.

    Attributes:
        path: the directory.
        config: the training config.
        run_info: network, data, versions.
        history: the finished epochs; empty during the first one.
    """

    path: Path
    config: TrainingConfig
    run_info: RunInfo
    history: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are kept; None during the first one."""
        return self.history[best_epoch(self.history) - 1] if self.history else None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or early stopping ended the run."""
        return is_finished(self.config, self.history)

    @property
    def minutes(self) -> float:
        """The time spent on the finished epochs."""
        return sum(epoch.seconds for epoch in self.history) / 60.0


def config_file(run: Path) -> Path:
    """RUN/config.toml, or its name in a run of mien 0.1.0 if only that exists."""
    old = run / RUN_FILES[CONFIG]
    return old if old.is_file() and not (run / CONFIG).is_file() else run / CONFIG


def is_run(path: Path) -> bool:
    """Whether a directory holds a run, finished or not."""
    return config_file(path).is_file() and (path / RUN_INFO).is_file()


def read_run(path: Path) -> Record:
    """The run in a directory.

    Raises:
        TrainingError: there is none, or its files can't be read.
    """
    if not is_run(path):
        raise TrainingError(
            f"expected a run directory with {CONFIG} and {RUN_INFO}; received {path}, which lacks them. "
            "'mien train --out RUN' makes one"
        )
    try:
        return Record(path, read(config_file(path)), read_run_info(path), read_history(path))
    except (MienError, OSError) as error:
        raise TrainingError(f"expected the files of a run in {path}; they can't be read ({error})") from error


def read_run_info(run: Path) -> RunInfo:
    """The content of RUN/run.json, of this version or of 0.1.0.

    Raises:
        TrainingError: the file can't be read, or is none that mien wrote.
    """
    try:
        values = dict(fields_of(read_json(run / RUN_INFO), "the run"))
        for name in ("heads", "versions"):
            values[name] = [list(pair) for pair in fields_of(values.get(name), name).items()]
        values["source"] = renamed(fields_of(values.get("source"), "source"), SOURCE_FIELDS)
        return structured(RunInfo, values, "the run")
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected in {run / RUN_INFO} what mien train wrote; it can't be read ({error}). Restore it from a "
            "backup, or begin a new run with another --out"
        ) from error
