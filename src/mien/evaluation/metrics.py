"""Classification metrics: accuracy, precision, recall, F1, confusion matrix, and calibration (ECE, NLL, Brier score).

``targets`` are class indices, int (n,), as in ``Truth.class_ids``. A prediction is the label with the highest
probability; of equal ones the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures.arrays import ROW_SUM_TOLERANCE, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

ECE_BINS = 15
"""As in Guo et al. 2017."""

Z_95 = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """The scores of one class; a score with nothing to divide by is 0.

    Attributes:
        label: its name.
        precision: the share of rows predicted as this class that belong to it.
        recall: the share of rows of this class predicted as such; a missed face counts as wrong.
        f1: harmonic mean of precision and recall.
        count: the support: rows of this class, including missed ones.
    """

    label: str
    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Metrics:
    """The metrics of one set of probabilities against the targets.

    Rows without a prediction (a face that the detector missed) count as wrong in accuracy, recall and F1.
    Precision, ECE, NLL and Brier score use only rows with a prediction. All sums are taken in float64.

    Attributes:
        labels: names in the order of ``per_class`` and ``confusion``.
        n: rows evaluated, including missed ones.
        accuracy: share of rows predicted correctly.
        macro_f1: mean F1 over all labels; one that occurs in neither targets nor predictions counts 0, as with
            scikit-learn's ``f1_score(labels=all, average="macro", zero_division=0)``.
        balanced_accuracy: recall averaged over the labels that occur in the targets, as with scikit-learn's
            ``balanced_accuracy_score``.
        ece: expected calibration error; NaN, as nll and brier, where every row was missed.
        nll: mean negative log-likelihood of the true label, in nats; its probability is clipped to
            the machine epsilon of float64, as scikit-learn's ``log_loss`` does.
        brier: squared error summed over labels, mean over rows: 0 to 2.
        per_class: the scores of each label.
        confusion: the confusion matrix, int64 (labels, labels): rows are targets, columns predictions.
        missed: int64 (labels,), rows of each label without a prediction.
    """

    labels: tuple[str, ...]
    n: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    nll: float
    brier: float
    per_class: tuple[ClassScore, ...]
    confusion: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(int(self.confusion.trace()), self.n)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows whose highest probability lies in (low, high]; accuracy and confidence are NaN for an empty bin."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class RiskCoverage:
    """Coverage and error rate when predictions below a confidence threshold are rejected.

    Attributes:
        thresholds: the distinct highest probabilities, ascending; a row is kept if its own is at least that.
        coverage: share of rows kept.
        error: error rate among the rows kept.
        kept: int64, number of rows kept.
    """

    thresholds: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    kept: npt.NDArray[np.int64]


def compute_metrics(
    probabilities: npt.NDArray[Any],
    targets: npt.NDArray[Any],
    labels: Sequence[str],
    found: npt.NDArray[np.bool_] | None = None,
) -> Metrics:
    """All metrics of one set of probabilities.

    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> metrics = compute_metrics(probabilities, np.array([0, 1, 1]), ("happy", "sad"))
    >>> round(metrics.accuracy, 3), metrics.confusion.tolist()
    (0.667, [[1, 0], [1, 1]])

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        targets: integers (n,), the class index of each row.
        labels: distinct names of the columns.
        found: bool (n,), rows with a prediction; the probabilities of the others are ignored. None: all rows.

    Raises:
        UsageError: no rows, arrays that don't fit each other, or values that are no probabilities.
    """
    found = np.ones(len(targets), dtype=np.bool_) if found is None else found
    check_predictions(probabilities, targets, found)
    size = probabilities.shape[1]
    if len(set(labels)) != len(labels) or len(labels) != size:
        raise UsageError(f"expected {size} distinct labels, one a column; received {list(labels)}")
    rows, truth = probabilities[found].astype(np.float64), targets[found].astype(np.int64)
    counts = np.bincount(truth * size + rows.argmax(axis=1), minlength=size * size)
    confusion = counts.reshape(size, size).astype(np.int64)
    missed = np.bincount(targets[~found].astype(np.int64), minlength=size).astype(np.int64)
    per_class = _class_scores(labels, confusion, missed)
    return Metrics(
        labels=tuple(str(label) for label in labels),
        n=len(targets),
        accuracy=int(confusion.trace()) / len(targets),
        macro_f1=math.fsum(score.f1 for score in per_class) / size,
        balanced_accuracy=float(np.mean([score.recall for score in per_class if score.count])),
        ece=calibration_error(rows, truth) if len(rows) else math.nan,
        nll=_nll(rows, truth) if len(rows) else math.nan,
        brier=_brier(rows, truth) if len(rows) else math.nan,
        per_class=per_class,
        confusion=confusion,
        missed=missed,
    )


def reliability_bins(
    probabilities: npt.NDArray[Any], targets: npt.NDArray[Any], bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """Accuracy and mean confidence in bins of equal width: the reliability diagram of Guo et al. 2017.

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        targets: integers (n,), the class index of each row.
        bins: number of bins.

    Raises:
        UsageError: no rows, no bins, or arrays that don't fit.
    """
    check_predictions(probabilities, targets)
    if bins < 1:
        raise UsageError(f"expected at least one bin; received {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    top, right = _top_confidence(probabilities, targets)
    place = (np.searchsorted(edges, top, side="left") - 1).clip(0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=top, minlength=bins) / counts
        accuracy = np.bincount(place, weights=right, minlength=bins) / counts
    columns = (edges[:-1], edges[1:], counts, confidence, accuracy)
    return tuple(ReliabilityBin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def calibration_error(probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """The expected calibration error (ECE): mean gap between confidence and accuracy over 15 bins.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0

    Args:
        probabilities: any float (n, labels), n above 0, rows sum to 1.
        targets: integers (n,), the class index of each row.
    """
    filled = [b for b in reliability_bins(probabilities, targets) if b.count]
    return math.fsum(b.count * abs(b.accuracy - b.confidence) for b in filled) / len(probabilities)


def risk_coverage(probabilities: npt.NDArray[Any], targets: npt.NDArray[Any]) -> RiskCoverage:
    """The risk-coverage curve of rejecting uncertain predictions (Geifman and El-Yaniv 2017).

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        targets: integers (n,), the class index of each row.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    check_predictions(probabilities, targets)
    top, right = _top_confidence(probabilities, targets)
    order = np.argsort(top, kind="stable")
    thresholds, first = np.unique(top[order], return_index=True)
    kept = len(top) - first.astype(np.int64)
    wrong = np.cumsum(~right[order][::-1])[::-1][first]
    return RiskCoverage(thresholds, kept / len(top), wrong / kept, kept)


