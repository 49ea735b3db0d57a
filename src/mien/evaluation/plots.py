"""The plots of a report, as SVG: reliability diagram, risk-coverage curve, confusion matrix, recall bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mien.evaluation.metrics import wilson_interval
from mien.visualization.annotate import colour_of
from mien.visualization.report.charts import (
    LEFT,
    RIGHT,
    Axes,
    label,
    line,
    percent,
    rectangle,
    shortened,
    svg,
    width_of,
)
from mien.visualization.report.parts import Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mien.evaluation.metrics import ClassScore, Metrics, ReliabilityBin, RiskCoverage

MAX_CURVE_POINTS = 400
"""More points of a curve are indistinguishable on a page."""

MAX_LABEL_LETTERS = 22
"""Letters of a label that fit in a plot."""

MAX_NUMBERED_LABELS = 16
"""Up to this number of labels a confusion matrix shows its counts."""

NO_FACE = "no face"

WHITE_TEXT_SHARE = 0.6
"""From this share of the row, a cell of a confusion matrix is dark and its numbers are white."""


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """The reliability diagram: accuracy of each confidence bin, and its gap to the confidence."""
    axes = Axes()
    shapes = []
    for bin_ in bins:
        if bin_.count:
            left, right = axes.x(bin_.low) + 1, axes.x(bin_.high) - 1
            low, high = sorted((axes.y(bin_.accuracy), axes.y(bin_.confidence)))
            hint = f"confidence {percent(bin_.confidence, 1)}, accuracy {percent(bin_.accuracy, 1)}, {bin_.count} rows"
            bar = rectangle(left, axes.y(bin_.accuracy), right, axes.y(0), class_="fill")
            shapes.append(tag("g", tag("title", hint), bar, rectangle(left, low, right, high, class_="gap")))
    ideal = line((axes.x(0), axes.y(0)), (axes.x(1), axes.y(1)), "ideal")
    title = "Reliability diagram: accuracy by confidence"
    return axes.plot(title, "confidence", "accuracy", [*shapes, ideal])


def counts(bins: Sequence[ReliabilityBin]) -> Markup:
    """The number of rows in each bin, drawn below the reliability diagram."""
    axes = Axes(height=64, y_end=1.25)
    largest = max(bin_.count for bin_ in bins)
    shapes = []
    for bin_ in bins:
        top = axes.y(bin_.count / largest)
        shapes.append(rectangle(axes.x(bin_.low) + 1, top, axes.x(bin_.high) - 1, axes.y(0), class_="soft"))
        middle = axes.x((bin_.low + bin_.high) / 2)
        shapes.append(label(bin_.count or "", (middle, top - 3), "middle small"))
    bottom = line((LEFT, axes.y(0)), (axes.x(1), axes.y(0)), "axis")
    return svg(
        (axes.x(1) + RIGHT, axes.y(0) + 4),
        "Rows in each bin",
        *shapes,
        bottom,
        label("rows", (LEFT - 8, axes.y(0)), "end quiet"),
    )


def risk_and_coverage(curve: RiskCoverage, unsure_below: float) -> Markup:
    """The risk-coverage curve: error rate by share of predictions accepted; the model's threshold is marked."""
    axes = Axes(y_end=_end_above(float(curve.error.max())))
    points = np.unique(np.linspace(0, len(curve.kept) - 1, MAX_CURVE_POINTS).astype(np.int64))
    path = " ".join(f"{axes.x(curve.coverage[at]):.1f},{axes.y(curve.error[at]):.1f}" for at in points)
    shapes = [tag("polyline", points=path, class_="line")]
    at = _kept_at(curve, unsure_below)
    if at is not None:
        x, y = axes.x(curve.coverage[at]), axes.y(curve.error[at])
        text = f"unsure below {unsure_below:.2f}"
        label_x, style = (x - 8, "end warm") if curve.coverage[at] > 0.5 else (x + 8, "warm")
        shapes += [
            line((x, axes.y(0)), (x, axes.y(axes.y_end)), "mark"),
            tag("circle", cx=x, cy=y, r=5, class_="dot"),
            label(text, (label_x, axes.y(axes.y_end) + 14), style),
        ]
    title = "Risk-coverage curve: error rate by share of rows accepted"
    return axes.plot(title, "coverage, most confident first", "error rate", shapes)


