"""``mien bench robustness``: a model's accuracy under image corruptions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import JsonOption, console, model_named, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mien.evaluation.robustness import Stood


def robustness(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labelled face crops, as mien evaluate takes them.")],
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model's name, an .onnx file, or a run; compact by default.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="The split judged; PublicTest where there is one.")
    ] = None,
    head: Annotated[
        str,
        typer.Option("--head", help="Output head: fused, or one of the model's own [the data's]."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Accuracy on face crops that are cropped wrong, rotated, blurred, dark, noisy, small or occluded."""
    from mien.apps.cli.evaluate import splits
    from mien.classification.classifier import Classifier
    from mien.evaluation.robustness import stand
    from mien.models.store import ModelStore
    from mien.recognizer import DEFAULT_MODEL

    name = model or DEFAULT_MODEL
    judged, _ = splits(data, split, [name])
    classifier = Classifier(ModelStore().load(model_named(name)))
    with progress("robustness", quiet=as_json) as tell:
        stood = stand(classifier, judged, head, tell)
    if as_json:
        rows = [
            {"change": one.kind, "step": one.step, "accuracy": one.metrics.accuracy, "macro_f1": one.metrics.macro_f1}
            for one in stood
        ]
        about = {"data": judged.name, "split": ", ".join(judged.split_names()), "model": classifier.card.name}
        about["labels"] = head or judged.truths[0].head
        sys.stdout.write(json.dumps({**about, "n": stood[0].metrics.n, "mean": _mean(stood), "rows": rows}) + "\n")
    else:
        console().print(_table(stood))


def _mean(stood: Sequence[Stood]) -> float:
    """Mean accuracy over the corruptions, without the face crops as they are."""
    return sum(one.metrics.accuracy for one in stood[1:]) / (len(stood) - 1)


def _table(stood: Sequence[Stood]) -> Table:
    from rich.table import Table

    shown = Table("change", "step", box=None, pad_edge=False)
    for title in ("accuracy", "macro-F1"):
        shown.add_column(title, justify="right")
    for one in stood:
        shown.add_row(one.kind, one.step, f"{one.metrics.accuracy:.3f}", f"{one.metrics.macro_f1:.3f}")
    worst = min(stood[1:], key=lambda one: one.metrics.accuracy)
    shown.add_row("mean", f"of {len(stood) - 1} changes", f"{_mean(stood):.3f}", "")
    shown.add_row("worst", f"{worst.kind}, {worst.step}", f"{worst.metrics.accuracy:.3f}", "")
    return shown
