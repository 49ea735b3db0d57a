"""The sections of a report's page that show one model's scores."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.evaluation import plots
from mien.evaluation.metrics import ECE_BINS, reliability_bins, risk_coverage
from mien.visualization.report import Figure, Markup, captioned, figures, gallery, image, section, table, tag
from mien.visualization.report.charts import percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.evaluation.metrics import Metrics
    from mien.evaluation.predictions import Judged

Shown: TypeAlias = "Callable[[int], npt.NDArray[np.uint8] | None]"
"""The image of a row judged, by its place among the rows: uint8 (height, width, 1 or 3); None: it can't be shown."""

MOST_MISTAKES = 24
MOST_MISSED = 24


def scores(judged: Judged, shown: Shown, copied: npt.NDArray[np.bool_] | None) -> list[Markup]:
    """All sections of one model.

    Args:
        judged: its answers.
        shown: the image of each row.
        copied: bool (n,), the rows that have a copy in what may have been learnt from; None: not looked for.
    """
    parts = [_figures(judged), _by_label(judged.metrics), _confusion(judged.metrics)]
    if judged.found.any():
        parts.append(_calibration(judged))
    if copied is not None:
        parts.append(_without_copies(judged, copied))
    parts.append(_mistakes(judged, shown))
    if judged.faces and not judged.found.all():
        parts.append(_missed(judged, shown))
    return parts


def _figures(judged: Judged) -> Markup:
    metrics = judged.metrics
    parts = [
        Figure(
            "Accuracy", percent(metrics.accuracy, 1), f"95 % interval {plots.interval_of(metrics.accuracy, metrics.n)}"
        ),
        Figure("Macro-F1", figure(metrics.macro_f1), "mean over all labels"),
        Figure("ECE", figure(metrics.ece), f"calibration error, {ECE_BINS} bins; 0 is best"),
        Figure("NLL", figure(metrics.nll), "nats; 0 is best"),
        Figure("Brier", figure(metrics.brier), "0 is best, 2 is worst"),
    ]
    if judged.faces:
        parts.append(Figure("No face found", f"{judged.report.missed:,}", f"of {metrics.n:,} photos; counted as wrong"))
    return section("At a glance", figures(parts))


def _by_label(metrics: Metrics) -> Markup:
    header = ("label", "recall", "", "95 % interval", "precision", "F1", "rows")
    rows = [
        (
            score.label,
            plots.recall(score),
            percent(score.recall, 1) if score.count else "-",
            plots.interval_of(score.recall, score.count),
            percent(score.precision, 1),
            figure(score.f1),
            f"{score.count:,}",
        )
        for score in metrics.per_class
    ]
    about = (
        "Recall: of the rows that are so, the share answered so. Precision: of the rows answered so, the share "
        "that are so. F1: the harmonic mean of both."
    )
    return section("Label by label", table(header, rows, words=2), about=about)


def _confusion(metrics: Metrics) -> Markup:
    about = "A row is the truth, a column the answer, a share one of the row. Dark cells off the diagonal are mistakes."
    return section("What is taken for what", tag("div", plots.confusion(metrics), class_="scroll"), about=about)


def _calibration(judged: Judged) -> Markup:
    rows, truth = judged.probabilities[judged.found], judged.answers[judged.found]
    bins, curve = reliability_bins(rows, truth), risk_coverage(rows, truth)
    reliability = captioned(
        Markup(plots.reliability(bins) + plots.counts(bins)),
        "Reliability. Bars that end on the dashed line keep what the probabilities promise. Red: surer than right. "
        f"Purple: more often right than sure. ECE, {figure(judged.metrics.ece)}, is the mean gap over the rows.",
    )
    risk = captioned(plots.risk_and_coverage(curve, judged.unsure_below), "Risk and coverage. " + _threshold(judged))
    return section("How far its probabilities can be believed", tag("div", reliability, risk, class_="pair"))


