"""``mien train``: from a data set to a model file that every other command takes."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.detector_run import chosen_teacher, find_crops, find_teacher, read_halves, write_detector
from mien.apps.cli.export import read_splits, write_model
from mien.apps.cli.options import SIGNALLED, say
from mien.apps.cli.search import search_configs
from mien.apps.cli.soft_labels import told_fitting
from mien.errors import MissingExtraError, UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.training.config import TrainingConfig
    from mien.training.engine.fit import Options, Run
    from mien.training.run.directory import Epoch, Record, Source
    from mien.training.run.progress import TrainEvent

DEFAULT_NETWORK = "compact"
SEEN = {"soft_labels", "weights", "teacher"}
"""The choices of a config that may have seen a fold that is to be left out."""

REDRAWN = 10.0
"""Seconds after which the curves are drawn again, if an epoch has ended; and at the end."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("train")(train)


def train(
    *,
    out: Annotated[Path, typer.Option("--out", help="The run directory: config, history, weights, model.onnx.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="FER2013 (csv, .gz, .xz, .zip), MNIST, any csv of pixels, or class folders; see the docs."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, as if it had never stopped.")
    ] = False,
    config: Annotated[
        str | None, typer.Option("--config", help="A config as TOML, or one that ships; by default the network's own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A network of the architectures: compact, nano, two-conv.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Each a pass or several, then it is judged.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same run.")] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32, mixed_bfloat16 or mixed_float16.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="sgd or adamw.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Learning rate at its peak.")] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="Of the rate: cosine, linear, constant or plateau.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="End after so many epochs without a better one; 0: never.")
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", help="For rare classes: none, weights, or logits.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", help="To begin with: a model or a run; of a transfer network imagenet, none, an .h5."
        ),
    ] = None,
    fine_tune: Annotated[
        int | None, typer.Option("--fine-tune", min=0, help="Of a transfer network: teach its last N blocks too.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher", help="Learn from it too: models, by commas; of the face detector a detector [yunet]; or none."
        ),
    ] = None,
    paste: Annotated[
        Path | None,
        typer.Option("--paste", help="Of the face detector: FER2013 or other face crops to paste into scenes."),
    ] = None,
    soft_labels: Annotated[
        str | None,
        typer.Option("--soft-labels", help="Learn a teacher's too: a file of mien soft-labels, fer2013, or none."),
    ] = None,
    distillation_weight: Annotated[
        float | None, typer.Option("--soft-share", help="How much these, or a teacher, count, 0 to 1.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option("--fold", help="Leave fold K of N of the training rows out: K/N, K from 0.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Of the weights, for the model's card; yours to choose.")
    ] = None,
    without: Annotated[
        Path | None, typer.Option("--without", help="Rows to leave out, as mien data audit lists them.")
    ] = None,
    validation_share: Annotated[
        float | None, typer.Option("--validation-share", help="Held out where the data has no splits. [0.1]")
    ] = None,
    checkpoint_minutes: Annotated[
        float, typer.Option("--checkpoint-minutes", min=0.0, help="Between checkpoints within an epoch.")
    ] = 10.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write a log for TensorBoard into the run directory.")
    ] = False,
    devices: Annotated[int, typer.Option("--devices", min=1, help="That share every batch; on JAX.")] = 1,
    on_device: Annotated[
        bool,
        typer.Option("--on-device", help="The data lies on the device and is changed there, for a GPU; on JAX."),
    ] = False,
    search: Annotated[
        int | None, typer.Option("--search", min=1, help="Try so many configs around this one; --out holds all runs.")
    ] = None,
) -> None:
    """Teach a network from a data set and export it as a model file.

    Ctrl-C finishes the step, saves and leaves; a second one leaves at once. --resume goes on from there, from the
    last checkpoint after a crash, with the data and the config that the run began with.
    """
    from mien.training import prepare_backend
    from mien.training.distillation.soft_labels import soft_labels_setting

    options: dict[str, object] = {"network": model, "epochs": epochs, "batch": batch, "seed": seed}
    options |= {"precision": precision, "optimizer": optimizer, "learning_rate": rate, "schedule": schedule}
    options |= {"patience": patience, "balance": balance, "licence": licence}
    options |= {"teacher": None if teacher is None else chosen_teacher(teacher)}
    options |= {"copy_paste": str(paste.absolute()) if paste else None}
    options |= {"weights": weights, "fine_tune": fine_tune, "distillation_weight": distillation_weight}
    options |= {"soft_labels": None if soft_labels is None else soft_labels_setting(soft_labels)}
    begun = _begun(out) if resume and not search else None
    chosen = _chosen(config, {name: value for name, value in options.items() if value is not None}, begun)
    source = _source(begun, data, without, validation_share, fold)
    _check_detector(
        chosen, fold=fold is not None, search=search is not None, weights=weights is not None, on_device=on_device
    )
    if source.fold:
        asked = {name for name, value in options.items() if value is not None}
        chosen = _for_a_fold(chosen, asked if config or not begun else SEEN)
    prepare_backend()
    from mien.training.engine.devices import own_directory
    from mien.training.engine.fit import Options

    on_device = on_device or (begun is not None and begun.run_info.on_device)
    settings = Options(
        resume=resume, checkpoint_minutes=checkpoint_minutes, source=source, devices=devices, on_device=on_device
    )
    with own_directory(out, go_on=resume or search is not None) as place:
        if search:
            search_configs(place, chosen, search, settings)
        else:
            _train(place, chosen, settings, _log(place, tensorboard=tensorboard))


