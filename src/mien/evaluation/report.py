"""What an evaluation tells: one object for programs (JSON), one view for a terminal."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mien.evaluation.comparison import Comparison
    from mien.evaluation.metrics import ClassScore, Metrics

LABEL_WIDTH = 18
NARROWEST = 80
"""Columns of the narrowest terminal that the view is made for."""
MOST_LABELS_SHOWN = 12
"""A confusion matrix of more labels fits no terminal; the JSON has it."""


@dataclass(frozen=True)
class Report:
    """The scores of one model on one split.

    Attributes:
        data: name of the data set.
        split: "PublicTest", ...
        model: name of the model or path of its file.
        head: the label set judged: "fer2013", "ferplus", "classes", or "fused" for what users are told.
        metrics: the scores.
        excluded: rows of the split that the protocol leaves out.
        rejected: rows of the data that could not be read.
    """

    data: str
    split: str
    model: str
    head: str
    metrics: Metrics
    excluded: int = 0
    rejected: int = 0

    @property
    def missed(self) -> int:
        """Faces that the detector missed; 0 where face crops were judged."""
        return int(self.metrics.missed.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; None where a score has no rows to rest on."""
        metrics = self.metrics
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "head": self.head,
            "n": metrics.n,
            "missed": self.missed,
            "excluded": self.excluded,
            "rejected": self.rejected,
            "accuracy": metrics.accuracy,
            "accuracy_interval": list(metrics.accuracy_interval),
            "macro_f1": metrics.macro_f1,
            "mean_recall": metrics.mean_recall,
            "ece": _known(metrics.ece),
            "nll": _known(metrics.nll),
            "brier": _known(metrics.brier),
            "labels": list(metrics.labels),
            "per_class": {score.label: _scores(score, missed) for score, missed in _by_class(metrics)},
            "confusion": metrics.confusion.tolist(),
        }

    def to_json(self) -> str:
        """``to_dict`` on one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


def text(report: Report) -> Group:
    """The report for a terminal: figures, a score a label, and the confusion matrix.

    Print it with ``rich.console.Console``, which obeys NO_COLOR and the terminal's width.
    """
    parts: list[Table | Text] = [_title(report), _figures(report), _per_class(report)]
    if len(report.metrics.labels) <= MOST_LABELS_SHOWN:
        parts.append(_confusion(report))
    return Group(*parts)


def compared_text(reports: Sequence[Report], comparison: Comparison) -> Group:
    """Several models for a terminal, side by side, and each beside the first."""
    title = Text.assemble((", ".join(report.model for report in reports), "bold"), _where(reports[0]))
    scores = _table("Side by side")
    for name in ("accuracy", "macro-F1", "ECE", "NLL"):
        scores.add_column(name, justify="right", no_wrap=True)
    for report in reports:
        metrics = report.metrics
        shown = (metrics.accuracy, metrics.macro_f1, metrics.ece, metrics.nll)
        scores.add_row(Text(report.model), *map(_figure, shown))
    pairs = _table(f"Less {comparison.baseline}, on the same rows")
    for name in ("accuracy", "95 % interval", "agree", "McNemar p"):
        pairs.add_column(name, justify="right", no_wrap=True)
    for pair in comparison.pairs:
        interval = f"{pair.interval[0]:+.4f} to {pair.interval[1]:+.4f}"
        pairs.add_row(Text(pair.model), f"{pair.accuracy:+.4f}", interval, _figure(pair.agreement), f"{pair.p:.2g}")
    return Group(title, scores, pairs)


def _title(report: Report) -> Text:
    return Text.assemble((report.model, "bold"), _where(report))


def _where(report: Report) -> str:
    left_out = [("missed", report.missed), ("excluded", report.excluded), ("rejected", report.rejected)]
    notes = "".join(f", {count} {name}" for name, count in left_out if count)
    return f" ({report.head}) on {report.data}, {report.split}: {report.metrics.n} rows{notes}"


def _figures(report: Report) -> Table:
    metrics = report.metrics
    low, high = metrics.accuracy_interval
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="bold")
    table.add_column(style="dim")
    table.add_row("accuracy", _figure(metrics.accuracy), f"95 % interval {low:.4f} to {high:.4f}")
    table.add_row("macro-F1", _figure(metrics.macro_f1), "mean over all labels")
    table.add_row("mean recall", _figure(metrics.mean_recall), "mean over the labels that occur")
    table.add_row("ECE", _figure(metrics.ece), "calibration error, 15 bins; 0 is best")
    table.add_row("NLL", _figure(metrics.nll), "nats; 0 is best")
    table.add_row("Brier", _figure(metrics.brier), "0 is best, 2 is worst")
    return table


def _per_class(report: Report) -> Table:
    table = _table("Per label")
    for name in ("precision", "recall", "F1", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for score in report.metrics.per_class:
        figures = (_figure(score.precision), _figure(score.recall), _figure(score.f1), str(score.count))
        table.add_row(Text(score.label), *figures)
    return table


def _confusion(report: Report) -> Table:
    metrics = report.metrics
    table = _table("Confusion: a row is the truth, a column the answer")
    names, cells = list(metrics.labels), metrics.confusion
    if report.missed:
        names, cells = [*names, "no face"], np.column_stack([cells, metrics.missed])
    digits = max(4, len(str(cells.max())))
    whole = max(map(len, metrics.labels)) + sum(max(digits, len(name)) + 2 for name in names) <= NARROWEST
    for name in names:
        # where they don't all fit, a name folds inside its column, so that the numbers keep their places
        width = max(digits, len(name)) if whole else digits
        table.add_column(Text(name), justify="right", overflow="fold", min_width=width, max_width=width)
    for at, (label, row) in enumerate(zip(metrics.labels, cells.tolist(), strict=True)):
        marked = (Text(str(count), style="bold" if at == column else "") for column, count in enumerate(row))
        table.add_row(Text(label), *marked)
    return table


def _table(title: str) -> Table:
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", max_width=LABEL_WIDTH, overflow="fold")
    return table


def _by_class(metrics: Metrics) -> Iterator[tuple[ClassScore, int]]:
    return zip(metrics.per_class, metrics.missed.tolist(), strict=True)


def _scores(score: ClassScore, missed: int) -> dict[str, float | int]:
    figures = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return {**figures, "count": score.count, "missed": missed}


def _known(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None


def _figure(figure: float) -> str:
    return f"{figure:.4f}" if math.isfinite(figure) else "-"
