"""Paired comparison of models on the same rows: differences with intervals, and McNemar's test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.evaluation.predictions import SplitPredictions

RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A model compared with the baseline on the same rows; differences are model minus baseline.

    Attributes:
        model: name of the model.
        accuracy: difference of the accuracies.
        interval: its 95 % bootstrap interval over rows.
        macro_f1: difference of the macro-F1s.
        both: rows that both predict correctly.
        baseline_only: rows that only the baseline predicts correctly.
        model_only: rows that only the model predicts correctly.
        agreement: share of rows with the same prediction, correct or not (or a face that both miss).
        p: two-sided p-value of McNemar's exact test.
    """

    model: str
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    both: int
    baseline_only: int
    model_only: int
    agreement: float
    p: float


@dataclass(frozen=True)
class Comparison:
    """Several models compared with a baseline on the same rows.

    Attributes:
        baseline: name of the first model.
        n: rows evaluated.
        pairs: each other model against it. The p-values are not corrected for multiple comparisons.
    """

    baseline: str
    n: int
    pairs: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "baseline": self.baseline,
            "n": self.n,
            "test": "McNemar, exact, two-sided",
            "interval": f"bootstrap over rows, 95 %, {RESAMPLES} resamples, seed {SEED}",
            "pairs": [
                {
                    "model": pair.model,
                    "accuracy_difference": pair.accuracy,
                    "accuracy_difference_interval": list(pair.interval),
                    "macro_f1_difference": pair.macro_f1,
                    "both_right": pair.both,
                    "only_baseline_right": pair.baseline_only,
                    "only_model_right": pair.model_only,
                    "agreement": pair.agreement,
                    "p": pair.p,
                }
                for pair in self.pairs
            ],
        }


def compare(models: Sequence[SplitPredictions]) -> Comparison:
    """Compare the first of several models with each other one.

    Args:
        models: predictions on the same rows, with the same labels in any order.

    Raises:
        UsageError: fewer than two models, two of one name, or rows or labels that differ from the first's.
    """
    names = [model.report.model for model in models]
    if len(names) < 2 or len(set(names)) != len(names):
        raise UsageError(f"expected two or more models of different names to compare; received {names}")
    baseline, *others = models
    for model in others:
        _check_same_rows(baseline, model)
    return Comparison(baseline.report.model, len(baseline), tuple(_pair(baseline, model) for model in others))


def mcnemar(first_only: int, second_only: int) -> float:
    """The two-sided p-value of McNemar's exact test (McNemar 1947, with the binomial in place of chi-squared).

    If two models are equally good, a row that only one of them predicts correctly is equally likely to be either's.

    >>> round(mcnemar(10, 25), 4)
    0.0167

    Args:
        first_only: rows that only the first predicts correctly.
        second_only: rows that only the second predicts correctly.

    Raises:
        UsageError: a count is below 0.
    """
    if min(first_only, second_only) < 0:
        raise UsageError(f"expected counts of 0 or more; received {first_only} and {second_only}")
    rows, ways, tail = first_only + second_only, 1, 0
    for chosen in range(min(first_only, second_only) + 1):
        tail += ways
        ways = ways * (rows - chosen) // (chosen + 1)
    return min(1.0, 2 * tail / (1 << rows))


def difference_interval(first_only: int, second_only: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the accuracy difference, second minus first, on the same rows.

    A paired percentile bootstrap over rows (Efron 1979). A resample depends only on how many of its rows each model
    alone predicts correctly, so those counts are drawn from one multinomial.

    Args:
        first_only: rows that only the first predicts correctly.
        second_only: rows that only the second predicts correctly.
        n: all rows.

    Raises:
        UsageError: a count is below 0, or the counts exceed ``n``.
    """
    if min(first_only, second_only) < 0 or not 0 < n >= first_only + second_only:
        raise UsageError(f"expected counts of 0 or more within n rows; received {first_only}, {second_only} of {n}")
    shares = (first_only / n, second_only / n, (n - first_only - second_only) / n)
    drawn = np.random.default_rng(SEED).multinomial(n, shares, RESAMPLES)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / n, (0.025, 0.975)).tolist()
    return low, high


def _check_same_rows(baseline: SplitPredictions, other: SplitPredictions) -> None:
    if set(baseline.labels) != set(other.labels):
        raise UsageError(
            f"expected models with the same labels, so that the same rows are evaluated; {baseline.report.model!r} "
            f"has {list(baseline.labels)} and {other.report.model!r} {list(other.labels)}. "
            "Compare them on a head that both have (--head)"
        )
    same = np.array_equal(baseline.places, other.places)
    if not same or _names(baseline, baseline.targets) != _names(other, other.targets):
        raise UsageError(
            f"expected models evaluated on the same rows; {baseline.report.model!r} and {other.report.model!r} "
            "were not. Evaluate both on the same data and split"
        )


def _pair(baseline: SplitPredictions, other: SplitPredictions) -> Pair:
    first, second = baseline.correct, other.correct
    baseline_only, model_only = int((first & ~second).sum()), int((second & ~first).sum())
    predicted = zip(_names(baseline, baseline.predicted), _names(other, other.predicted), strict=True)
    return Pair(
        model=other.report.model,
        accuracy=other.metrics.accuracy - baseline.metrics.accuracy,
        interval=difference_interval(baseline_only, model_only, len(baseline)),
        macro_f1=other.metrics.macro_f1 - baseline.metrics.macro_f1,
        both=int((first & second).sum()),
        baseline_only=baseline_only,
        model_only=model_only,
        agreement=math.fsum(first_label == second_label for first_label, second_label in predicted) / len(baseline),
        p=mcnemar(baseline_only, model_only),
    )


def _names(model: SplitPredictions, class_ids: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    """Labels by name; "" for a row without a prediction (-1)."""
    names = (*model.labels, "")
    return [names[at] for at in class_ids]
