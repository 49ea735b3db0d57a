"""``mien train``: from a data set to a model file that every other command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import examples
from mien.apps.cli.training_choices import apply_fold, check_detector, choose_config, find_source, resumed_run
from mien.apps.cli.training_run import run_search, run_training

if TYPE_CHECKING:
    from collections.abc import Mapping


SEEN_DATA = frozenset({"soft_labels", "weights", "teacher"})
"""Config fields that name models which may have seen the fold to exclude."""

DATA, MODEL, OPTIMIZATION, DISTILLATION, RUN, HARDWARE = (
    "Data",
    "Model",
    "Optimization",
    "Distillation",
    "Run",
    "Hardware",
)
"""Groups of options on the help page."""

EXAMPLES = examples(
    "mien train --data fer2013.csv --arch compact --out runs/a",
    "mien train --out runs/a --resume",
    "mien train --data faces --arch mobilenet --fine-tune 3 --out runs/b",
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("train", epilog=EXAMPLES)(train)


def train(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="PATH", rich_help_panel=DATA, help="FER2013, MNIST, CSV of pixels, or class folders."
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            "--exclude", metavar="FILE", rich_help_panel=DATA, help="Rows to exclude, as listed by mien data audit."
        ),
    ] = None,
    validation_share: Annotated[
        float | None,
        typer.Option(
            "--validation-share", metavar="X", rich_help_panel=DATA, help="Share to hold out if unsplit [0.1]."
        ),
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            "--balance", metavar="KIND", rich_help_panel=DATA, help="Class imbalance: none, weights, or logits."
        ),
    ] = None,
    copy_paste: Annotated[
        Path | None,
        typer.Option(
            "--copy-paste", metavar="PATH", rich_help_panel=DATA, help="Face detector: crops to paste into scenes."
        ),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold", metavar="K/N", rich_help_panel=DATA, help="Cross-fitting: exclude fold K of N, K from 0."
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch", metavar="NAME", rich_help_panel=MODEL, help="Architecture [compact]; see mien models networks."
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config", metavar="FILE", rich_help_panel=MODEL, help="Training config: a TOML file, or a shipped name."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", metavar="NAME", rich_help_panel=MODEL, help="Initial weights: model, run, imagenet, none, .h5."
        ),
    ] = None,
    fine_tune: Annotated[
        int | None,
        typer.Option(
            "--fine-tune", metavar="N", min=0, rich_help_panel=MODEL, help="Transfer: train the last N blocks too."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", metavar="TEXT", rich_help_panel=MODEL, help="Licence of the weights, for the model card."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", metavar="N", rich_help_panel=OPTIMIZATION, help="Number of epochs; validation after each one."
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", rich_help_panel=OPTIMIZATION, help="Images per step.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", metavar="X", rich_help_panel=OPTIMIZATION, help="Peak learning rate."),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar="KIND",
            rich_help_panel=OPTIMIZATION,
            help="Learning rate: cosine, linear, constant, plateau.",
        ),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", metavar="KIND", rich_help_panel=OPTIMIZATION, help="sgd or adamw.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience", metavar="N", rich_help_panel=OPTIMIZATION, help="Early stopping after N epochs; 0: off."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", rich_help_panel=OPTIMIZATION, help="Same seed, same run, bit for bit."),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(
            "--search", metavar="N", min=1, rich_help_panel=OPTIMIZATION, help="Hyperparameter search with N trials."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="NAMES",
            rich_help_panel=DISTILLATION,
            help="Online distillation: models by commas, or none.",
        ),
    ] = None,
    soft_labels: Annotated[
        str | None,
        typer.Option(
            "--soft-labels",
            metavar="FILE",
            rich_help_panel=DISTILLATION,
            help="File of mien soft-labels, fer2013, or none.",
        ),
    ] = None,
    distillation_weight: Annotated[
        float | None,
        typer.Option(
            "--distillation-weight",
            metavar="X",
            rich_help_panel=DISTILLATION,
            help="Weight of the teacher in the loss, 0 to 1.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", rich_help_panel=RUN, help="Run directory: weights, history, model.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", rich_help_panel=RUN, help="Continue the run in --out bit for bit.")
    ] = False,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(
            "--checkpoint-minutes", metavar="X", min=0.0, rich_help_panel=RUN, help="Between checkpoints in an epoch."
        ),
    ] = 10.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", rich_help_panel=RUN, help="Write a TensorBoard log into --out.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision", metavar="KIND", rich_help_panel=HARDWARE, help="float32, mixed_bfloat16 or mixed_float16."
        ),
    ] = None,
    on_device: Annotated[
        bool,
        typer.Option("--on-device", rich_help_panel=HARDWARE, help="Keep the data on the GPU, augment it there (JAX)."),
    ] = False,
    devices: Annotated[
        int,
        typer.Option(
            "--devices", metavar="N", min=1, rich_help_panel=HARDWARE, help="Devices that share a batch (JAX)."
        ),
    ] = 1,
) -> None:
    """Train a network on a data set and export it as an ONNX model file.

    Ctrl-C saves the run and exits; a second one exits at once.
    """
    from mien.training import prepare_backend

    given: dict[str, object] = {
        "network": arch, "epochs": epochs, "batch": batch, "seed": seed, "precision": precision,
        "optimizer": optimizer, "learning_rate": learning_rate, "schedule": schedule, "patience": patience,
        "balance": balance, "licence": licence, "teacher": teacher, "copy_paste": copy_paste, "weights": weights,
        "fine_tune": fine_tune, "distillation_weight": distillation_weight, "soft_labels": soft_labels,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    begun = resumed_run(out) if resume and not search else None
    chosen = choose_config(config, given, begun)
    source = find_source(begun, data, exclude, validation_share, fold)
    check_detector(chosen, _not_for_detectors(given, fold=fold, search=search, on_device=on_device))
    if source.fold:
        chosen = apply_fold(chosen, set(given) if config or not begun else SEEN_DATA)
    prepare_backend()
    from mien.training.engine.devices import output_directory
    from mien.training.engine.loop import Options

    on_device = on_device or (begun is not None and begun.run_info.on_device)
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
