"""Softmax with calibration, fusion of several output heads, and selection of labels.

Everything is computed in float64 and returned as float32 rows that sum to 1. Empty input gives empty output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import Probabilities, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Stands for a probability of 0 where its logarithm is needed, so that no single head can veto a label for good."""


def softmax(
    logits: npt.NDArray[Any], temperature: float = 1.0, offsets: Sequence[float] = (), scales: Sequence[float] = ()
) -> Probabilities:
    """Calibrated softmax, computed without overflow.

    Args:
        logits: any float (count, labels), finite.
        temperature: divides the logits; above 1 it makes the probabilities less confident, below 1 more (Guo et al.
            2017, "On Calibration of Modern Neural Networks", section 4.2).
        offsets: as in ``vector_scaled``, applied before the temperature.
        scales: as in ``vector_scaled``, applied before the temperature.

    Returns:
        float32 (count, labels), rows sum to 1.

    Raises:
        UsageError: logits of another shape or not finite, or a temperature that is not above 0.

    Example:
        >>> import numpy as np
        >>> from mien.classification.probabilities import softmax
        >>> softmax(np.array([[2.0, 0.0]]), temperature=2.0).round(3)
        array([[0.731, 0.269]], dtype=float32)
    """
    if logits.ndim != 2 or logits.shape[1] == 0 or not np.isfinite(logits).all():
        raise UsageError(f"expected finite logits (count, labels); received {describe(logits)}, or values not finite")
    if not (np.isfinite(temperature) and temperature > 0):
        raise UsageError(f"expected a temperature above 0; received {temperature}")
    scaled = vector_scaled(logits.astype(np.float64), offsets, scales)
    powers = np.exp((scaled - scaled.max(axis=1, keepdims=True)) / temperature)
    return _normalised(powers)


def vector_scaled(logits: Any, offsets: Sequence[float], scales: Sequence[float]) -> Any:
    """Vector scaling of logits (Guo et al. 2017, section 4.2): one scale and one offset per label; () for none.

    A scale multiplies the distance of a logit from the mean of its row, since the mean itself has no meaning.

    Args:
        logits: any float (count, labels), an array of NumPy or JAX; the result is of the same kind.
        offsets: added after scaling.
        scales: factors.
    """
    if len(scales):
        logits = (logits - logits.mean(axis=1, keepdims=True)) * np.array(scales)
    return logits + np.array(offsets) if len(offsets) else logits


def log_softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The logarithm of softmax, float64 of the same shape; finite even where a probability underflows to 0."""
    logs: npt.NDArray[np.float64] = logits - log_sum_exp(logits)
    return logs


def log_sum_exp(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """log(sum(exp(logits))) of each row, computed without overflow: float64 (count, 1)."""
    maximum = logits.max(axis=1, keepdims=True).astype(np.float64)
    summed: npt.NDArray[np.float64] = maximum + np.log(np.exp(logits - maximum).sum(axis=1, keepdims=True))
    return summed


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """1 / (1 + exp(-logits)) of an array of any shape, computed without overflow."""
    values: npt.NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float32)))
    return values


def geometric_mean(
    parts: Sequence[tuple[Probabilities, float]], temperature: float = 1.0, offsets: Sequence[float] = ()
) -> Probabilities:
    """Fuse the outputs of several heads: their weighted geometric mean, renormalised.

    It is the softmax of the heads' mean log-probability (a "logarithmic opinion pool": Genest and Zidek 1986),
    so a single head with temperature 1 is returned unchanged.

    Args:
        parts: each head's probabilities (count, labels) over the same labels in the same order, and its weight;
            weights are 0 or more and are normalised by their sum.
        temperature: divides the mean logarithm.
        offsets: added to the mean logarithm before that, one per label; none if empty.

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
        mean += weight / sum(weights) * np.log(np.maximum(part.astype(np.float64), MIN_PROBABILITY))
    return softmax(mean, temperature, offsets)


def reorder(probabilities: Probabilities, from_labels: Sequence[str], to_labels: Sequence[str]) -> Probabilities:
    """Select columns by label and renormalise each row.

    A row with all its probability on dropped labels becomes uniform.

    Args:
        probabilities: float32 (count, len(from_labels)).
        from_labels: labels of its columns.
        to_labels: labels of the result, in order.

    Returns:
        float32 (count, len(to_labels)), rows sum to 1.

    Raises:
        UsageError: a label is missing, or the number of columns differs from that of the labels.
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
