"""``mien evaluate``: judges models as users have them, on labelled face crops or on photos through the whole chain."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import DetectorOption, JsonOption, console, model_named, progress, say
from mien.emotions import Emotion
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.evaluation.evaluate import Evaluation

ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="A model's name, an .onnx file, or a run directory; compact by default. "
        "Of several, each is compared with the first.",
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="A FER2013 csv, its folder, or class folders of face crops; of photos with --photos."
        ),
    ],
    model: ModelsOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="The split judged; by default PublicTest, else what the run held out, or the only one there is.",
        ),
    ] = None,
    head: Annotated[
        str,
        typer.Option("--head", help="Output head: fused, or one of the model's own [the data's]."),
    ] = "",
    photos: Annotated[
        bool, typer.Option("--photos", help="The data is photos: run the whole chain; a face missed counts as wrong.")
    ] = False,
    detector: DetectorOption = "auto",
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="With --photos: an expression whose labels are not trusted.")
    ] = None,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write report.html and metrics.json into this folder.")
    ] = None,
) -> None:
    """Judge a model, or compare several: accuracy, precision, recall, F1, confusion, calibration."""
    if photos and split:
        raise UsageError(f"expected no --split with --photos, which judges all of them; received {split}")
    if leave_out and not photos:
        raise UsageError(f"expected --leave-out with --photos only; received {', '.join(leave_out)} without")
    if out:
        out.mkdir(parents=True, exist_ok=True)  # what can't be written is told before the work, not after it
    copied = None
    if photos:
        evaluation = _judge_photos(data, _distinct(model), detector, head, tuple(leave_out or ()))
    else:
        judged, learnt = splits(data, split, _distinct(model))
        evaluation = _judge_crops(judged, _distinct(model), head)
        copied = _copied(evaluation, judged, learnt) if out and learnt else None
    if out:
        _write(out, evaluation, copied)
    _print(evaluation, as_json=as_json)


def _distinct(models: list[str] | None) -> Sequence[str]:
    from mien.recognizer import DEFAULT_MODEL

    if models and len(set(models)) != len(models):
        raise UsageError(f"expected different models to compare; received {', '.join(models)}")
    return models or (DEFAULT_MODEL,)


def splits(data: Path, split: str | None, models: Sequence[str]) -> tuple[Dataset, Dataset | None]:
    """The split to judge, and the rows that its models may have learnt from, where they are known."""
    from mien.data import PUBLIC_TEST, TRAINING, load

    loaded = load(data)
    names = loaded.split_names()
    if split is None and PUBLIC_TEST not in names and (kept := _held_out(loaded, models)):
        say(f"judging the {len(kept[1])} rows that the run held out; --split judges others")
        return kept[1], kept[0]
    chosen = split or (names[0] if len(names) == 1 else PUBLIC_TEST)
    learnt = loaded.split(TRAINING) if chosen != TRAINING and TRAINING in names else None
    return loaded.split(chosen), learnt


def _held_out(data: Dataset, models: Sequence[str]) -> tuple[Dataset, Dataset] | None:
    """What the runs among the models learnt from and held out of this data; all must have held out the same."""
    from mien.training.run.directory import is_run, read_run
    from mien.training.splits import held_out

    runs = [read_run(Path(model)) for model in models if is_run(Path(model))]
    found = [kept for kept in (held_out(run, data) for run in runs) if kept]
    if any(kept[1].rows.tolist() != found[0][1].rows.tolist() for kept in found):
        raise UsageError(
            "expected runs that held out the same rows; received others: name a --split, or one seed for all"
        )
    return found[0] if found else None


def _judge_crops(data: Dataset, models: Sequence[str], head: str) -> Evaluation:
    from mien.classification.classifier import Classifier
    from mien.evaluation.evaluate import evaluate_models_on_crops
    from mien.models.store import ModelStore

    return evaluate_models_on_crops({name: Classifier(ModelStore().load(model_named(name))) for name in models}, data, head)


def _judge_photos(
    data: Path, models: Sequence[str], detector: str, head: str, leave_out: tuple[str, ...]
) -> Evaluation:
    from mien.data.folders import read
    from mien.evaluation.evaluate import evaluate_models_on_photos
    from mien.recognizer import Recognizer

    recognizers = {name: Recognizer.load(model_named(name), detector, head or "fused") for name in models}
    with progress("judging photos") as tell:
        return evaluate_models_on_photos(recognizers, read(data), leave_out, tell)


def _copied(evaluation: Evaluation, judged: Dataset, learnt: Dataset) -> npt.NDArray[np.bool_]:
    from mien.data.duplicates import copies

    with progress("looking for copies in Training") as tell:
        found = copies(judged.crops[evaluation.models[0].rows], learnt.crops, tell)
    # what makes two faces copies is common between two digits
    return found.found if set(judged.truths[0].labels) <= set(Emotion) else found.exact


def _write(out: Path, evaluation: Evaluation, copied: npt.NDArray[np.bool_] | None) -> None:
    from datetime import datetime

    from mien import __version__
    from mien.evaluation.html_report import report_page
    from mien.media.files import write_text

    made = f"Judged on {datetime.now().astimezone():%Y-%m-%d} by mien {__version__}."
    write_text(out / "metrics.json", evaluation.to_json(copied) + "\n")
    write_text(out / "report.html", report_page(evaluation, copied, made))
    say(f"mien: wrote {out / 'report.html'} and metrics.json")


def _print(evaluation: Evaluation, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(evaluation.to_json() + "\n")
        return
    from mien.evaluation.report import compared_text, text

    reports = [judged.report for judged in evaluation.models]
    compared = evaluation.comparison
    console().print(text(reports[0]) if compared is None else compared_text(reports, compared))
