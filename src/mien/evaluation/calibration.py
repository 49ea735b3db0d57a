"""Making probabilities mean what they say: a temperature, and a threshold under which an answer is "unsure"."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.probabilities import log_softmax, softmax
from mien.errors import UsageError
from mien.evaluation.metrics import calibration_error, risk_coverage
from mien.structures import describe

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST_TEMPERATURE = 0.05
HIGHEST_TEMPERATURE = 20.0

Fitted = tuple[float, tuple[float, ...], tuple[float, ...]]
"""A temperature, offsets and scales, as ``mien.classification.probabilities.softmax`` takes them."""

SCALES_DIFFER = 0.3
"""How far scales are expected to lie from 1."""

FOLDS = 5
MENDED = 0.002
"""By how much scales and offsets must lower the calibration error; less is chance."""

MOST_ROUNDS = 100
SETTLED = 1e-6
"""A change that is none."""

FEWEST_KEPT = 50
"""Rows that a threshold must keep: of fewer, an error rate is mostly chance."""


def fit_temperature(logits: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float:
    """The temperature that makes held-out answers most likely (Guo et al. 2017, section 4.2).

    The likelihood is concave in 1/T, so it has one peak in log T and a golden-section search finds it.
    Logarithms of probabilities do as logits: their softmax is the same.

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        answers: integers (n,), the true label of each row.

    Returns:
        T from 0.05 to 20, relative error under 1e-4; at an end where the best lies beyond it (0.05 where
        every answer is right, 20 where the logits say nothing).

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    _check_logits(logits, answers)
    wide = logits.astype(np.float64)
    behind = wide - wide[np.arange(len(wide)), answers][:, None]
    peak = behind.max(axis=1, keepdims=True)

    def nll(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        rest = np.log(np.exp((behind - peak) * scale).sum(axis=1))
        return float((rest + peak[:, 0] * scale).mean())

    return math.exp(_golden_section(nll, math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)))


