"""``mien evaluate``: judges a model as users have it, on labelled chips or on photos through the whole chain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import DetectorOption, JsonOption, ModelOption, console, model_named, progress
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.evaluation.report import Report


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    *,
    data: Annotated[
        Path,
        typer.Option("--data", help="A FER2013 csv, its folder, or class folders of chips; of photos with --photos."),
    ],
    model: ModelOption = "compact",
    split: Annotated[
        str | None, typer.Option("--split", help="The split judged; by default PublicTest, or all where there is one.")
    ] = None,
    labels: Annotated[
        str, typer.Option("--labels", help="A head, or answer (what users are told); by default the data's own labels.")
    ] = "",
    photos: Annotated[
        bool, typer.Option("--photos", help="The data is photos: run the whole chain; a face missed counts as wrong.")
    ] = False,
    detector: DetectorOption = "auto",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="With --photos: an expression whose labels are not trusted.")
    ] = None,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write metrics.json into this folder.")] = None,
) -> None:
    """Judge a model: accuracy, precision, recall, F1, confusion, calibration."""
    if photos and split:
        raise UsageError(f"expected no --split with --photos, which judges all of them; received {split}")
    if leave_out and not photos:
        raise UsageError(f"expected --leave-out with --photos only; received {', '.join(leave_out)} without")
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
        from mien.evaluation.report import text

        console().print(text(report))


def _judge_chips(data: Path, model: str, split: str | None, labels: str) -> Report:
    from mien.classification import Classifier
    from mien.datasets import PUBLIC_TEST, load
    from mien.evaluation.judging import judge_chips
    from mien.model_store import ModelStore

    classifier = Classifier(ModelStore().load(model_named(model)))
    loaded = load(data)
    names = loaded.split_names()
    return judge_chips(classifier, loaded.split(split or (names[0] if len(names) == 1 else PUBLIC_TEST)), labels)


def _judge_photos(data: Path, model: str, detector: str, labels: str, leave_out: tuple[str, ...]) -> Report:
    from mien.datasets.photos import read
    from mien.evaluation.judging import judge_photos
    from mien.recognizer import Recognizer

    recognizer = Recognizer.load(model_named(model), detector, labels or "answer")
    with progress("judging photos") as tell:
        return judge_photos(recognizer, read(data), leave_out, tell)
