"""The history of a run: finished epochs, progress within one, and the files that keep them. Needs no Keras."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mien.errors import TrainingError
from mien.media.files import write_text
from mien.models.legacy import EPOCH_FIELDS, renamed
from mien.models.typed_json import fields_of, parse_json, structured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HISTORY_CSV = "history.csv"
HISTORY = "history.jsonl"


@dataclass(frozen=True)
class HeadScore:
    """The scores of one output head on the validation split.

    Attributes:
        head: its name.
        accuracy: share of correct predictions.
        macro_f1: mean F1 over its labels.
        nll: mean negative log-likelihood of the true label, in nats.
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
        accuracy: of the first head on the training images, as augmented.
        scores: each head on the validation split, with the averaged weights.
        learning_rate: at the last step.
        seconds: of training and validation together.
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
        """The mean accuracy of the heads on the validation split. The best epoch has the highest."""
        return sum(score.accuracy for score in self.scores) / len(self.scores)

    def to_json(self) -> dict[str, Any]:
        """The epoch as a JSON object; floats keep every digit."""
        values = dataclasses.asdict(self)
        values["scores"] = [dataclasses.asdict(score) for score in self.scores]
        return values


def epoch_of(values: Any) -> Epoch:
    """The epoch in a JSON object written by ``Epoch.to_json``.

    Raises:
        ValueError: it is another object.
    """
    return structured(Epoch, renamed(fields_of(values, "the epoch"), EPOCH_FIELDS), "the epoch")


@dataclass(frozen=True, slots=True)
class Progress:
    """Event: a training step is done.

    Attributes:
        epoch: the current one, counted from 1.
        epochs: of the whole run.
        step: steps done in this epoch.
        steps: in an epoch.
        loss: mean over the steps of this epoch.
        accuracy: likewise, of the first head on the training images as augmented.
        images_per_second: of training.
        waiting: share of the time spent waiting for the next batch.
        seconds_left: until the last step of the epoch.
        run_seconds_left: until the end of the run, if no epoch takes longer than the previous ones.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    waiting: float
    seconds_left: float
    run_seconds_left: float


TrainEvent: TypeAlias = Epoch | Progress | str
"""An event emitted during training: a finished epoch, a finished step, or a message."""


def best_epoch(history: Sequence[Epoch]) -> int:
    """The number, from 1, of the first epoch with the highest validation score.

    Args:
        history: at least one epoch.
    """
    return max(range(len(history)), key=lambda at: history[at].validation_score) + 1


def read_history(run: Path) -> tuple[Epoch, ...]:
    """The epochs in RUN/history.jsonl; empty when the file does not exist yet.

    Raises:
        TrainingError: the file can't be read.
    """
    path = run / HISTORY
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return tuple(epoch_of(parse_json(line)) for line in lines)
    except (OSError, ValueError) as error:
        raise TrainingError(f"expected the history of a run in {path}; it can't be read ({error})") from error


def write_history(run: Path, history: Sequence[Epoch]) -> None:
    """Write RUN/history.jsonl and RUN/history.csv, each atomically."""
    write_text(run / HISTORY, "".join(json.dumps(epoch.to_json()) + "\n" for epoch in history))
    write_text(run / HISTORY_CSV, history_csv(history))


def history_csv(history: Sequence[Epoch]) -> str:
    """The history as CSV, a row per epoch; each head has the columns HEAD_accuracy, HEAD_macro_f1 and HEAD_nll."""
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