def fit_vector_scaling(logits: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Fitted:
    """The temperature, and beside it the scale and the offset of each label that make held-out answers most likely.

    Vector scaling (Guo et al. 2017, section 4.2). The temperature is that of ``fit_temperature``; scales and offsets
    are fitted to what it leaves, which is convex. They have normal priors, of scales around 1 with a standard deviation
    of ``SCALES_DIFFER``, of offsets around 0 with 1, so that a label without an example has some as well.

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        answers: integers (n,), the true label of each row.

    Returns:
        T from 0.05 to 20; offsets and scales, one a label, as ``mien.classification.probabilities.vector_scaled`` takes
        them.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    temperature = fit_temperature(logits, answers)
    scales, offsets = _fit_scales_and_offsets(logits.astype(np.float64), answers, temperature)
    return temperature, tuple(offsets.tolist()), tuple(scales.tolist())


def fit_calibration(logits: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Fitted:
    """A temperature; scales and offsets too where they lower the calibration error of rows not fitted on.

    They make a head keep to the shares of its validation data, which images elsewhere don't have: they are taken only
    for what they mend.

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        answers: integers (n,), the true label of each row.

    Returns:
        As ``fit_vector_scaling``; both () where a temperature alone does as well.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    _check_logits(logits, answers)
    plain = _held_out_error(_temperature_alone, logits, answers)
    scaled = _held_out_error(fit_vector_scaling, logits, answers)
    fit = fit_vector_scaling if scaled < plain - MENDED else _temperature_alone
    return fit(logits, answers)


def unsure_threshold(
    probabilities: npt.NDArray[Any], answers: npt.NDArray[Any], error: float, fewest: int = FEWEST_KEPT
) -> float:
    """The lowest threshold at which the answers that stay are wrong at most so often.

    An answer stays where its best probability is at least the threshold. Of all thresholds that keep the
    promise the lowest keeps the most rows, and so is the one least owed to chance.

    Args:
        probabilities: any float (n, labels), rows sum to 1; calibrated, of held-out rows.
        answers: integers (n,), the true label of each row.
        error: the share of wrong answers allowed among those that stay, 0 to 1.
        fewest: rows that must stay; fewer prove nothing.

    Returns:
        0 to 1. 0.0: all may stay. 1.0: no threshold that keeps ``fewest`` rows is good enough, so only an
        answer of probability 1 passes.

    Raises:
        UsageError: no rows, arrays that don't fit, or an error outside 0 to 1.
    """
    if not 0 <= error <= 1:
        raise UsageError(f"expected an error from 0 to 1; received {error}")
    curve = risk_coverage(probabilities, answers)
    good = np.flatnonzero((curve.error <= error) & (curve.kept >= fewest))
    if not len(good):
        return 1.0
    return 0.0 if good[0] == 0 else min(1.0, float(curve.thresholds[good[0]]))


def _check_logits(logits: npt.NDArray[Any], answers: npt.NDArray[Any]) -> None:
    fits = logits.ndim == 2 and answers.shape == logits.shape[:1] and np.issubdtype(answers.dtype, np.integer)
    if not fits or not len(answers):
        raise UsageError(
            f"expected logits (n, labels) and true labels as integers (n,), n above 0; "
            f"received {describe(logits)} and {describe(answers)}"
        )
    if answers.min() < 0 or answers.max() >= logits.shape[1] or not np.isfinite(logits).all():
        raise UsageError(f"expected finite logits and true labels from 0 to {logits.shape[1] - 1}; received others")


def _temperature_alone(logits: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Fitted:
    return fit_temperature(logits, answers), (), ()


def _held_out_error(
    fit: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Fitted], logits: npt.NDArray[Any], answers: npt.NDArray[Any]
) -> float:
    """The calibration error of folds, each told by what was fitted on the others; 0 where there are too few rows."""
    folds = np.arange(len(answers)) % FOLDS
    if len(answers) < FOLDS:
        return 0.0
    told = np.empty(logits.shape)
    for fold in range(FOLDS):
        rest = folds != fold
        told[~rest] = softmax(logits[~rest], *fit(logits[rest], answers[rest]))
    return calibration_error(told, answers)


def _fit_scales_and_offsets(
    logits: npt.NDArray[np.float64], answers: npt.NDArray[Any], temperature: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The scales and the offsets that make the answers most likely, by Newton's steps, never uphill."""
    count, labels = logits.shape
    from_mean = logits - logits.mean(axis=1, keepdims=True)
    true = np.eye(labels)[answers]
    # what each of the parameters moves, a row of scales and then of offsets: (count, 2, labels)
    moved = np.stack([from_mean, np.ones_like(logits)], axis=1) / temperature
    start = np.concatenate([np.ones(labels), np.zeros(labels)])
    prior = np.repeat([SCALES_DIFFER**-2, 1.0], labels) / count

    def told(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return log_softmax((moved * at.reshape(2, labels)).sum(axis=1))

    def cost(at: npt.NDArray[np.float64]) -> float:
        return float(-told(at)[true > 0].mean() + prior @ (at - start) ** 2 / 2)

    at = start
    for _ in range(MOST_ROUNDS):
        shares = np.exp(told(at))
        slope = ((shares - true)[:, None] * moved).mean(axis=0).ravel() + prior * (at - start)
        weighed = (shares[:, None] * moved).reshape(count, -1)
        own = np.einsum("nk,nak,nbk->akb", shares, moved, moved) / count
        curve = np.diag(prior) - weighed.T @ weighed / count
        for label in range(labels):
            curve[label::labels, label::labels] += own[:, label]
        step = np.linalg.solve(curve, slope)
        while cost(at - step) > cost(at) and np.abs(step).max() >= SETTLED:
            step /= 2
        at = at - step
        if np.abs(step).max() < SETTLED:
            break
    return at[:labels], at[labels:]


def _golden_section(cost: Callable[[float], float], low: float, high: float, width: float = 1e-7) -> float:
    """Where a function with one valley is lowest, to within ``width``; between equals, the lower end (Kiefer 1953)."""
    shrink = (math.sqrt(5) - 1) / 2
    left, right = high - shrink * (high - low), low + shrink * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > width:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - shrink * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + shrink * (high - low)
            at_right = cost(right)
    return (low + high) / 2