def _kept_at(curve: RiskCoverage, threshold: float) -> int | None:
    """The index in the curve of a confidence threshold; None if it rejects no prediction, or all."""
    at = int(np.searchsorted(curve.thresholds, threshold))
    return at if 0 < at < len(curve.thresholds) else None


def confusion(metrics: Metrics) -> Markup:
    """The confusion matrix, shaded by shares of the row; missed faces have their own column."""
    missed = int(metrics.missed.sum()) > 0
    table = np.column_stack([metrics.confusion, metrics.missed]) if missed else metrics.confusion
    names = [shortened(name, MAX_LABEL_LETTERS) for name in metrics.labels]
    numbered = len(names) <= MAX_NUMBERED_LABELS
    wide, high = (58.0, 40.0) if numbered else (14.0, 14.0)
    columns = [*names, NO_FACE] if missed else names
    turned, rise = (-45, 0.72) if numbered else (-90, 1.0)
    left, top = 14 + max(map(width_of, names)), 30 + rise * max(map(width_of, columns))
    cells = join(_cells(table, (left, top), (wide, high), numbered=numbered))
    down = [label(name, (left - 10, top + high * (at + 0.5) + 4), "end") for at, name in enumerate(names)]
    across = [label(name, (left + wide * (at + 0.5) + 2, top - 8), turned=turned) for at, name in enumerate(columns)]
    room = 0.72 * width_of(columns[-1]) if numbered else 0.0
    size = (left + wide * len(columns) + max(4.0, room - wide / 2), top + high * len(names) + 4)
    return svg(size, "Confusion matrix: rows are targets, columns predictions", cells, *down, *across, class_="matrix")


def _cells(
    table: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    corner: tuple[float, float],
    size: tuple[float, float],
    *,
    numbered: bool,
) -> Iterator[Markup]:
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    for (row, column), count in np.ndenumerate(table):
        share = float(shares[row, column])
        x, y = corner[0] + size[0] * column, corner[1] + size[1] * row
        yield rectangle(x + 1, y + 1, x + size[0] - 1, y + size[1] - 1, class_="track", rx=3)
        yield rectangle(x + 1, y + 1, x + size[0] - 1, y + size[1] - 1, class_="heat", rx=3, fill_opacity=share**0.7)
        if numbered and count:
            middle, shade = x + size[0] / 2, "middle over" if share > WHITE_TEXT_SHARE else "middle"
            yield label(count, (middle, y + size[1] / 2 - 1), shade)
            yield label(percent(share), (middle, y + size[1] / 2 + 13), f"small {shade}")


def recall(score: ClassScore) -> Markup:
    """The recall of one class as a bar, with its 95 % interval."""
    wide, high = 160.0, 16.0
    track = rectangle(0, 3, wide, high - 3, class_="track", rx=5)
    if not score.count:
        return svg((wide, high), "no rows", track, class_="small")
    low, top = wilson_interval(round(score.recall * score.count), score.count)
    red, green, blue = colour_of(score.label)
    bar = rectangle(0, 3, wide * score.recall, high - 3, rx=5, fill=f"rgb({red},{green},{blue})")
    whisker = [
        line((wide * low, high / 2), (wide * top, high / 2), "whisker"),
        *(line((wide * end, 4.5), (wide * end, high - 4.5), "whisker") for end in (low, top)),
    ]
    return svg((wide, high), f"recall {percent(score.recall, 1)}", track, bar, *whisker, class_="small")


def _end_above(error: float) -> float:
    """The top of an axis for an error rate, with round quarters."""
    return next((end for end in (0.04, 0.08, 0.2, 0.4, 0.6, 0.8) if error <= end), 1.0)


def interval_of(hits_share: float, n: int) -> str:
    """The 95 % interval of a proportion as text, "69.3 to 72.3 %"; a dash without rows."""
    if not n or not math.isfinite(hits_share):
        return "-"
    low, high = wilson_interval(round(hits_share * n), n)
    return f"{100 * low:.1f} to {percent(high, 1)}"
