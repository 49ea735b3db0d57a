"""How good answers are: accuracy, F1, confusion, and how far the probabilities can be believed.

``answers`` are the true labels everywhere, as in ``Truth.answers``; what a model answers is the label of
its highest probability (the first of equals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import ROW_SUM_TOLERANCE, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

ECE_BINS = 15
"""As in Guo et al. 2017."""

Z_95 = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One label's scores; a score with nothing to divide by is 0.

    Attributes:
        label: its name.
        precision: of the rows answered so, the share that are so.
        recall: of the rows that are so, the share answered so; a missed face is not.
        f1: harmonic mean of both.
        count: rows that are so, missed ones too (the "support").
    """

    label: str
    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Metrics:
    """What one set of probabilities scored against the truth.

    Rows without an answer (a face that the detector missed) count as wrong in accuracy, recall and F1;
    precision, ECE, NLL and Brier score know only the rows that have one. All sums are taken in float64.

    Attributes:
        labels: names in the order of ``per_class`` and ``confusion``.
        n: rows judged, missed ones too.
        accuracy: share answered right.
        macro_f1: mean F1 over all labels; one that occurs in neither truth nor answers counts 0, as with
            scikit-learn's ``f1_score(labels=all, average="macro", zero_division=0)``.
        mean_recall: mean recall over the labels that occur in the truth (balanced accuracy).
        ece: expected calibration error; NaN, as nll and brier, where every row was missed.
        nll: mean negative log-likelihood of the true label, in nats; its probability is clipped to
            the machine epsilon of float64, as scikit-learn's ``log_loss`` does.
        brier: squared error summed over labels, mean over rows: 0 to 2.
        per_class: one score a label.
        confusion: int64 (labels, labels), rows of truth by answer.
        missed: int64 (labels,), rows of truth without an answer.
    """

    labels: tuple[str, ...]
    n: int
    accuracy: float
    macro_f1: float
    mean_recall: float
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
    """The rows whose best probability lies in (low, high]; accuracy and confidence are NaN where none does."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class RiskCoverage:
    """What is kept, and how much of it is wrong, when answers under a threshold are withheld.

    Attributes:
        thresholds: the distinct best probabilities, rising; a row is kept where its own is at least that.
        coverage: share of rows kept.
        error: share wrong among the kept.
        kept: int64, number of rows kept.
    """

    thresholds: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    kept: npt.NDArray[np.int64]


def judge(
    probabilities: npt.NDArray[Any],
    answers: npt.NDArray[Any],
    labels: Sequence[str],
    found: npt.NDArray[np.bool_] | None = None,
) -> Metrics:
    """Every score of one set of probabilities.

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        answers: integers (n,), the true label of each row.
        labels: distinct names of the columns.
        found: bool (n,), the rows that have an answer; the others' probabilities are ignored. None: all have.

    Raises:
        UsageError: no rows, or arrays that don't fit each other or that are no probabilities.
    """
    seen = np.ones(len(answers), dtype=np.bool_) if found is None else found
    check_judged(probabilities, answers, seen)
    size = probabilities.shape[1]
    if len(set(labels)) != len(labels) or len(labels) != size:
        raise UsageError(f"expected {size} distinct labels, one a column; received {list(labels)}")
    rows, truth = probabilities[seen].astype(np.float64), answers[seen].astype(np.int64)
    cells = np.bincount(truth * size + rows.argmax(axis=1), minlength=size * size)
    confusion = cells.reshape(size, size).astype(np.int64)
    missed = np.bincount(answers[~seen].astype(np.int64), minlength=size).astype(np.int64)
    per_class = _class_scores(labels, confusion, missed)
    return Metrics(
        labels=tuple(str(label) for label in labels),
        n=len(answers),
        accuracy=int(confusion.trace()) / len(answers),
        macro_f1=math.fsum(score.f1 for score in per_class) / size,
        mean_recall=float(np.mean([score.recall for score in per_class if score.count])),
        ece=calibration_error(rows, truth) if len(rows) else math.nan,
        nll=_nll(rows, truth) if len(rows) else math.nan,
        brier=_brier(rows, truth) if len(rows) else math.nan,
        per_class=per_class,
        confusion=confusion,
        missed=missed,
    )


def reliability_bins(
    probabilities: npt.NDArray[Any], answers: npt.NDArray[Any], bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """Accuracy beside confidence in bins of equal width: the reliability diagram of Guo et al. 2017.

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        answers: integers (n,), the true label of each row.
        bins: how many.

    Raises:
        UsageError: no rows, no bins, or arrays that don't fit.
    """
    check_judged(probabilities, answers)
    if bins < 1:
        raise UsageError(f"expected at least one bin; received {bins}")
    edges = np.linspace(0.0, 1.0, bins + 1)
    top, right = _top(probabilities, answers)
    place = (np.searchsorted(edges, top, side="left") - 1).clip(0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=top, minlength=bins) / counts
        accuracy = np.bincount(place, weights=right, minlength=bins) / counts
    columns = (edges[:-1], edges[1:], counts, confidence, accuracy)
    return tuple(ReliabilityBin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def calibration_error(probabilities: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float:
    """The mean gap between how sure the answers are and how often they are right (ECE; Guo et al. 2017), in 15 bins.

    Args:
        probabilities: any float (n, labels), n above 0, rows sum to 1.
        answers: integers (n,), the true label of each row.
    """
    filled = [b for b in reliability_bins(probabilities, answers) if b.count]
    return math.fsum(b.count * abs(b.accuracy - b.confidence) for b in filled) / len(probabilities)


def risk_coverage(probabilities: npt.NDArray[Any], answers: npt.NDArray[Any]) -> RiskCoverage:
    """The risk-coverage curve of withholding unsure answers (Geifman and El-Yaniv 2017).

    Args:
        probabilities: any float (n, labels), rows sum to 1.
        answers: integers (n,), the true label of each row.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    check_judged(probabilities, answers)
    top, right = _top(probabilities, answers)
    order = np.argsort(top, kind="stable")
    thresholds, first = np.unique(top[order], return_index=True)
    kept = len(top) - first.astype(np.int64)
    wrong = np.cumsum(~right[order][::-1])[::-1][first]
    return RiskCoverage(thresholds, kept / len(top), wrong / kept, kept)