def wilson_interval(hits: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927): low and high, within 0 to 1; 95 % by default.

    >>> low, high = wilson_interval(80, 100)
    >>> round(low, 3), round(high, 3)
    (0.711, 0.867)

    Raises:
        UsageError: ``n`` is 0, or ``hits`` is not from 0 to ``n``.
    """
    if not 0 <= hits <= n or n == 0:
        raise UsageError(f"expected 0 <= hits <= n and n above 0; received {hits} and {n}")
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # rounding must not put the ends past a proportion of exactly 0 or 1
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def check_predictions(probabilities: Any, targets: Any, found: npt.NDArray[np.bool_] | None = None) -> None:
    """Check that probabilities and targets fit each other.

    Args:
        probabilities: any float (n, labels); rows sum to 1 where found.
        targets: integers (n,), class indices.
        found: bool (n,), the rows with probabilities; None: all rows.

    Raises:
        UsageError: they don't fit, or there are no rows.
    """
    floats = isinstance(probabilities, np.ndarray) and np.issubdtype(probabilities.dtype, np.floating)
    whole = isinstance(targets, np.ndarray) and np.issubdtype(targets.dtype, np.integer)
    if not (floats and whole) or probabilities.ndim != 2 or targets.shape != probabilities.shape[:1]:
        raise UsageError(
            "expected probabilities as floats (n, labels) and targets as integers (n,); "
            f"received {describe(probabilities)} and {describe(targets)}"
        )
    if not len(targets):
        raise UsageError("expected at least one row to evaluate; received none: check the split and what it excludes")
    if targets.min() < 0 or targets.max() >= probabilities.shape[1]:
        raise UsageError(
            f"expected targets from 0 to {probabilities.shape[1] - 1}; received {targets.min()} to {targets.max()}"
        )
    if found is not None and (found.dtype != np.bool_ or found.shape != targets.shape):
        raise UsageError(f"expected a mask, bool ({len(targets)},); received {describe(found)}")
    _check_sums(probabilities if found is None else probabilities[found])


def _check_sums(rows: npt.NDArray[Any]) -> None:
    good = np.isfinite(rows).all() and (rows >= 0).all()
    if not good or (np.abs(rows.sum(axis=1) - 1) > ROW_SUM_TOLERANCE).any():
        raise UsageError("expected rows that are finite, not negative and sum to 1; received rows that are not")


def _class_scores(
    labels: Sequence[str], confusion: npt.NDArray[np.int64], missed: npt.NDArray[np.int64]
) -> tuple[ClassScore, ...]:
    hits, predicted, count = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1) + missed
    columns = (ratio(hits, predicted), ratio(hits, count), ratio(2 * hits, predicted + count), count)
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return tuple(ClassScore(str(label), *scores) for label, *scores in rows)


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Elementwise part / whole, arrays of one shape; 0 where whole is 0."""
    share: npt.NDArray[np.float64] = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return share


def _top_confidence(
    rows: npt.NDArray[Any], truth: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The highest probability of each row, and whether its label is correct."""
    return rows.max(axis=1).astype(np.float64), rows.argmax(axis=1) == truth


def _nll(rows: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    eps = np.finfo(np.float64).eps
    return float(-np.log(rows[np.arange(len(rows)), truth].clip(eps, 1 - eps)).mean())


def _brier(rows: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    error = rows.copy()
    error[np.arange(len(rows)), truth] -= 1
    return float((error * error).sum(axis=1).mean())
