"""Sections of the HTML report that compare models, and the parts that it shares with the sections of one model."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.evaluation import plots
from mien.evaluation.comparison import RESAMPLES
from mien.visualization.report import Markup, captioned, gallery, image, section, table, tag
from mien.visualization.report.charts import percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.evaluation.comparison import Comparison, Pair
    from mien.evaluation.evaluate import Evaluation
    from mien.evaluation.predictions import SplitPredictions

Thumbnails: TypeAlias = "Callable[[int], npt.NDArray[np.uint8] | None]"
"""The image of a row evaluated, by its index: uint8 (height, width, 1 or 3); None if it can't be shown."""

MAX_DISAGREEMENTS = 6
"""Images shown for each direction of a pair of models."""


def comparison_sections(evaluation: Evaluation, comparison: Comparison) -> list[Markup]:
    """The sections of a report that compare the first model with the others."""
    baseline, *others = evaluation.models
    parts = [_side_by_side(evaluation.models), _paired(comparison)]
    return parts + [_disagreements(baseline, other, evaluation.shown) for other in others]


def _side_by_side(models: Sequence[SplitPredictions]) -> Markup:
    header = ("model", "accuracy", "95 % interval", "macro-F1", "balanced accuracy", "ECE", "NLL", "Brier")
    rows = []
    for model in models:
        metrics = model.metrics
        scores = (metrics.macro_f1, metrics.balanced_accuracy, metrics.ece, metrics.nll, metrics.brier)
        interval = plots.interval_of(metrics.accuracy, metrics.n)
        rows.append((model.report.model, percent(metrics.accuracy, 1), interval, *map(score_text, scores)))
    recalls = [
        (label, *(percent(model.metrics.per_class[model.labels.index(label)].recall, 1) for model in models))
        for label in models[0].labels
    ]
    by_label = table(("recall", *(model.report.model for model in models)), recalls)
    return section("Side by side", table(header, rows), tag("h3", "Recall per class"), by_label)


def _paired(comparison: Comparison) -> Markup:
    header = (
        "model",
        "accuracy, points",
        "95 % interval",
        "macro-F1",
        "only it correct",
        "only baseline correct",
        "agreement",
        "p",
    )
    rows = [
        (
            pair.model,
            f"{100 * pair.accuracy:+.1f}",
            f"{100 * pair.interval[0]:+.1f} to {100 * pair.interval[1]:+.1f}",
            f"{pair.macro_f1:+.3f}",
            f"{pair.model_only:,}",
            f"{pair.baseline_only:,}",
            percent(pair.agreement, 1),
            p_value(pair.p),
        )
        for pair in comparison.pairs
    ]
    about = (
        f"Differences from the baseline, {comparison.baseline}, on the same {comparison.n:,} rows; accuracy in "
        f"percentage points. The interval comes from {RESAMPLES:,} bootstrap resamples of the rows; p is McNemar's "
        "exact test on the rows that only one of the two predicts correctly."
    )
    verdicts = (tag("p", verdict(pair, comparison.baseline)) for pair in comparison.pairs)
    return section(f"Against {comparison.baseline}", table(header, rows), *verdicts, about=about)


def _disagreements(baseline: SplitPredictions, other: SplitPredictions, shown: Thumbnails) -> Markup:
    names = baseline.report.model, other.report.model
    parts = []
    for title, winner, loser in ((names[0], baseline, other), (names[1], other, baseline)):
        rows = np.flatnonzero(winner.correct & ~loser.correct & loser.found)
        order = np.argsort(-loser.probabilities[rows].max(axis=1), kind="stable")[:MAX_DISAGREEMENTS]
        cards = [_disagreement(winner, loser, row, shown) for row in rows[order].tolist()]
        images = gallery(cards) if cards else tag("p", "There are none.", class_="quiet")
        parts += [tag("h3", f"Only {title} is correct: {len(rows):,} rows"), images]
    about = "Sorted by the confidence of the wrong prediction."
    return section(f"Where {names[0]} and {names[1]} disagree", *parts, about=about)


def _disagreement(winner: SplitPredictions, loser: SplitPredictions, row: int, shown: Thumbnails) -> Markup:
    target = winner.labels[winner.targets[row]]
    wrong = f"not {loser.labels[loser.predicted[row]]} ({percent(float(loser.probabilities[row].max()))})"
    return row_card(winner, row, shown, tag("b", target), wrong)


def verdict(pair: Pair, baseline: str) -> str:
    """The result of a paired comparison in a sentence."""
    if pair.p >= 0.05:
        return f"{pair.model} and {baseline} do not differ significantly on these rows (p {p_value(pair.p)})."
    direction = "more" if pair.model_only > pair.baseline_only else "fewer"
    rows = abs(pair.model_only - pair.baseline_only)
    return (
        f"{pair.model} predicts {rows:,} rows {direction} correctly than {baseline}, "
        f"a significant difference (p {p_value(pair.p)})."
    )


def p_value(p: float) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def row_card(model: SplitPredictions, row: int, shown: Thumbnails, *lines: object) -> Markup:
    """The image of a row, with captions and its place in the data."""
    pixels, place = shown(row), str(model.places[row])
    thumbnail = tag("p", "can't be shown", class_="quiet") if pixels is None else image(pixels, f"row {place}")
    return captioned(thumbnail, *lines, tag("span", short_place(place), class_="quiet"))


def short_place(place: str) -> str:
    """The place of a row, short: "row 17" of a csv, or the end of a path."""
    return f"row {place}" if place.isdigit() else "/".join(PurePath(place).parts[-2:])


def score_text(value: Any) -> str:
    """A score with three decimals; a dash if it is not a number."""
    return f"{value:.3f}" if math.isfinite(value) else "-"
