"""Calibration after training: temperature and vector scaling, and the threshold below which a prediction is unsure."""

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

MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 20.0

Fitted = tuple[float, tuple[float, ...], tuple[float, ...]]
"""A temperature, offsets and scales, as ``mien.classification.probabilities.softmax`` takes them."""

SCALE_PRIOR_STD = 0.3
"""Standard deviation of the normal prior of scales around 1."""

CALIBRATION_FOLDS = 5
MIN_ECE_GAIN = 0.002
"""By how much scales and offsets must lower the calibration error; less is chance."""

MAX_NEWTON_STEPS = 100
STEP_TOLERANCE = 1e-6
"""A Newton step smaller than this ends the fit."""

MIN_ACCEPTED_ROWS = 50
"""Rows that a threshold must keep: the error rate of fewer is mostly chance."""


def fit_temperature(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> float:
    """The temperature that minimises the negative log-likelihood of held-out rows (Guo et al. 2017, section 4.2).

    The likelihood is concave in 1/T, so it has one peak in log T, which a golden-section search finds.
    Log-probabilities may stand in for logits: their softmax is the same.

    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])  # says 98 %
    >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))  # is right in 75 %
    >>> round(temperature, 2)
    3.64

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        targets: integers (n,), the class index of each row.

    Returns:
        T from 0.05 to 20, relative error under 1e-4. It is 0.05 where every prediction is correct, and 20 where the
        logits carry no information.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    _check_logits(logits, targets)
    wide = logits.astype(np.float64)
    behind = wide - wide[np.arange(len(wide)), targets][:, None]
    peak = behind.max(axis=1, keepdims=True)

    def nll(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        rest = np.log(np.exp((behind - peak) * scale).sum(axis=1))
        return float((rest + peak[:, 0] * scale).mean())

    return math.exp(_golden_section(nll, math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)))


def fit_vector_scaling(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Fitted:
    """Vector scaling: a temperature, and a scale and an offset of each label (Guo et al. 2017, section 4.2).

    The temperature comes from ``fit_temperature``. Scales and offsets are then fitted to the scaled logits, which is a
    convex problem. Normal priors (scales: mean 1, standard deviation ``SCALE_PRIOR_STD``; offsets: mean 0, standard
    deviation 1) keep them finite for a label without examples.

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        targets: integers (n,), the class index of each row.

    Returns:
        T from 0.05 to 20; one offset and one scale of each label, for ``mien.classification.probabilities.softmax``.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    temperature = fit_temperature(logits, targets)
    scales, offsets = _fit_scales_and_offsets(logits.astype(np.float64), targets, temperature)
    return temperature, tuple(offsets.tolist()), tuple(scales.tolist())


def fit_calibration(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Fitted:
    """Temperature scaling, or vector scaling where that lowers the cross-validated calibration error.

    Vector scaling fits the class frequencies of the validation data, which other images don't share. So it is used
    only where it improves the ECE of held-out folds by more than ``MIN_ECE_GAIN``.

    Args:
        logits: any float (n, labels), finite, of rows that the network was not trained on.
        targets: integers (n,), the class index of each row.

    Returns:
        As ``fit_vector_scaling``; offsets and scales are () where a temperature alone does as well.

    Raises:
        UsageError: no rows, or arrays that don't fit.
    """
    _check_logits(logits, targets)
    plain = _held_out_error(_temperature_alone, logits, targets)
    scaled = _held_out_error(fit_vector_scaling, logits, targets)
    fit = fit_vector_scaling if scaled < plain - MIN_ECE_GAIN else _temperature_alone
    return fit(logits, targets)


def unsure_threshold(
    probabilities: npt.NDArray[Any], targets: npt.NDArray[Any], error: float, min_rows: int = MIN_ACCEPTED_ROWS
) -> float:
    """The lowest confidence threshold whose accepted predictions have at most a given error rate.

    A prediction is accepted if its highest probability is at least the threshold. Of all thresholds that meet the
    error rate, the lowest one accepts the most rows and depends least on chance.

    Args:
        probabilities: any float (n, labels), rows sum to 1; calibrated, of held-out rows.
        targets: integers (n,), the class index of each row.
        error: the error rate allowed among accepted predictions, 0 to 1.
        min_rows: rows that must be accepted; fewer prove nothing.

    Returns:
        0 to 1. 0.0: all predictions are accepted. 1.0: no threshold that accepts ``min_rows`` rows is good enough, so
        only a probability of 1 is accepted.

    Raises:
        UsageError: no rows, arrays that don't fit, or an error outside 0 to 1.
    """
    if not 0 <= error <= 1:
        raise UsageError(f"expected an error from 0 to 1; received {error}")
    curve = risk_coverage(probabilities, targets)
    good = np.flatnonzero((curve.error <= error) & (curve.kept >= min_rows))
    if not len(good):
        return 1.0
    return 0.0 if good[0] == 0 else min(1.0, float(curve.thresholds[good[0]]))


def _check_logits(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
    fits = logits.ndim == 2 and targets.shape == logits.shape[:1] and np.issubdtype(targets.dtype, np.integer)
    if not fits or not len(targets):
        raise UsageError(
            f"expected logits (n, labels) and targets as integers (n,), n above 0; "
            f"received {describe(logits)} and {describe(targets)}"
        )
    if targets.min() < 0 or targets.max() >= logits.shape[1] or not np.isfinite(logits).all():
        raise UsageError(f"expected finite logits and targets from 0 to {logits.shape[1] - 1}; received others")


def _temperature_alone(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Fitted:
    return fit_temperature(logits, targets), (), ()


def _held_out_error(
    fit: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Fitted], logits: npt.NDArray[Any], targets: npt.NDArray[Any]
) -> float:
    """The cross-validated calibration error: each fold calibrated on the others; 0 where there are too few rows."""
    folds = np.arange(len(targets)) % CALIBRATION_FOLDS
    if len(targets) < CALIBRATION_FOLDS:
        return 0.0
    calibrated = np.empty(logits.shape)
    for fold in range(CALIBRATION_FOLDS):
        rest = folds != fold
        calibrated[~rest] = softmax(logits[~rest], *fit(logits[rest], targets[rest]))
    return calibration_error(calibrated, targets)


def _fit_scales_and_offsets(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[Any], temperature: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The scales and offsets of maximum posterior probability, by damped Newton steps."""
    count, labels = logits.shape
    from_mean = logits - logits.mean(axis=1, keepdims=True)
    true = np.eye(labels)[targets]
    # derivative of the scaled logits by the scales (row 0) and the offsets (row 1): (count, 2, labels)
    design = np.stack([from_mean, np.ones_like(logits)], axis=1) / temperature
    start = np.concatenate([np.ones(labels), np.zeros(labels)])
    prior = np.repeat([SCALE_PRIOR_STD**-2, 1.0], labels) / count

    def log_probabilities(at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return log_softmax((design * at.reshape(2, labels)).sum(axis=1))

    def cost(at: npt.NDArray[np.float64]) -> float:
        return float(-log_probabilities(at)[true > 0].mean() + prior @ (at - start) ** 2 / 2)

    at = start
    for _ in range(MAX_NEWTON_STEPS):
        shares = np.exp(log_probabilities(at))
        gradient = ((shares - true)[:, None] * design).mean(axis=0).ravel() + prior * (at - start)
        weighted = (shares[:, None] * design).reshape(count, -1)
        own = np.einsum("nk,nak,nbk->akb", shares, design, design) / count
        hessian = np.diag(prior) - weighted.T @ weighted / count
        for label in range(labels):
            hessian[label::labels, label::labels] += own[:, label]
        step = np.linalg.solve(hessian, gradient)
        while cost(at - step) > cost(at) and np.abs(step).max() >= STEP_TOLERANCE:
            step /= 2
        at = at - step
        if np.abs(step).max() < STEP_TOLERANCE:
            break
    return at[:labels], at[labels:]


def _golden_section(cost: Callable[[float], float], low: float, high: float, width: float = 1e-7) -> float:
    """Minimiser of a unimodal function, to within ``width``; of equal values the lower end (Kiefer 1953)."""
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