def _threshold(judged: Judged) -> str:
    """What the model's threshold does on these rows."""
    below = judged.unsure_below
    if not below:
        return 'The card names no threshold under which an answer is "unsure".'
    away = np.array([face is not None and face.turned_away for face in judged.faces or [None] * len(judged)])
    sure = judged.found & (judged.probabilities.max(axis=1) >= below) & ~away
    if not sure.any():
        return f"No answer reaches the card's threshold of {below:.2f}: all are unsure."
    wrong = float((~judged.right[sure]).mean())
    share = sure.sum() / judged.found.sum()
    return (
        f"Answers under the card's threshold of {below:.2f}, and faces turned away, are called unsure. "
        f"{percent(share, 1)} of the answers here are sure, and {percent(wrong, 1)} of those are wrong."
    )


def _without_copies(judged: Judged, copied: npt.NDArray[np.bool_]) -> Markup:
    parts = {"all rows": np.ones(len(judged), np.bool_), "without the copies": ~copied, "the copies alone": copied}
    lines = []
    for name, chosen in parts.items():
        if chosen.any():
            metrics = judged.report_on(chosen).metrics
            interval = plots.interval_of(metrics.accuracy, metrics.n)
            shares = (figure(metrics.macro_f1), figure(metrics.ece), figure(metrics.nll))
            lines.append((name, f"{metrics.n:,}", percent(metrics.accuracy, 1), interval, *shares))
    about = (
        f"{int(copied.sum()):,} of {len(judged):,} rows have a copy in Training: the same pixels, nearly the same, or "
        "mirrored. A network may know by heart what it has learnt from, so the figure without them is the fairer one."
    )
    header = ("", "rows", "accuracy", "95 % interval", "macro-F1", "ECE", "NLL")
    return section("Without the duplicates", table(header, lines), about=about)


def _mistakes(judged: Judged, shown: Shown) -> Markup:
    wrong = int((judged.found & ~judged.right).sum())
    rows = judged.surest_mistakes(MOST_MISTAKES)
    if not wrong:
        return section("The surest mistakes", tag("p", "There are none."))
    about = (
        f"The {len(rows)} most probable of {wrong:,} wrong answers. Look twice: labels are opinions, and some of these "
        "are the label's mistake."
    )
    return section("The surest mistakes", gallery(mistake(judged, int(row), shown) for row in rows), about=about)


def mistake(judged: Judged, row: int, shown: Shown) -> Markup:
    """The image of a row with the answer, the truth, and where the row is found."""
    said = judged.labels[judged.said[row]]
    probability = percent(float(judged.probabilities[row].max()), 1)
    answer = tag("span", tag("b", said), " ", tag("span", probability, class_="number"))
    return _pictured(judged, row, shown, answer, f"labelled {judged.labels[judged.answers[row]]}")


def _missed(judged: Judged, shown: Shown) -> Markup:
    rows = np.flatnonzero(~judged.found)
    about = f"In {len(rows):,} of {len(judged):,} photos no face was found, or they can't be read. They count as wrong."
    if len(rows) > MOST_MISSED:
        about += f" The first {MOST_MISSED} are shown."
    cards = (
        _pictured(judged, int(row), shown, f"labelled {judged.labels[judged.answers[row]]}")
        for row in rows[:MOST_MISSED]
    )
    return section("No face found", gallery(cards), about=about)


def _pictured(judged: Judged, row: int, shown: Shown, *lines: object) -> Markup:
    pixels = shown(row)
    place = tag("span", place_of(str(judged.places[row])), class_="quiet")
    seen = tag("p", "can't be shown", class_="quiet") if pixels is None else image(pixels, f"row {judged.places[row]}")
    return captioned(seen, *lines, place)


def place_of(place: str) -> str:
    """Where a row is found, short: "row 17" of a csv, or the end of a path."""
    return f"row {place}" if place.isdigit() else "/".join(PurePath(place).parts[-2:])


def figure(value: Any) -> str:
    """A score with three decimals; a dash where it has nothing to rest on."""
    return f"{value:.3f}" if math.isfinite(value) else "-"