def _check_detector(config: TrainingConfig, **asked: bool) -> None:
    """Nothing, where no option was given that the face detector has not."""
    for name, given in asked.items():
        if given and config.network == FACE_DETECTOR:
            raise UsageError(
                f"expected a network that names expressions with --{name.replace('_', '-')}; received the face "
                "detector. Leave the option away"
            )


def _train(out: Path, config: TrainingConfig, options: Options, log: Callable[[TrainEvent], None]) -> None:
    from mien.apps.cli.training_progress import told_to_people
    from mien.training.engine.fit import Interrupted

    train, finish = (_detector if config.network == FACE_DETECTOR else _classifier)(options.source, config)
    try:
        with told_to_people(config.epochs) as tell:

            def told(news: TrainEvent) -> None:
                tell(news)
                log(news)

            done = train(out, told, options)
    except Interrupted as stopped:
        say(f"the run is saved; go on with: mien train --out {shlex.quote(str(out))} --resume")
        raise typer.Exit(SIGNALLED + stopped.number) from stopped
    finally:
        draw_curves(out)
    finish(out, done.model)


def _classifier(source: Source, config: TrainingConfig) -> tuple[Callable[..., Run], Callable[[Path, Any], None]]:
    """What teaches a network to name expressions, and what ends that run."""
    from mien.apps.cli.run_end import show_end
    from mien.training.transfer.fine_tuning import train

    splits = read_splits(source, config)
    config = told_fitting(config, splits[0])

    def finish(out: Path, model: Any) -> None:
        write_model(out, model, splits, config)
        show_end(out)

    return partial(train, *splits, config), finish


def _detector(source: Source, config: TrainingConfig) -> tuple[Callable[..., Run], Callable[[Path, Any], None]]:
    """What teaches a network to find faces, and what ends that run."""
    from mien.training.engine.fit import train
    from mien.training.tasks.detection.task import DetectionTask

    halves, teacher = read_halves(source), find_teacher(config)
    task = DetectionTask(*halves, config, teacher, find_crops(config))
    return partial(train, task), lambda out, model: write_detector(out, model, halves, config)


def _begun(out: Path) -> Record:
    """The run to go on with, on the backend that it began on unless KERAS_BACKEND names another."""
    from mien.training.run.directory import read_run

    record = read_run(out)
    if find_spec(record.run_info.backend):
        os.environ.setdefault("KERAS_BACKEND", record.run_info.backend)
    return record


