"""The sections of a report's page that show several models beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mien.evaluation import plots
from mien.evaluation.comparison import RESAMPLES
from mien.evaluation.page_scores import Shown, figure, place_of
from mien.visualization.report import Markup, captioned, gallery, image, section, table, tag
from mien.visualization.report.charts import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.evaluation.comparison import Comparison, Pair
    from mien.evaluation.evaluation import Evaluation
    from mien.evaluation.predictions import Judged

MOST_DISAGREEMENTS = 6
"""Images of each kind that are shown for a pair."""


def compared(evaluation: Evaluation) -> list[Markup]:
    """All sections of a comparison; none where there is one model only."""
    if evaluation.comparison is None:
        return []
    baseline, *others = evaluation.models
    parts = [_side_by_side(evaluation.models), _paired(evaluation.comparison)]
    return parts + [_disagreements(baseline, other, evaluation.shown) for other in others]


def _side_by_side(models: Sequence[Judged]) -> Markup:
    header = ("model", "accuracy", "95 % interval", "macro-F1", "mean recall", "ECE", "NLL", "Brier")
    rows = []
    for judged in models:
        metrics = judged.metrics
        shares = (metrics.macro_f1, metrics.mean_recall, metrics.ece, metrics.nll, metrics.brier)
        interval = plots.interval_of(metrics.accuracy, metrics.n)
        rows.append((judged.report.model, percent(metrics.accuracy, 1), interval, *map(figure, shares)))
    recalls = [
        (label, *(percent(judged.metrics.per_class[judged.labels.index(label)].recall, 1) for judged in models))
        for label in models[0].labels
    ]
    by_label = table(("recall", *(judged.report.model for judged in models)), recalls)
    return section("Side by side", table(header, rows), tag("h3", "Recall label by label"), by_label)


def _paired(comparison: Comparison) -> Markup:
    header = (
        "model",
        "accuracy, points",
        "95 % interval",
        "macro-F1",
        "only it right",
        "only baseline right",
        "agree",
        "p",
    )
    rows = [
        (
            pair.model,
            _signed(pair.accuracy),
            f"{100 * pair.interval[0]:+.1f} to {100 * pair.interval[1]:+.1f}",
            f"{pair.macro_f1:+.3f}",
            f"{pair.model_only:,}",
            f"{pair.baseline_only:,}",
            percent(pair.agreement, 1),
            chance(pair.p),
        )
        for pair in comparison.pairs
    ]
    about = (
        f"Each model's figures less those of the baseline, {comparison.baseline}, on the same {comparison.n:,} rows; "
        f"accuracy in points of a hundred. The interval comes from {RESAMPLES:,} resamples of the rows; p is McNemar's "
        "exact test over the rows that only one of the two gets right."
    )
    verdicts = (tag("p", verdict(pair, comparison.baseline)) for pair in comparison.pairs)
    return section(f"Against {comparison.baseline}", table(header, rows), *verdicts, about=about)


def verdict(pair: Pair, baseline: str) -> str:
    """What a pair comes to, in a sentence."""
    if pair.p >= 0.05:
        return f"{pair.model} and {baseline} can't be told apart on these rows (p {chance(pair.p)})."
    word = "more" if pair.model_only > pair.baseline_only else "fewer"
    rows = abs(pair.model_only - pair.baseline_only)
    told = f"{pair.model} answers {rows:,} rows {word} right than {baseline}"
    return f"{told}: chance alone seldom does that (p {chance(pair.p)})."


def chance(p: float) -> str:
    """A p-value as people read it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _disagreements(baseline: Judged, other: Judged, shown: Shown) -> Markup:
    names = baseline.report.model, other.report.model
    parts = []
    for title, winner, loser in ((names[0], baseline, other), (names[1], other, baseline)):
        rows = np.flatnonzero(winner.right & ~loser.right & loser.found)
        order = np.argsort(-loser.probabilities[rows].max(axis=1), kind="stable")[:MOST_DISAGREEMENTS]
        cards = [_disagreement(winner, loser, int(row), shown) for row in rows[order]]
        told = gallery(cards) if cards else tag("p", "There are none.", class_="quiet")
        parts += [tag("h3", f"Only {title} is right: {len(rows):,} rows"), told]
    about = "Those first about which the other is surest."
    return section(f"Where {names[0]} and {names[1]} part", *parts, about=about)


def _disagreement(winner: Judged, loser: Judged, row: int, shown: Shown) -> Markup:
    pixels = shown(row)
    seen = tag("p", "can't be shown") if pixels is None else image(pixels, f"row {winner.places[row]}")
    truth = winner.labels[winner.answers[row]]
    wrong = f"not {loser.labels[loser.said[row]]} ({percent(float(loser.probabilities[row].max()))})"
    return captioned(seen, tag("b", truth), wrong, tag("span", place_of(str(winner.places[row])), class_="quiet"))


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}"