def wilson_interval(hits: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Where a share lies that showed ``hits`` times in ``n`` (Wilson 1927): low and high, within 0 to 1."""
    if not 0 <= hits <= n or n == 0:
        raise UsageError(f"expected 0 <= hits <= n and n above 0; received {hits} and {n}")
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # rounding must not put the ends past a share of exactly 0 or 1
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def check_judged(probabilities: Any, answers: Any, found: npt.NDArray[np.bool_] | None = None) -> None:
    """Nothing, where probabilities and true labels fit each other.

    Args:
        probabilities: any float (n, labels); rows sum to 1 where found.
        answers: integers (n,), each the index of a label.
        found: bool (n,), the rows that have probabilities; None: all have.

    Raises:
        UsageError: they don't fit, or there are no rows.
    """
    floats = isinstance(probabilities, np.ndarray) and np.issubdtype(probabilities.dtype, np.floating)
    whole = isinstance(answers, np.ndarray) and np.issubdtype(answers.dtype, np.integer)
    if not (floats and whole) or probabilities.ndim != 2 or answers.shape != probabilities.shape[:1]:
        raise UsageError(
            "expected probabilities as floats (n, labels) and true labels as integers (n,); "
            f"received {describe(probabilities)} and {describe(answers)}"
        )
    if not len(answers):
        raise UsageError("expected at least one row to judge; received none: check the split and what it excludes")
    if answers.min() < 0 or answers.max() >= probabilities.shape[1]:
        raise UsageError(
            f"expected true labels from 0 to {probabilities.shape[1] - 1}; received {answers.min()} to {answers.max()}"
        )
    if found is not None and (found.dtype != np.bool_ or found.shape != answers.shape):
        raise UsageError(f"expected a mark, bool ({len(answers)},), for each row; received {describe(found)}")
    _check_sums(probabilities if found is None else probabilities[found])


def _check_sums(rows: npt.NDArray[Any]) -> None:
    good = np.isfinite(rows).all() and (rows >= 0).all()
    if not good or (np.abs(rows.sum(axis=1) - 1) > ROW_SUM_TOLERANCE).any():
        raise UsageError("expected rows that are finite, not negative and sum to 1; received rows that are not")


def _class_scores(
    labels: Sequence[str], confusion: npt.NDArray[np.int64], missed: npt.NDArray[np.int64]
) -> tuple[ClassScore, ...]:
    hits, answered, count = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1) + missed
    columns = (ratio(hits, answered), ratio(hits, count), ratio(2 * hits, answered + count), count)
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return tuple(ClassScore(str(label), *scores) for label, *scores in rows)


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The share of each part in its whole, of one shape; 0 where there is nothing."""
    share: npt.NDArray[np.float64] = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return share


def _top(rows: npt.NDArray[Any], truth: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The best probability of each row, and whether its label is the true one."""
    return rows.max(axis=1).astype(np.float64), rows.argmax(axis=1) == truth


def _nll(rows: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    eps = np.finfo(np.float64).eps
    return float(-np.log(rows[np.arange(len(rows)), truth].clip(eps, 1 - eps)).mean())


def _brier(rows: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    error = rows.copy()
    error[np.arange(len(rows)), truth] -= 1
    return float((error * error).sum(axis=1).mean())
