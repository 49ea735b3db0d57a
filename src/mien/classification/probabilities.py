"""Logits to probabilities, several heads to one answer, one label set to another.

All work in float64 and give float32 rows that sum to 1; no rows in, no rows out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import Probabilities, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALLEST = float(np.finfo(np.float32).tiny)
"""What a probability of 0 counts as where its logarithm is needed: no single head can veto a label for good."""


def softmax(
    logits: npt.NDArray[Any], temperature: float = 1.0, offsets: Sequence[float] = (), scales: Sequence[float] = ()
) -> Probabilities:
    """Probabilities of logits; the largest logit is taken off first, so none overflows.

    Args:
        logits: any float (count, labels), finite.
        temperature: divides the logits; above 1 the answer gets less sure, below 1 surer (Guo et al. 2017,
            "On Calibration of Modern Neural Networks", section 4.2).
        offsets: as ``rescaled``, before.
        scales: as ``rescaled``, before.

    Returns:
        float32 (count, labels), rows sum to 1.

    Raises:
        UsageError: logits of another shape or not finite, or a temperature that is not above 0.
    """
    if logits.ndim != 2 or logits.shape[1] == 0 or not np.isfinite(logits).all():
        raise UsageError(f"expected finite logits (count, labels); received {describe(logits)}, or values not finite")
    if not (np.isfinite(temperature) and temperature > 0):
        raise UsageError(f"expected a temperature above 0; received {temperature}")
    scaled = rescaled(logits.astype(np.float64), offsets, scales)
    powers = np.exp((scaled - scaled.max(axis=1, keepdims=True)) / temperature)
    return _normalised(powers)


def rescaled(logits: Any, offsets: Sequence[float], scales: Sequence[float]) -> Any:
    """Logits under vector scaling (Guo et al. 2017, section 4.2), one scale and one offset a label; () for none.

    A scale stretches how far a logit lies from the mean of its row: where the mean lies means nothing in itself.

    Args:
        logits: any float (count, labels), an array of NumPy or JAX; so is what comes back.
        offsets: added.
        scales: multiply, before.
    """
    if len(scales):
        logits = (logits - logits.mean(axis=1, keepdims=True)) * np.array(scales)
    return logits + np.array(offsets) if len(offsets) else logits


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The logarithms of softmax, which stay finite where a probability is 0 to any float: float64, the shape given."""
    logs: npt.NDArray[np.float64] = logits - log_sum_exp(logits)
    return logs


def log_sum_exp(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """log(sum(exp(logits))) of each row, without overflow: float64 (count, 1)."""
    most = logits.max(axis=1, keepdims=True).astype(np.float64)
    summed: npt.NDArray[np.float64] = most + np.log(np.exp(logits - most).sum(axis=1, keepdims=True))
    return summed


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """1 / (1 + exp(-logits)), of any shape, without overflow."""
    values: npt.NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float32)))
    return values


def geometric_mean(
    parts: Sequence[tuple[Probabilities, float]], temperature: float = 1.0, offsets: Sequence[float] = ()
) -> Probabilities:
    """One answer from several heads: their weighted geometric mean, renormalised.

    It is the softmax of the heads' mean log-probability (a "logarithmic opinion pool": Genest and Zidek 1986),
    so one head alone with temperature 1 comes back as it went in.

    Args:
        parts: each head's probabilities (count, labels) over the same labels in the same order, and its weight;
            weights are 0 or more and count by their share of the sum.
        temperature: divides the mean logarithm.
        offsets: added to it before, one a label; none if empty.

    Returns:
        float32 (count, labels), rows sum to 1.

    Raises:
        UsageError: no parts, parts of different shapes, or weights that are negative or all 0.
    """
    shapes = sorted({part.shape for part, _ in parts})
    weights = [weight for _, weight in parts]
    if len(shapes) != 1:
        raise UsageError(f"expected heads over the same rows and labels; received the shapes {shapes}")
    if min(weights) < 0 or not (np.isfinite(sum(weights)) and sum(weights) > 0):
        raise UsageError(f"expected weights of 0 or more, not all 0; received {weights}")
    mean = np.zeros(shapes[0])
    for part, weight in parts:
        mean += weight / sum(weights) * np.log(np.maximum(part.astype(np.float64), SMALLEST))
    return softmax(mean, temperature, offsets)


def reorder(probabilities: Probabilities, from_labels: Sequence[str], to_labels: Sequence[str]) -> Probabilities:
    """The columns of other labels, picked by name and renormalised; labels not asked for are dropped.

    A row that gave all its weight to dropped labels says nothing of the rest and becomes uniform.

    Args:
        probabilities: float32 (count, len(from_labels)).
        from_labels: the names of its columns.
        to_labels: the names wanted, in the order wanted.

    Returns:
        float32 (count, len(to_labels)), rows sum to 1.

    Raises:
        UsageError: a label wanted is not there, or the columns and their names differ in number.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(from_labels):
        raise UsageError(f"expected (count, {len(from_labels)}) probabilities; received {describe(probabilities)}")
    missing = [label for label in to_labels if label not in from_labels]
    if missing or not to_labels:
        raise UsageError(f"expected labels out of {list(from_labels)}; received {list(to_labels)}")
    columns = [list(from_labels).index(label) for label in to_labels]
    picked = probabilities[:, columns].astype(np.float64)
    picked[picked.sum(axis=1) <= 0] = 1.0
    return _normalised(picked)


def _normalised(values: npt.NDArray[np.float64]) -> Probabilities:
    rows: Probabilities = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows
