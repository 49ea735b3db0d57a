"""What a network is asked for, and how far it is from that: one-hot targets and cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import describe

SMALLEST = 1e-7
"""What a probability of 0 counts as in a logarithm, as in Keras."""


def one_hot(labels: npt.NDArray[np.integer[Any]], classes: int) -> npt.NDArray[np.float64]:
    """Class numbers (count,) as rows with a 1 in the place of the class: float64 (count, classes).

    Raises:
        UsageError: numbers outside 0 to classes - 1.
    """
    if labels.ndim != 1 or (labels.size and not (labels.min() >= 0 and labels.max() < classes)):
        raise UsageError(f"expected class numbers (count,) from 0 to {classes - 1}; received {describe(labels)}")
    rows: npt.NDArray[np.float64] = np.eye(classes)[labels]
    return rows


def cross_entropy(targets: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """-sum(target * log(probability)) of each row, in nats: 0 for a sure and right answer, without bound else.

    Args:
        targets: (count, classes), rows sum to 1.
        probabilities: likewise; held to 1e-7 .. 1 - 1e-7.

    Returns:
        float64 (count,).

    Raises:
        UsageError: the shapes differ.
    """
    if targets.shape != probabilities.shape or targets.ndim != 2:
        raise UsageError(
            f"expected targets and probabilities (count, classes) alike; received {describe(targets)} and "
            f"{describe(probabilities)}"
        )
    rows = probabilities.astype(np.float64)
    rows = (rows / rows.sum(axis=1, keepdims=True)).clip(SMALLEST, 1.0 - SMALLEST)
    losses: npt.NDArray[np.float64] = -(targets * np.log(rows)).sum(axis=1)
    return losses