def _chosen(path: str | None, options: dict[str, object], begun: Record | None) -> TrainingConfig:
    """The config of a new run, or that of the run begun with the options that were given again."""
    from mien.training.config import config_for, config_named
    from mien.training.transfer.backbones import effective_config, fine_tuning_config, weights_setting

    if "weights" in options:
        options = options | {"weights": weights_setting(str(options["weights"]))}
    if begun and path is None:
        return dataclasses.replace(begun.config, **options)  # type: ignore[arg-type]  # the options are typed by typer
    config = config_named(path) if path else config_for(str(options.get("network", DEFAULT_NETWORK)))
    if path is None and options.get("fine_tune"):
        config = fine_tuning_config(config)
    return effective_config(_with(config, options))


def _with(config: TrainingConfig, choices: dict[str, object]) -> TrainingConfig:
    """The config with other choices; phases that a short run has no room for shrink with it."""
    epochs = choices.get("epochs", config.epochs)
    if not isinstance(epochs, int) or epochs < 1:
        raise UsageError(f"expected at least 1 epoch; received {epochs}")
    gentle, warmup = min(config.fine_tune_epochs, epochs // 5), min(config.warmup_epochs, epochs / 5)
    return dataclasses.replace(config, fine_tune_epochs=gentle, warmup_epochs=warmup, **choices)  # type: ignore[arg-type]  # the options are typed by typer


def _for_a_fold(config: TrainingConfig, asked: set[str]) -> TrainingConfig:
    """The config of a run that leaves a fold out: of what may have seen the fold, without what was not asked for.

    Args:
        config: every choice.
        asked: the choices that were asked for.
    """
    from mien.training.transfer.backbones import BACKBONES, IMAGENET, RANDOM

    if config.soft_labels and "soft_labels" not in asked:
        say(f"the soft labels {config.soft_labels} are left aside: their teachers have seen the fold")
        config = dataclasses.replace(config, soft_labels="")
    if config.teacher and "teacher" not in asked:
        say(f"the teacher {config.teacher} is left aside: it has seen the fold")
        config = dataclasses.replace(config, teacher="")
    if config.network not in BACKBONES and config.weights not in (IMAGENET, RANDOM) and "weights" not in asked:
        say(f"the weights {config.weights} are left aside: they may have learnt from the fold")
        config = dataclasses.replace(config, weights=RANDOM)
    return config


def _source(
    begun: Record | None, data: Path | None, without: Path | None, share: float | None, fold: str | None
) -> Source:
    """Where the data is read: as the run begun read it, but for what the options say."""
    from mien.data.folds import fold_named
    from mien.training.run.directory import Source

    before = begun.run_info.source if begun else Source()
    if data is None and not before.data:
        raise UsageError("expected --data, the data set to learn from; received none")
    return Source(
        str(data.absolute()) if data else before.data,
        str(without.absolute()) if without else before.without,
        before.validation_share if share is None else share,
        fold=before.fold if fold is None else str(fold_named(fold)),
    )


def _log(out: Path, *, tensorboard: bool) -> Callable[[TrainEvent], None]:
    """What draws the curves as epochs end, and writes TensorBoard's log where that is wanted."""
    from mien.training.run.directory import Epoch

    if tensorboard and find_spec("tensorboard") is None:
        raise MissingExtraError("writing a log for TensorBoard", "tensorboard", "tensorboard")
    drawn = -REDRAWN
    log: Callable[[Epoch], None] | None = None

    def written(news: TrainEvent) -> None:
        nonlocal drawn, log
        if not isinstance(news, Epoch):
            return
        if tensorboard:
            log = log or _opened(out)
            log(news)
        if time.monotonic() - drawn > REDRAWN:
            draw_curves(out)
            drawn = time.monotonic()

    return written


def _opened(out: Path) -> Callable[[Epoch], None]:
    from mien.training.run.tensorboard import open_log

    return open_log(out)


def draw_curves(out: Path) -> None:
    """Draws RUN/curves.png where matplotlib is installed and an epoch is done; it fails with words only."""
    from mien.training.run.curves import draw_curves as draw
    from mien.training.run.directory import CURVES, read_history

    history = read_history(out)
    if not history or find_spec("matplotlib") is None:
        return
    try:
        draw(out / CURVES, history)
    except Exception as error:  # noqa: BLE001 - whatever it is, an image is no reason to end a run
        say(f"the curves could not be drawn ({error})")
