"""Carry out ``mien train``: one run, or a hyperparameter search, up to the model file."""

from __future__ import annotations

import dataclasses
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.apps.cli.export import read_scenes, read_splits, write_detector, write_model
from mien.apps.cli.options import SIGNALLED, console, say
from mien.apps.cli.soft_labels import without_foreign_labels
from mien.apps.cli.training_output import draw_curves, progress_printer, run_logger, show_summary
from mien.errors import UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from mien.data import Dataset
    from mien.detection.grid_detector import CellDetector
    from mien.training.config import TrainingConfig
    from mien.training.engine.loop import Options, Run
    from mien.training.run.directory import Source
    from mien.training.run.history import TrainEvent
    from mien.training.search.trials import Search

    TrainFunction = Callable[..., Run]
    FinishFunction = Callable[[Path, Any], None]


def run_training(out: Path, config: TrainingConfig, options: Options, *, tensorboard: bool) -> None:
    """Trains a network and writes its model file.

    Args:
        out: the run directory.
        config: the training config.
        options: how to carry out the run, with the source of the data.
        tensorboard: whether to write a log for TensorBoard.
    """
    from mien.training.run.guards import Interrupted

    log = run_logger(out, tensorboard=tensorboard)
    train, finish = (_detector if config.network == FACE_DETECTOR else _classifier)(options.source, config)
    try:
        with progress_printer(config.epochs) as show:

            def report(event: TrainEvent) -> None:
                show(event)
                log(event)

            done = train(out, report, options)
    except Interrupted as stopped:
        say(f"the run is saved; continue with: mien train --out {shlex.quote(str(out))} --resume")
        raise typer.Exit(SIGNALLED + stopped.number) from stopped
    finally:
        draw_curves(out)
    finish(out, done.model)


def run_search(out: Path, config: TrainingConfig, count: int, options: Options) -> None:
    """Searches for a better config, prints the trials on stdout, and writes the model file of the best.

    Args:
        out: the directory of the search.
        config: the centre of the search space.
        count: trials in total.
        options: of each run, with the source of the data.
    """
    from mien.training.run.directory import BEST, is_run
    from mien.training.run.guards import Interrupted
    from mien.training.search.trials import BEST_CONFIG, search
    from mien.training.tasks.classification.compilation import load, shape_of
    from mien.training.transfer.fine_tuning import train as train_one

    training, validation = splits = read_splits(options.source, config)
    config = without_foreign_labels(config, training)

    def train(config: TrainingConfig, run: Path, report: Callable[[TrainEvent], None]) -> None:
        train_one(training, validation, config, run, report, dataclasses.replace(options, resume=is_run(run)))

    try:
        with progress_printer(config.epochs) as report:
            found = search(config, count, out, train, report, training.digest)
    except Interrupted as stopped:
        say("the search is saved; the same command continues it")
        raise typer.Exit(SIGNALLED + stopped.number) from stopped
    console().print(table(found))
    for name, share in found.importances():
        say(f"importance of {name}: {share:.0%}")
    best, run = found.best.choices.applied(config), out / found.best.directory
    write_model(run, load(run / BEST, shape_of(training, best), best.network), splits, best)
    say(f"the best config: {out / BEST_CONFIG}")


def table(found: Search) -> Table:
    """The trials, best first."""
    from rich.table import Table

    from mien.training.search.space import space

    names = list(space(found.config))
    heads = ("trial", "score", "epochs", *(name.replace("_", " ") for name in names), "state")
    shown = Table(*heads, box=None, pad_edge=False)
    for trial in sorted(found.trials, key=lambda trial: -trial.validation_score):
        values = (f"{getattr(trial.choices, name):.3g}" for name in names)
        score = f"{trial.validation_score:.4f}"
        shown.add_row(str(trial.number), score, str(len(trial.validation_scores)), *values, trial.state)
    return shown


def _classifier(source: Source, config: TrainingConfig) -> tuple[TrainFunction, FinishFunction]:
    """How to train an expression classifier, and how to finish that run."""
    from mien.training.transfer.fine_tuning import train

    splits = read_splits(source, config)
    config = without_foreign_labels(config, splits[0])

    def finish(out: Path, model: Any) -> None:
        write_model(out, model, splits, config)
        show_summary(out)

    return partial(train, *splits, config), finish


def _detector(source: Source, config: TrainingConfig) -> tuple[TrainFunction, FinishFunction]:
    """How to train a face detector, and how to finish that run."""
    from mien.training.engine.loop import train
    from mien.training.tasks.detection.task import DetectionTask

    halves = read_scenes(source)
    task = DetectionTask(*halves, config, _detector_teacher(config), _crops_to_paste(config))
    return partial(train, task), lambda out, model: write_detector(out, model, halves, config)


def _detector_teacher(config: TrainingConfig) -> CellDetector | None:
    """The detector to distill from."""
    from mien.detection.grid_detector import CellDetector
    from mien.models.store import ModelStore
    from mien.recognizer import find_detector

    if not config.teacher:
        return None
    teacher = find_detector(config.teacher, ModelStore())
    if not isinstance(teacher, CellDetector):
        raise UsageError(
            f"expected yunet, or the .onnx file of a detector, as teacher; received {config.teacher!r}. "
            "Use --teacher none to train without one"
        )
    return teacher


def _crops_to_paste(config: TrainingConfig) -> Dataset | None:
    """The face crops for copy-paste augmentation."""
    from mien.data import load

    return load(Path(config.copy_paste)) if config.copy_paste else None
