"""What a run directory holds, and how it is read.

RUN/config.toml         every choice; written last of the first files, so what has it is a run
RUN/run.json            the facts of the run: network, data, versions
RUN/history.csv         one row an epoch, for people and spreadsheets
RUN/history.jsonl       the same, every digit, one JSON object a line
RUN/augmentation.png    images as they are and as they are learnt from
RUN/curves.png          loss and scores over the epochs, where matplotlib is installed
RUN/checkpoints/        the last three moments that the run can be taken up from
RUN/best.weights.h5     the weights of the best epoch, as Keras saves them
RUN/model.onnx          the model file
RUN/lock                held while the run goes on

Nothing here needs Keras.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import MienError, TrainingError
from mien.media.files import write_text
from mien.models.legacy import EPOCH_FIELDS, RUN_FILES, renamed
from mien.training.config import TrainingConfig, read
from mien.training.engine.schedule import best_epoch, is_finished

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIG = "config.toml"
RUN_INFO = "run.json"
HISTORY_CSV = "history.csv"
HISTORY = "history.jsonl"
SAMPLES = "augmentation.png"
CURVES = "curves.png"
CHECKPOINTS = "checkpoints"
BEST = "best.weights.h5"
MODEL = "model.onnx"
LOCK = "lock"


@dataclass(frozen=True)
class HeadScore:
    """How one head does on the validation split.

    Attributes:
        head: its name.
        accuracy: share right.
        macro_f1: mean F1 over its labels.
        nll: mean negative log-likelihood of the truth, in nats.
    """

    head: str
    accuracy: float
    macro_f1: float
    nll: float


@dataclass(frozen=True)
class Epoch:
    """One row of the history.

    Attributes:
        number: counted from 1.
        loss: mean training loss.
        accuracy: of the first head on the training images, changed as they were learnt from.
        scores: each head on the validation split, by the averaged weights.
        learning_rate: of the last step.
        seconds: of training and judging together.
        images_per_second: of training alone.
        waiting: share of the training time spent waiting for the next batch.
    """

    number: int
    loss: float
    accuracy: float
    scores: tuple[HeadScore, ...]
    learning_rate: float
    seconds: float
    images_per_second: float
    waiting: float

    @property
    def validation_score(self) -> float:
        """What the best epoch is chosen by: the mean accuracy of the heads on the validation split."""
        return sum(score.accuracy for score in self.scores) / len(self.scores)

    def to_json(self) -> dict[str, Any]:
        """The epoch as a JSON object; floats keep every digit."""
        values = dataclasses.asdict(self)
        values["scores"] = [dataclasses.asdict(score) for score in self.scores]
        return values


def epoch_of(values: dict[str, Any]) -> Epoch:
    """The epoch that ``Epoch.to_json`` told of."""
    values = renamed(values, EPOCH_FIELDS)
    return Epoch(**{**values, "scores": tuple(HeadScore(**score) for score in values["scores"])})


@dataclass(frozen=True)
class Source:
    """Where the data of a run was read, so that it can be found again, and what else it learnt from.

    Attributes:
        data: folder or file.
        without: list of rows left out; "" where there is none.
        validation_share: held out where the data has no splits.
        weights: file or run, and SHA-256, of those that the network began with; "" for random ones.
        soft_labels: file and SHA-256 of a teacher's labels that are learnt from; "" where there are none.
        teacher: models and SHA-256 that are asked while it learns; "" where there are none.
        fold: the part of the training rows that is left out, "K/N"; "" where all are learnt from.
    """

    data: str = ""
    without: str = ""
    validation_share: float = 0.1
    weights: str = ""
    soft_labels: str = ""
    teacher: str = ""
    fold: str = ""


@dataclass(frozen=True)
class RunInfo:
    """What a run is of, written at its start.

    Attributes:
        network: name in the architectures.
        backend: of Keras: "tensorflow", "torch" or "jax".
        parameters: of the network.
        multiply_adds: of one face crop.
        data: name of the data set.
        digest: SHA-256 over the data, in hex.
        training_rows: how many are learnt from.
        validation_rows: how many the best epoch is chosen on.
        heads: name and labels of each, the data's own first.
        started: date and time in UTC, ISO 8601.
        versions: of mien and keras.
        source: where the data was read.
        on_device: whether the data lay on the device.
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
        """Writes RUN/run.json whole."""
        values = {**dataclasses.asdict(self), "heads": dict(self.heads), "versions": dict(self.versions)}
        write_text(run / RUN_INFO, json.dumps(values, indent=2) + "\n")


@dataclass(frozen=True)
class Record:
    """A run as its directory tells it.

    Attributes:
        path: the directory.
        config: every choice.
        facts: what it is of.
        history: one a finished epoch; empty while the first goes on.
    """

    path: Path
    config: TrainingConfig
    run_info: RunInfo
    history: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are kept."""
        return self.history[best_epoch(self.history) - 1] if self.history else None

    @property
    def finished(self) -> bool:
        """Whether no epoch is to follow."""
        return is_finished(self.config, self.history)

    @property
    def minutes(self) -> float:
        """Spent on the finished epochs."""
        return sum(epoch.seconds for epoch in self.history) / 60.0


def config_file(run: Path) -> Path:
    """RUN/config.toml, or its name in a run of mien 0.1.0 where only that is there."""
    old = run / RUN_FILES[CONFIG]
    return old if old.is_file() and not (run / CONFIG).is_file() else run / CONFIG


def is_run(path: Path) -> bool:
    """Whether a directory holds a run, be it begun or finished."""
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
    except (MienError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"expected the files of a run in {path}; they can't be read ({error})") from error


def read_run_info(run: Path) -> RunInfo:
    """The facts in RUN/run.json."""
    values = json.loads((run / RUN_INFO).read_text(encoding="utf-8"))
    heads = tuple((head, tuple(labels)) for head, labels in values.pop("heads").items())
    versions = tuple(values.pop("versions").items())
    source = Source(**values.pop("source"))
    return RunInfo(**values, heads=heads, versions=versions, source=source)


def read_history(run: Path) -> tuple[Epoch, ...]:
    """The epochs in RUN/history.jsonl; none where there is no such file yet."""
    path = run / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return tuple(epoch_of(json.loads(line)) for line in lines)


def write_history(run: Path, history: Sequence[Epoch]) -> None:
    """Writes RUN/history.jsonl and RUN/history.csv, each whole."""
    write_text(run / HISTORY, "".join(json.dumps(epoch.to_json()) + "\n" for epoch in history))
    write_text(run / HISTORY_CSV, history_csv(history))


def history_csv(history: Sequence[Epoch]) -> str:
    """The history as csv: a row an epoch; accuracy, macro_f1 and nll of each head under HEAD_METRIC."""
    heads = [score.head for score in history[0].scores] if history else []
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["epoch", "loss", "accuracy"]
        + [f"{head}_{metric}" for head in heads for metric in ("accuracy", "macro_f1", "nll")]
        + ["learning_rate", "seconds", "images_per_second", "waiting"]
    )
    for epoch in history:
        scores = [value for score in epoch.scores for value in (score.accuracy, score.macro_f1, score.nll)]
        shares = [f"{value:.5f}" for value in (epoch.loss, epoch.accuracy, *scores)]
        speed = [f"{epoch.seconds:.1f}", f"{epoch.images_per_second:.0f}", f"{epoch.waiting:.4f}"]
        table.writerow([epoch.number, *shares, f"{epoch.learning_rate:.4g}", *speed])
    return text.getvalue()
