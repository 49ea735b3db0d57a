"""``mien evaluate``: metrics of models on labelled face crops, or on photos through detector and classifier."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import (
    INPUT,
    MODEL,
    OUTPUT,
    DetectorOption,
    JsonOption,
    console,
    examples,
    model_named,
    progress,
    say,
)
from mien.apps.cli.output_guard import KINDS, Output, check_folder, check_outputs, model_files
from mien.emotions import Emotion
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.evaluation.evaluate import Evaluation

METRICS, REPORT = "metrics.json", "report.html"
"""Names of the files in ``--out``."""

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        rich_help_panel=MODEL,
        help="Name of a model, an .onnx file, or a run directory. [compact] Repeat it to compare with the first.",
    ),
]
EvaluatedHeadOption = Annotated[
    str,
    typer.Option(
        "--head",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="Output head: fused, or one of the model's own. [the data's]",
    ),
]
EvaluatedSplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME",
        rich_help_panel=INPUT,
        help="Split to evaluate. [PublicTest, else what the run held out, or the only one]",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = (
        "mien evaluate --data fer2013.csv --out report",
        "mien evaluate --data fer2013.csv -m compact -m runs/mine  # compare",
        "mien evaluate --data photos --photos --exclude-label disgust",
    )
    app.command("evaluate", epilog=examples(*lines))(evaluate)


def evaluate(
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="PATH",
            rich_help_panel=INPUT,
            help="A FER2013 csv, its folder, or class folders of face crops; with --photos, of photos.",
        ),
    ],
    split: EvaluatedSplitOption = None,
    photos: Annotated[
        bool,
        typer.Option(
            "--photos",
            rich_help_panel=INPUT,
            help="The data is photos: evaluate detector and classifier together. A missed face counts as wrong.",
        ),
    ] = False,
    exclude_label: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude-label",
            metavar="LABEL",
            rich_help_panel=INPUT,
            help="With --photos: leave out an expression whose labels can't be trusted; repeatable.",
        ),
    ] = None,
    model: ModelsOption = None,
    head: EvaluatedHeadOption = "",
    detector: DetectorOption = "auto",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", rich_help_panel=OUTPUT, help="Write report.html and metrics.json here."
        ),
    ] = None,
) -> None:
    """Evaluate models: accuracy, precision, recall, F1, confusion matrix, calibration.

    Several models are compared on the same rows, each with the first.
    """
    if photos and split:
        raise UsageError(f"expected no --split with --photos, which evaluates all of them; received {split}")
    if exclude_label and not photos:
        raise UsageError(f"expected --exclude-label with --photos only; received {', '.join(exclude_label)} without")
    if out:
        check_folder("--out", out)
        planned = [Output("--out", out / METRICS, KINDS["json"]), Output("--out", out / REPORT, KINDS["page"])]
        check_outputs(planned, [data, *model_files(*map(model_named, _distinct(model)), detector)])
    copied = None
    if photos:
        evaluation = _evaluate_photos(data, _distinct(model), detector, head, tuple(exclude_label or ()))
    else:
        chosen, training = splits(data, split, _distinct(model))
        evaluation = _evaluate_crops(chosen, _distinct(model), head)
        copied = _copied(evaluation, chosen, training) if out and training else None
    if out:
        _write(out, evaluation, copied)
    _print(evaluation, as_json=as_json)


def splits(data: Path, split: str | None, models: Sequence[str]) -> tuple[Dataset, Dataset | None]:
    """The split to evaluate, and the rows that its models may have been trained on, if they are known."""
    from mien.data import PUBLIC_TEST, TRAINING, load

    loaded = load(data)
    names = loaded.split_names()
    if split is None and PUBLIC_TEST not in names and (parts := _held_out(loaded, models)):
        training, validation = parts
        say(f"evaluating the {len(validation)} rows that the run held out; --split chooses others")
        return validation, training
    chosen = split or (names[0] if len(names) == 1 else PUBLIC_TEST)
    trained_on = loaded.split(TRAINING) if chosen != TRAINING and TRAINING in names else None
    return loaded.split(chosen), trained_on


def _distinct(models: list[str] | None) -> Sequence[str]:
    from mien.recognizer import DEFAULT_MODEL

    if models and len(set(models)) != len(models):
        raise UsageError(f"expected different models to compare; received {', '.join(models)}")
    return models or (DEFAULT_MODEL,)


def _held_out(data: Dataset, models: Sequence[str]) -> tuple[Dataset, Dataset] | None:
    """The training and held-out rows of the runs among the models; all must have held out the same rows."""
    from mien.training.run.directory import is_run, read_run
    from mien.training.splits import held_out

    runs = [read_run(Path(model)) for model in models if is_run(Path(model))]
    parts = [part for part in (held_out(run, data) for run in runs) if part]
    if any(validation.rows.tolist() != parts[0][1].rows.tolist() for _, validation in parts):
        raise UsageError(
            "expected runs that held out the same rows; received others: name a --split, or train with one seed"
        )
    return parts[0] if parts else None


def _evaluate_crops(data: Dataset, models: Sequence[str], head: str) -> Evaluation:
    from mien.classification.classifier import Classifier
    from mien.evaluation.evaluate import evaluate_models_on_crops
    from mien.models.store import ModelStore

    classifiers = {name: Classifier(ModelStore().load(model_named(name))) for name in models}
    return evaluate_models_on_crops(classifiers, data, head)


def _evaluate_photos(
    data: Path, models: Sequence[str], detector: str, head: str, exclude_labels: tuple[str, ...]
) -> Evaluation:
    from mien.data.folders import read_photos
    from mien.evaluation.evaluate import evaluate_models_on_photos
    from mien.recognizer import Recognizer

    recognizers = {name: Recognizer.load(model_named(name), detector, head or "fused") for name in models}
    with progress("evaluating photos") as on_progress:
        return evaluate_models_on_photos(recognizers, read_photos(data), exclude_labels, on_progress)


def _copied(evaluation: Evaluation, data: Dataset, training: Dataset) -> npt.NDArray[np.bool_]:
    from mien.data.duplicates import find_duplicates

    with progress("searching Training for duplicates") as on_progress:
        duplicates = find_duplicates(data.crops[evaluation.models[0].rows], training.crops, on_progress)
    # drawings such as digits resemble each other without being duplicates
    return duplicates.found if set(data.truths[0].labels) <= set(Emotion) else duplicates.exact


def _write(out: Path, evaluation: Evaluation, copied: npt.NDArray[np.bool_] | None) -> None:
    from datetime import datetime

    from mien import __version__
    from mien.evaluation.html_report import report_page
    from mien.media.files import write_text

    made = f"Evaluated on {datetime.now().astimezone():%Y-%m-%d} with mien {__version__}."
    write_text(out / METRICS, evaluation.to_json(copied) + "\n")
    write_text(out / REPORT, report_page(evaluation, copied, made))
    say(f"written: {out / REPORT} and {METRICS}; open {REPORT} in a browser")


def _print(evaluation: Evaluation, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(evaluation.to_json() + "\n")
        return
    from mien.evaluation.terminal_report import render_comparison, render_report

    reports = [model.report for model in evaluation.models]
    comparison = evaluation.comparison
    console().print(render_report(reports[0]) if comparison is None else render_comparison(reports, comparison))
