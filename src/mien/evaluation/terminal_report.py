"""Evaluation reports as tables for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.evaluation.comparison import Comparison
    from mien.evaluation.predictions import Report

LABEL_WIDTH = 18
MIN_TERMINAL_COLUMNS = 80
"""Columns of the narrowest terminal that the tables are made for."""
MAX_CONFUSION_LABELS = 12
"""A confusion matrix of more labels fits no terminal; it is in the JSON."""


def render_report(report: Report) -> Group:
    """One model's metrics, scores by class, and confusion matrix.

    Print it with ``rich.console.Console``, which respects NO_COLOR and the terminal's width.
    """
    parts: list[Table | Text] = [_title(report), _figures(report), _per_class(report)]
    if len(report.metrics.labels) <= MAX_CONFUSION_LABELS:
        parts.append(_confusion(report))
    return Group(*parts)


def render_comparison(reports: Sequence[Report], comparison: Comparison) -> Group:
    """Several models side by side, and each against the first."""
    title = Text.assemble((", ".join(report.model for report in reports), "bold"), _where(reports[0]))
    scores = _table("Side by side")
    for name in ("accuracy", "macro-F1", "ECE", "NLL"):
        scores.add_column(name, justify="right", no_wrap=True)
    for report in reports:
        metrics = report.metrics
        shown = (metrics.accuracy, metrics.macro_f1, metrics.ece, metrics.nll)
        scores.add_row(Text(report.model), *map(_figure, shown))
    pairs = _table(f"Difference from {comparison.baseline}, on the same rows")
    for name in ("accuracy", "95 % interval", "agree", "McNemar p"):
        pairs.add_column(name, justify="right", no_wrap=True)
    for pair in comparison.pairs:
        interval = f"{pair.interval[0]:+.4f} to {pair.interval[1]:+.4f}"
        pairs.add_row(Text(pair.model), f"{pair.accuracy:+.4f}", interval, _figure(pair.agreement), f"{pair.p:.2g}")
    return Group(title, scores, pairs)


def _title(report: Report) -> Text:
    return Text.assemble((report.model, "bold"), _where(report))


def _where(report: Report) -> str:
    counts = [("missed", report.missed), ("excluded", report.excluded), ("rejected", report.rejected)]
    notes = "".join(f", {count} {name}" for name, count in counts if count)
    return f" ({report.head}) on {report.data}, {report.split}: {report.metrics.n} rows{notes}"


def _figures(report: Report) -> Table:
    metrics = report.metrics
    low, high = metrics.accuracy_interval
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="bold")
    table.add_column(style="dim")
    table.add_row("accuracy", _figure(metrics.accuracy), f"95 % interval {low:.4f} to {high:.4f}")
    table.add_row("macro-F1", _figure(metrics.macro_f1), "mean F1 over all labels")
    table.add_row("balanced accuracy", _figure(metrics.balanced_accuracy), "recall averaged over the labels that occur")
    table.add_row("ECE", _figure(metrics.ece), "expected calibration error, 15 bins; 0 is best")
    table.add_row("NLL", _figure(metrics.nll), "negative log-likelihood in nats; 0 is best")
    table.add_row("Brier", _figure(metrics.brier), "squared error, 0 is best, 2 is worst")
    return table


def _per_class(report: Report) -> Table:
    table = _table("Per class")
    for name in ("precision", "recall", "F1", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for score in report.metrics.per_class:
        figures = (_figure(score.precision), _figure(score.recall), _figure(score.f1), str(score.count))
        table.add_row(Text(score.label), *figures)
    return table


def _confusion(report: Report) -> Table:
    metrics = report.metrics
    table = _table("Confusion matrix: rows are targets, columns predictions")
    names, counts = list(metrics.labels), metrics.confusion
    if report.missed:
        names, counts = [*names, "no face"], np.column_stack([counts, metrics.missed])
    digits = max(4, len(str(counts.max())))
    fits = max(map(len, metrics.labels)) + sum(max(digits, len(name)) + 2 for name in names) <= MIN_TERMINAL_COLUMNS
    for name in names:
        # if they don't all fit, names fold within their columns, so that the numbers stay aligned
        width = max(digits, len(name)) if fits else digits
        table.add_column(Text(name), justify="right", overflow="fold", min_width=width, max_width=width)
    for at, (label, row) in enumerate(zip(metrics.labels, counts.tolist(), strict=True)):
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


def _figure(figure: float) -> str:
    return f"{figure:.4f}" if math.isfinite(figure) else "-"
