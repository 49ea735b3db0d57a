"""Comparison of runs: scores, inference cost and training time. Needs no Keras."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.classification.classifier import Classifier
from mien.errors import MienError, TrainingError, UsageError
from mien.models.card import FUSED, ModelCard
from mien.models.onnx_file import read_onnx
from mien.training.run.directory import CONFIG, LOCK, MODEL, RUN_INFO, Record, read_run
from mien.training.run.guards import is_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

TIMING_ROUNDS = 15
"""Timing rounds; the models take turns in each, so that other load on the machine affects all alike."""

State = Literal["finished", "running", "interrupted", "unreadable"]


@dataclass(frozen=True)
class Row:
    """A row of the comparison; None where the directory does not say.

    Attributes:
        run: the directory.
        state: "unreadable" if its files can't be read, "interrupted" if it is neither active nor finished.
        note: what is missing or wrong, and the remedy; "" for nothing.
        network: name in the architectures.
        data: name of the data set.
        epochs: number of finished epochs.
        planned: number of epochs in the config.
        best_epoch: the one whose weights are kept.
        head: the evaluated output head, the data's own.
        split: the evaluated split.
        accuracy: of the model file, or of the best epoch if there is no model file yet.
        macro_f1: mean F1 over the labels, likewise.
        ece: expected calibration error of the model file.
        parameters: of the network.
        multiply_adds: per face crop.
        milliseconds: inference time per face, in batches of one on one thread, measured now.
        bytes: size of the model file.
        minutes: training time.
    """

    run: str
    state: State
    note: str = ""
    network: str | None = None
    data: str | None = None
    epochs: int | None = None
    planned: int | None = None
    best_epoch: int | None = None
    head: str | None = None
    split: str | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    ece: float | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    milliseconds: float | None = None
    bytes: int | None = None
    minutes: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)


COLUMNS = tuple(part.name for part in dataclasses.fields(Row))


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """The run directories among folders and directly inside them, damaged ones too, each once.

    Raises:
        UsageError: a folder does not exist, or holds no run.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"expected folders with runs; there is none at {folder}. 'mien train --out RUN' makes one")
        inside = [folder] if _looks_like_run(folder) else sorted(filter(_looks_like_run, folder.iterdir()))
        if not inside:
            raise UsageError(f"expected run directories in {folder}; found none. 'mien train --out RUN' makes one")
        found.update(dict.fromkeys(inside))
    return list(found)


def measure(classifiers: Sequence[Classifier], rounds: int = TIMING_ROUNDS) -> list[float]:
    """The median seconds that each model takes for one face; the models take turns."""
    random = np.random.default_rng(0)
    cards = [classifier.card for classifier in classifiers]
    crops = [random.integers(0, 256, (1, card.size, card.size, card.channels), np.uint8) for card in cards]
    seconds: list[list[float]] = [[] for _ in classifiers]
    for turn in range(rounds + 1):
        for classifier, crop, times in zip(classifiers, crops, seconds, strict=True):
            started = time.perf_counter()
            classifier.predict(crop)
            if turn:  # the first one is a warm-up
                times.append(time.perf_counter() - started)
    return [median(times) for times in seconds]


def compare(
    runs: Iterable[Path], measure_seconds: Callable[[Sequence[Classifier]], list[float]] = measure
) -> list[Row]:
    """One row per run, the most accurate first.

    Args:
        runs: run directories; an unfinished or damaged one has a row too, with the reason.
        measure_seconds: the seconds per face of each classifier.
    """
    read = [_row(run) for run in runs]
    seconds = iter(measure_seconds([classifier for _, classifier in read if classifier]))
    rows = [
        dataclasses.replace(row, milliseconds=1000.0 * next(seconds)) if classifier else row for row, classifier in read
    ]
    return sorted(rows, key=lambda row: -1.0 if row.accuracy is None else row.accuracy, reverse=True)


def _looks_like_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CONFIG, RUN_INFO, MODEL))


def _row(run: Path) -> tuple[Row, Classifier | None]:
    """The row of a directory, and the model in it."""
    known: dict[str, Any] = {}
    notes: list[str] = []
    state: State = "unreadable"
    try:
        record = read_run(run)
        state = "finished" if record.finished else "interrupted"
        known = _recorded(record)
    except TrainingError as error:
        notes.append(str(error))
    if is_locked(run / LOCK):
        state = "running"
    classifier = None
    if (run / MODEL).is_file():
        try:
            classifier = Classifier(read_onnx(run / MODEL), threads=1)
            known |= {**_carded(classifier.card), "bytes": (run / MODEL).stat().st_size}
        except MienError as error:
            notes.append(f"{MODEL}: {error}")
    elif state == "finished":
        notes.append(f"finished, but without {MODEL}; write it with: mien export {run}")
    if state == "interrupted":
        notes.append(f"interrupted; continue with: mien train --out {run} --resume")
    return Row(str(run), state, "; ".join(notes), **known), classifier


def _recorded(record: Record) -> dict[str, Any]:
    run_info, best = record.run_info, record.best
    known = {
        "network": run_info.network,
        "data": run_info.data,
        "epochs": len(record.history),
        "planned": record.config.epochs,
        "parameters": run_info.parameters,
        "multiply_adds": run_info.multiply_adds,
        "minutes": record.minutes,
        "head": run_info.heads[0][0],
    }
    if best:
        score = next(score for score in best.scores if score.head == run_info.heads[0][0])
        known |= {"best_epoch": best.number, "accuracy": score.accuracy, "macro_f1": score.macro_f1}
    return known


def _carded(card: ModelCard) -> dict[str, Any]:
    """The scores of the data's own head, which come first in a card."""
    known: dict[str, Any] = {"network": card.origin.network or card.name}
    if card.origin.data:
        known["data"] = card.origin.data.split(" ")[0]
    own = next((score for score in card.scores if score.head != FUSED), None)
    if own:
        known |= {"head": own.head, "split": own.split}
        known |= {
            score.metric: score.value
            for score in card.scores
            if (score.head, score.split) == (own.head, own.split) and score.metric in ("accuracy", "macro_f1", "ece")
        }
    return known
