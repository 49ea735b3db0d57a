"""Several models on the same rows: who is better, and whether that is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.evaluation.predictions import Judged

RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A model beside the baseline, row by row; a difference is the model's figure less the baseline's.

    Attributes:
        model: name of the model.
        accuracy: difference of the accuracies.
        interval: where that lies, 95 %, by resampling rows.
        macro_f1: difference of the macro-F1s.
        both: rows that both answer right.
        baseline_only: rows that only the baseline answers right.
        model_only: rows that only the model answers right.
        agreement: share of rows to which both say the same, right or wrong (a face that both miss too).
        p: how often chance alone would share out so unevenly, or more so, the rows that only one answers right
            (McNemar's exact test, two-sided).
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
    """Models beside a baseline, on the same rows.

    Attributes:
        baseline: name of the first model.
        n: rows judged.
        pairs: each other model beside it. Each has a test of its own: with many of them, chance has many tries.
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


def compare(models: Sequence[Judged]) -> Comparison:
    """The first of several models beside each other one.

    Args:
        models: what each answered to the same rows, under the same labels in any order.

    Raises:
        UsageError: fewer than two, two of one name, or other rows or labels than the first's.
    """
    names = [judged.report.model for judged in models]
    if len(names) < 2 or len(set(names)) != len(names):
        raise UsageError(f"expected two or more models of different names to compare; received {names}")
    baseline, *others = models
    for other in others:
        _check_alike(baseline, other)
    return Comparison(baseline.report.model, len(baseline), tuple(_pair(baseline, other) for other in others))


def mcnemar(first_only: int, second_only: int) -> float:
    """The two-sided p-value of McNemar's exact test (McNemar 1947, with the binomial in place of chi-squared).

    Where two models are equally good, each of the rows that only one of them answers right is as likely to be the
    one's as the other's.

    Args:
        first_only: rows that only the first answers right.
        second_only: rows that only the second answers right.

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
    """The 95 % interval of how much more accurate the second is than the first on the same rows.

    A percentile bootstrap (Efron 1979) of rows as pairs: a resample is known by how many of its rows only the first
    and only the second answers right, so these counts are drawn at once.

    Args:
        first_only: rows that only the first answers right.
        second_only: rows that only the second answers right.
        n: all rows.

    Raises:
        UsageError: counts that don't fit.
    """
    if min(first_only, second_only) < 0 or not 0 < n >= first_only + second_only:
        raise UsageError(f"expected counts of 0 or more within n rows; received {first_only}, {second_only} of {n}")
    shares = (first_only / n, second_only / n, (n - first_only - second_only) / n)
    drawn = np.random.default_rng(SEED).multinomial(n, shares, RESAMPLES)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / n, (0.025, 0.975)).tolist()
    return low, high


def _check_alike(baseline: Judged, other: Judged) -> None:
    if set(baseline.labels) != set(other.labels):
        raise UsageError(
            f"expected models that name the same labels, so that the same rows are judged; {baseline.report.model!r} "
            f"names {list(baseline.labels)} and {other.report.model!r} {list(other.labels)}. "
            "Compare them under a head that both have (--head)"
        )
    same = np.array_equal(baseline.places, other.places)
    if not same or _names(baseline, baseline.answers) != _names(other, other.answers):
        raise UsageError(
            f"expected models judged on the same rows; {baseline.report.model!r} and {other.report.model!r} were not"
        )


def _pair(baseline: Judged, other: Judged) -> Pair:
    first, second = baseline.right, other.right
    baseline_only, model_only = int((first & ~second).sum()), int((second & ~first).sum())
    said = zip(_names(baseline, baseline.said), _names(other, other.said), strict=True)
    return Pair(
        model=other.report.model,
        accuracy=other.metrics.accuracy - baseline.metrics.accuracy,
        interval=difference_interval(baseline_only, model_only, len(baseline)),
        macro_f1=other.metrics.macro_f1 - baseline.metrics.macro_f1,
        both=int((first & second).sum()),
        baseline_only=baseline_only,
        model_only=model_only,
        agreement=math.fsum(one == another for one, another in said) / len(baseline),
        p=mcnemar(baseline_only, model_only),
    )


def _names(judged: Judged, indexes: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    """Labels by name; "" for a row without an answer (-1)."""
    names = (*judged.labels, "")
    return [names[at] for at in indexes]
