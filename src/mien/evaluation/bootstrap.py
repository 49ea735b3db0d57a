"""The intervals of scores that have no formula: the rows are drawn again and again, and each draw is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.evaluation.metrics import ratio

if TYPE_CHECKING:
    from mien.evaluation.metrics import Metrics

RESAMPLES = 2000
SEED = 0

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Intervals:
    """The 95 % intervals of scores: low and high, each from 0 to 1."""

    accuracy: Interval
    macro_f1: Interval
    mean_recall: Interval


def bootstrap(metrics: Metrics, resamples: int = RESAMPLES) -> Intervals:
    """The intervals of what was measured on some rows, had it been others of their kind.

    A percentile bootstrap (Efron 1979). These scores know of a row its truth and its answer alone, so a resample is
    known by how many rows it has of each pair, and those counts are drawn at once.

    Args:
        metrics: as ``judge`` gives them; missed rows count as they do there.
        resamples: how often the rows are drawn.

    Raises:
        UsageError: there are no resamples.
    """
    if resamples < 1:
        raise UsageError(f"expected at least one resample; received {resamples}")
    table = np.column_stack([metrics.confusion, metrics.missed])
    dice = np.random.default_rng(SEED)
    drawn = dice.multinomial(metrics.n, table.ravel() / metrics.n, resamples).reshape(resamples, *table.shape)
    answers = drawn[:, :, :-1]
    hits, answered, count = answers.diagonal(axis1=1, axis2=2), answers.sum(axis=1), drawn.sum(axis=2)
    recall, occurs = ratio(hits, count), count > 0
    return Intervals(
        accuracy=_middle(hits.sum(axis=1) / metrics.n),
        macro_f1=_middle(ratio(2 * hits, answered + count).mean(axis=1)),
        mean_recall=_middle((recall * occurs).sum(axis=1) / occurs.sum(axis=1)),
    )


def _middle(drawn: npt.NDArray[np.float64]) -> Interval:
    """What 95 % of the draws lie within."""
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return low, high
