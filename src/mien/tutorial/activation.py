"""Activation functions, one-hot targets and cross-entropy in plain NumPy, equal to Keras' own."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Values = npt.NDArray[np.float64]

EPSILON = 1e-7
"""Smallest probability inside the logarithm of ``cross_entropy``, as in Keras."""


def sigmoid(x: npt.NDArray[Any]) -> Values:
    """1 / (1 + exp(-x)): maps any number to 0..1. Any shape, without overflow."""
    values: Values = 0.5 * (1.0 + np.tanh(0.5 * x.astype(np.float64)))
    return values


def tanh(x: npt.NDArray[Any]) -> Values:
    """The hyperbolic tangent: maps any number to -1..1."""
    values: Values = np.tanh(x.astype(np.float64))
    return values


def relu(x: npt.NDArray[Any]) -> Values:
    """max(x, 0): negative values become 0."""
    return np.maximum(x.astype(np.float64), 0.0)


def softmax(x: npt.NDArray[Any]) -> Values:
    """exp(x) / sum(exp(x)) along the last axis, float64, after subtracting the maximum for numerical stability.

    >>> softmax(np.array([2.0, 1.0, 0.0])).round(2).tolist()
    [0.67, 0.24, 0.09]
    """
    values = x.astype(np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    shares: Values = powers / powers.sum(axis=-1, keepdims=True)
    return shares


ACTIVATIONS: Mapping[str, Callable[[npt.NDArray[Any]], Values]] = MappingProxyType(
    {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "softmax": softmax}
)


def one_hot(labels: npt.NDArray[np.integer[Any]], classes: int) -> npt.NDArray[np.float64]:
    """One-hot rows of class indices (count,): float64 (count, classes).

    Raises:
        UsageError: indices outside 0 to classes - 1.
    """
    if labels.ndim != 1 or (labels.size and not (labels.min() >= 0 and labels.max() < classes)):
        raise UsageError(f"expected class indices (count,) from 0 to {classes - 1}; received {describe(labels)}")
    rows: npt.NDArray[np.float64] = np.eye(classes)[labels]
    return rows


def cross_entropy(targets: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """-sum(target * log(probability)) of each row, in nats: 0 for a confident and correct prediction, else positive.

    Args:
        targets: (count, classes), rows sum to 1.
        probabilities: (count, classes); clipped to 1e-7 .. 1 - 1e-7.

    Returns:
        float64 (count,).

    Raises:
        UsageError: the shapes differ.
    """
    if targets.shape != probabilities.shape or targets.ndim != 2:
        raise UsageError(
            f"expected targets and probabilities of the same shape (count, classes); received {describe(targets)} and "
            f"{describe(probabilities)}"
        )
    rows = probabilities.astype(np.float64)
    rows = (rows / rows.sum(axis=1, keepdims=True)).clip(EPSILON, 1.0 - EPSILON)
    losses: npt.NDArray[np.float64] = -(targets * np.log(rows)).sum(axis=1)
    return losses
