"""``mien train``: from a data set to a model file that every other command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import examples
from mien.apps.cli.output_guard import Output, check_folder, check_outputs, model_files
from mien.apps.cli.training_run import (
    apply_fold,
    check_detector,
    choose_config,
    find_source,
    resumed_run,
    run_search,
    run_training,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


SEEN_DATA = frozenset({"soft_labels", "weights", "teacher"})
"""Config fields that name models which may have seen the fold to exclude."""

RUN_FILES = ("model.onnx", "config.toml", "best.weights.h5", "history.jsonl", "history.csv", "run.json")
"""Names in a run directory that an input could have."""

DATA, MODEL, OPTIMIZATION = "Data", "Model", "Optimization"
DISTILLATION, RUN, HARDWARE = "Distillation", "Run", "Hardware"
"""Groups of options on the help page."""

EXAMPLES = examples(
    "mien train --data fer2013.csv --arch compact --out runs/a",
    "mien train --out runs/a --resume",
    "mien train --data faces --arch mobilenet --fine-tune 3 --out runs/b",
)


def _option(panel: str, name: str, text: str, metavar: str | None = None, **limits: Any) -> Any:
    """An option in a group of the help page."""
    return typer.Option(name, metavar=metavar, rich_help_panel=panel, help=text, **limits)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog=EXAMPLES)(train)


def train(
    *,
    data: Annotated[
        Path | None, _option(DATA, "--data", "FER2013, MNIST, CSV of pixels, or class folders.", "PATH")
    ] = None,
    exclude: Annotated[
        Path | None, _option(DATA, "--exclude", "Rows to exclude, as listed by mien data audit.", "FILE")
    ] = None,
    validation_share: Annotated[
        float | None, _option(DATA, "--validation-share", "Share to hold out if unsplit [0.1].", "X")
    ] = None,
    balance: Annotated[
        str | None, _option(DATA, "--balance", "Class imbalance: none, weights, or logits.", "KIND")
    ] = None,
    copy_paste: Annotated[
        Path | None, _option(DATA, "--copy-paste", "Face detector: crops to paste into scenes.", "PATH")
    ] = None,
    fold: Annotated[str | None, _option(DATA, "--fold", "Cross-fitting: exclude fold K of N, K from 0.", "K/N")] = None,
    arch: Annotated[
        str | None, _option(MODEL, "--arch", "Architecture [compact]; see mien models networks.", "NAME")
    ] = None,
    config: Annotated[
        str | None, _option(MODEL, "--config", "Training config: a TOML file, or a shipped name.", "FILE")
    ] = None,
    weights: Annotated[
        str | None, _option(MODEL, "--weights", "Initial weights: model, run, imagenet, none, .h5.", "NAME")
    ] = None,
    fine_tune: Annotated[
        int | None, _option(MODEL, "--fine-tune", "Transfer: train the last N blocks too.", "N", min=0)
    ] = None,
    licence: Annotated[
        str | None, _option(MODEL, "--licence", "Licence of the weights, for the model card.", "TEXT")
    ] = None,
    epochs: Annotated[
        int | None, _option(OPTIMIZATION, "--epochs", "Number of epochs; validation after each one.", "N")
    ] = None,
    batch: Annotated[int | None, _option(OPTIMIZATION, "--batch", "Images per step.", "N")] = None,
    learning_rate: Annotated[float | None, _option(OPTIMIZATION, "--learning-rate", "Peak learning rate.", "X")] = None,
    schedule: Annotated[
        str | None, _option(OPTIMIZATION, "--schedule", "Learning rate: cosine, linear, constant, plateau.", "KIND")
    ] = None,
    optimizer: Annotated[str | None, _option(OPTIMIZATION, "--optimizer", "sgd or adamw.", "KIND")] = None,
    patience: Annotated[
        int | None, _option(OPTIMIZATION, "--patience", "Early stopping after N epochs; 0: off.", "N")
    ] = None,
    seed: Annotated[int | None, _option(OPTIMIZATION, "--seed", "Same seed, same run, bit for bit.", "N")] = None,
    search: Annotated[
        int | None, _option(OPTIMIZATION, "--search", "Hyperparameter search with N trials.", "N", min=1)
    ] = None,
    teacher: Annotated[
        str | None, _option(DISTILLATION, "--teacher", "Online distillation: models by commas, or none.", "NAMES")
    ] = None,
    soft_labels: Annotated[
        str | None, _option(DISTILLATION, "--soft-labels", "File of mien soft-labels, fer2013, or none.", "FILE")
    ] = None,
    distillation_weight: Annotated[
        float | None, _option(DISTILLATION, "--distillation-weight", "Weight of the teacher in the loss, 0 to 1.", "X")
    ] = None,
    out: Annotated[Path, _option(RUN, "--out", "Run directory: weights, history, model.", "DIR")],
    resume: Annotated[bool, _option(RUN, "--resume", "Continue the run in --out bit for bit.")] = False,
    checkpoint_minutes: Annotated[
        float, _option(RUN, "--checkpoint-minutes", "Between checkpoints in an epoch.", "X", min=0.0)
    ] = 10.0,
    tensorboard: Annotated[bool, _option(RUN, "--tensorboard", "Write a TensorBoard log into --out.")] = False,
    precision: Annotated[
        str | None, _option(HARDWARE, "--precision", "float32, mixed_bfloat16 or mixed_float16.", "KIND")
    ] = None,
    on_device: Annotated[
        bool, _option(HARDWARE, "--on-device", "Keep the data on the GPU, augment it there (JAX).")
    ] = False,
    devices: Annotated[int, _option(HARDWARE, "--devices", "Devices that share a batch (JAX).", "N", min=1)] = 1,
) -> None:
    """Train a network on a data set and export it as an ONNX model file.

    Ctrl-C, SIGTERM and SIGHUP save the run and exit; a second one exits at once.
    """
    from mien.training import prepare_backend

    given: dict[str, object] = {
        "network": arch, "epochs": epochs, "batch": batch, "seed": seed, "precision": precision,
        "optimizer": optimizer, "learning_rate": learning_rate, "schedule": schedule, "patience": patience,
        "balance": balance, "licence": licence, "teacher": teacher, "copy_paste": copy_paste, "weights": weights,
        "fine_tune": fine_tune, "distillation_weight": distillation_weight, "soft_labels": soft_labels,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    check_folder("--out", out)
    if not resume:
        named = [str(given.get(name, "")) for name in ("weights", "teacher", "soft_labels", "copy_paste")]
        parts = ",".join([*named, config or "", str(exclude or "")]).split(",")
        check_outputs([Output("--out", out / name) for name in RUN_FILES], model_files(*parts))
    resumed = resumed_run(out) if resume and not search else None
    chosen = choose_config(config, given, resumed)
    source = find_source(resumed, data, exclude, validation_share, fold)
    check_detector(chosen, _not_for_detectors(given, fold=fold, search=search, on_device=on_device))
    if source.fold:
        chosen = apply_fold(chosen, set(given) if config or not resumed else SEEN_DATA)
    prepare_backend()
    from mien.training.engine.devices import output_directory
    from mien.training.engine.loop import Options

    on_device = on_device or (resumed is not None and resumed.run_info.on_device)
    options = Options(
        resume=resume, checkpoint_minutes=checkpoint_minutes, source=source, devices=devices, on_device=on_device
    )
    with output_directory(out, resume=resume or search is not None) as folder:
        if search:
            run_search(folder, chosen, search, options)
        else:
            run_training(folder, chosen, options, tensorboard=tensorboard)


def _not_for_detectors(
    given: Mapping[str, object], *, fold: str | None, search: int | None, on_device: bool
) -> list[str]:
    """The options among those given that the face detector does not have."""
    options = {
        "--fold": fold is not None,
        "--search": search is not None,
        "--weights": "weights" in given,
        "--on-device": on_device,
    }
    return [name for name, is_given in options.items() if is_given]
