"""One run of ``mien train``: its config and data from the options, training, and the model file at the end."""

from __future__ import annotations

import dataclasses
import os
import shlex
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.apps.cli.export import read_scenes, read_splits, without_foreign_labels, write_detector, write_model
from mien.apps.cli.options import SIGNALLED, console, say
from mien.apps.cli.training_output import draw_curves, progress_printer, run_logger, show_summary
from mien.errors import UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from rich.table import Table

    from mien.data import Dataset
    from mien.detection.grid import GridDetector
    from mien.training.config import TrainingConfig
    from mien.training.engine.loop import Options, Run
    from mien.training.run.directory import Record, Source
    from mien.training.run.history import TrainEvent
    from mien.training.search.trials import Search

    TrainFunction = Callable[..., Run]
    FinishFunction = Callable[[Path, Any], None]
DEFAULT_NETWORK = "compact"


def resumed_run(out: Path) -> Record:
    """The run to resume. Selects the backend that it began on, unless KERAS_BACKEND names another."""
    from mien.training.run.directory import read_run

    record = read_run(out)
    if find_spec(record.run_info.backend):
        os.environ.setdefault("KERAS_BACKEND", record.run_info.backend)
    return record


def choose_config(path: str | None, given: dict[str, object], resumed: Record | None) -> TrainingConfig:
    """The config of a new run, or that of a resumed run with the options that are given again.

    Args:
        path: a config file, or the name of one that ships; None for the network's own.
        given: config fields that options set, as typed.
        resumed: the run to resume.
    """
    from mien.training.config import config_for, config_named
    from mien.training.transfer.backbones import effective_config, fine_tuning_config

    fields = _resolved(given)
    if resumed and path is None:
        return dataclasses.replace(resumed.config, **fields)  # type: ignore[arg-type]  # typer checked the types
    config = config_named(path) if path else config_for(str(fields.get("network", DEFAULT_NETWORK)))
    if path is None and fields.get("fine_tune"):
        config = fine_tuning_config(config)
    return effective_config(_shortened(config, fields))


def apply_fold(config: TrainingConfig, given: Collection[str]) -> TrainingConfig:
    """The config of a run that excludes a fold: without models that may have seen the fold.

    Args:
        config: the training config.
        given: the fields that the user set, which stay.
    """
    from mien.training.transfer.backbones import BACKBONES, IMAGENET, RANDOM

    if config.soft_labels and "soft_labels" not in given:
        say(f"the soft labels {config.soft_labels} are not used: their teachers have seen the fold")
        config = dataclasses.replace(config, soft_labels="")
    if config.teacher and "teacher" not in given:
        say(f"the teacher {config.teacher} is not used: it has seen the fold")
        config = dataclasses.replace(config, teacher="")
    if config.network not in BACKBONES and config.weights not in (IMAGENET, RANDOM) and "weights" not in given:
        say(f"the weights {config.weights} are not used: they may have been trained on the fold")
        config = dataclasses.replace(config, weights=RANDOM)
    return config


def find_source(
    resumed: Record | None, data: Path | None, exclude: Path | None, share: float | None, fold: str | None
) -> Source:
    """The data source of a run: that of the resumed run, unless options override it."""
    from mien.data.splits import parse_fold
    from mien.training.run.directory import Source

    previous = resumed.run_info.source if resumed else Source()
    if data is None and not previous.data:
        raise UsageError("expected --data, the data set to train on; received none")
    return Source(
        str(data.absolute()) if data else previous.data,
        str(exclude.absolute()) if exclude else previous.exclude,
        previous.validation_share if share is None else share,
        fold=previous.fold if fold is None else str(parse_fold(fold)),
    )


def check_detector(config: TrainingConfig, options: Sequence[str]) -> None:
    """Refuse options that the face detector does not have."""
    if options and config.network == FACE_DETECTOR:
        raise UsageError(
            f"expected an expression classifier with {options[0]}; received the face detector. Drop the option"
        )


def _resolved(given: dict[str, object]) -> dict[str, object]:
    """The fields as a config holds them: paths absolute, "none" as the field has it."""
    from mien.training.distillation.soft_labels import soft_labels_setting
    from mien.training.transfer.backbones import weights_setting

    resolve = {
        "teacher": _teachers,
        "soft_labels": soft_labels_setting,
        "weights": weights_setting,
        "copy_paste": _absolute,
    }
    return {name: resolve[name](str(value)) if name in resolve else value for name, value in given.items()}


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _teachers(names: str) -> str:
    """Names, or absolute paths of files, with commas between; "" for "none"."""
    if names == "none":
        return ""
    parts = (part.strip() for part in names.split(","))
    return ",".join(_absolute(part) if part.lower().endswith(".onnx") else part for part in parts)


def _shortened(config: TrainingConfig, fields: dict[str, object]) -> TrainingConfig:
    """The config with other fields; warm-up and fine-tune phase shrink to fit a short run."""
    epochs = fields.get("epochs", config.epochs)
    if not isinstance(epochs, int) or epochs < 1:
        raise UsageError(f"expected at least 1 epoch; received {epochs}")
    fine_tune_epochs, warmup = min(config.fine_tune_epochs, epochs // 5), min(config.warmup_epochs, epochs / 5)
    return dataclasses.replace(config, fine_tune_epochs=fine_tune_epochs, warmup_epochs=warmup, **fields)  # type: ignore[arg-type]  # typer checked the types


def run_training(out: Path, config: TrainingConfig, options: Options, *, tensorboard: bool) -> None:
    """Train a network and write its model file.

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
    """Search for a better config, print the trials on stdout, and write the model file of the best.

    Args:
        out: the directory of the search.
        config: the centre of the search space.
        count: trials in total.
        options: of each run, with the source of the data.
    """
    from mien.training.run.directory import BEST, is_run
    from mien.training.run.guards import Interrupted
    from mien.training.search.study import BEST_CONFIG
    from mien.training.search.trials import search
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
    """The functions that train an expression classifier and finish its run."""
    from mien.training.transfer.fine_tuning import train

    splits = read_splits(source, config)
    config = without_foreign_labels(config, splits[0])

    def finish(out: Path, model: Any) -> None:
        write_model(out, model, splits, config)
        show_summary(out)

    return partial(train, *splits, config), finish


def _detector(source: Source, config: TrainingConfig) -> tuple[TrainFunction, FinishFunction]:
    """The functions that train a face detector and finish its run."""
    from mien.training.engine.loop import train
    from mien.training.tasks.detection.task import DetectionTask

    halves = read_scenes(source)
    task = DetectionTask(*halves, config, _detector_teacher(config), _crops_to_paste(config))
    return partial(train, task), lambda out, model: write_detector(out, model, halves, config)


def _detector_teacher(config: TrainingConfig) -> GridDetector | None:
    """The detector to distill from."""
    from mien.detection import find_detector
    from mien.detection.grid import GridDetector
    from mien.models.store import ModelStore

    if not config.teacher:
        return None
    teacher = find_detector(config.teacher, ModelStore())
    if not isinstance(teacher, GridDetector):
        raise UsageError(
            f"expected yunet, or the .onnx file of a detector, as teacher; received {config.teacher!r}. "
            "Use --teacher none to train without one"
        )
    return teacher


def _crops_to_paste(config: TrainingConfig) -> Dataset | None:
    """The face crops for copy-paste augmentation."""
    from mien.data import load

    return load(Path(config.copy_paste)) if config.copy_paste else None
