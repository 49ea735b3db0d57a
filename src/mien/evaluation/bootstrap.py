"""Bootstrap confidence intervals of accuracy, macro-F1 and balanced accuracy."""

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
    """95 % intervals of metrics: low and high, each from 0 to 1."""

    accuracy: Interval
    macro_f1: Interval
    balanced_accuracy: Interval


def bootstrap(metrics: Metrics, resamples: int = RESAMPLES) -> Intervals:
    """95 % percentile bootstrap intervals over rows (Efron 1979).

    These metrics depend only on the confusion matrix, so each resample is one multinomial draw of its counts.

    Args:
        metrics: from ``compute_metrics``; missed rows count as wrong, as they do there.
        resamples: number of resamples.

    Raises:
        UsageError: ``resamples`` is below 1.
    """
    if resamples < 1:
        raise UsageError(f"expected at least one resample; received {resamples}")
    table = np.column_stack([metrics.confusion, metrics.missed])
    resampled = (
        np.random.default_rng(SEED)
        .multinomial(metrics.n, table.ravel() / metrics.n, resamples)
        .reshape(resamples, *table.shape)
    )
    confusion = resampled[:, :, :-1]
    hits, predicted, count = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=1), resampled.sum(axis=2)
    recall, occurs = ratio(hits, count), count > 0
    return Intervals(
        accuracy=_percentile_interval(hits.sum(axis=1) / metrics.n),
        macro_f1=_percentile_interval(ratio(2 * hits, predicted + count).mean(axis=1)),
        balanced_accuracy=_percentile_interval((recall * occurs).sum(axis=1) / occurs.sum(axis=1)),
    )


def _percentile_interval(resampled: npt.NDArray[np.float64]) -> Interval:
    low, high = np.quantile(resampled, (0.025, 0.975)).tolist()
    return low, high
