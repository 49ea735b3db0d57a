"""``mien evaluate``: judges a model as users have it, on labelled chips or on photos through the whole chain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import DetectorOption, JsonOption, ModelOption, model_named, progress

if TYPE_CHECKING:
    from mien.evaluation.report import Report


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    data: Annotated[
        Path, typer.Option("--data", help="FER2013 csv or its folder, class folders of chips; with --photos, of photos.")
    ],
    model: ModelOption = "compact",
    split: Annotated[str, typer.Option("--split", help="The split judged; all rows if the data has none.")] = "PublicTest",
    labels: Annotated[
        str, typer.Option("--labels", help="A head, or answer (what users are told); by default the data's own labels.")
    ] = "",
    photos: Annotated[
        bool, typer.Option("--photos", help="The data is photos: run the whole chain; a face missed counts as wrong.")
    ] = False,
    detector: DetectorOption = "auto",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="With --photos: an expression whose labels are not to be trusted.")
    ] = None,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write metrics.json into this folder.")] = None,
) -> None:
    """Judge a model: accuracy, precision, recall, F1, confusion, calibration."""
    if photos:
        report = _judge_photos(data, model, detector, labels, tuple(leave_out or ()))
    else:
        report = _judge_chips(data, model, split, labels)
    if out:
        from mien.files import write_text

        write_text(out / "metrics.json", report.to_json() + "\n")
    if as_json:
        sys.stdout.write(report.to_json() + "\n")
    else:
        from rich.console import Console

        from mien.evaluation.report import text

        Console().print(text(report))


def _judge_chips(data: Path, model: str, split: str, labels: str) -> Report:
    from mien.classification import Classifier
    from mien.datasets import load
    from mien.evaluation.judging import judge_chips
    from mien.model_store import ModelStore

    classifier = Classifier(ModelStore().load(model_named(model)))
    loaded = load(data)
    chosen = loaded if len(loaded.split_names()) == 1 else loaded.split(split)
    return judge_chips(classifier, chosen, labels)


def _judge_photos(data: Path, model: str, detector: str, labels: str, leave_out: tuple[str, ...]) -> Report:
    from mien.datasets.photos import read
    from mien.evaluation.judging import judge_photos
    from mien.recognizer import Recognizer

    recognizer = Recognizer.load(model_named(model), detector, labels or "answer")
    with progress("judging photos") as tell:
        return judge_photos(recognizer, read(data), leave_out, tell)
