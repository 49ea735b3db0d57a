"""Activations: what a unit makes of its sum. Without them any number of layers is no more than one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Values = npt.NDArray[np.float64]


def sigmoid(x: npt.NDArray[Any]) -> Values:
    """1 / (1 + exp(-x)): any number to 0..1. Of any shape, without overflow."""
    made: Values = 0.5 * (1.0 + np.tanh(0.5 * x.astype(np.float64)))
    return made


def tanh(x: npt.NDArray[Any]) -> Values:
    """The hyperbolic tangent: any number to -1..1, 0 stays 0."""
    made: Values = np.tanh(x.astype(np.float64))
    return made


def relu(x: npt.NDArray[Any]) -> Values:
    """max(x, 0): what is negative is nothing, the rest stays."""
    return np.maximum(x.astype(np.float64), 0.0)


def softmax(x: npt.NDArray[Any]) -> Values:
    """exp(x) over their sum along the last axis: any numbers to shares that sum to 1, the largest taken off first."""
    values = x.astype(np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    made: Values = powers / powers.sum(axis=-1, keepdims=True)
    return made


ACTIVATIONS: Mapping[str, Callable[[npt.NDArray[Any]], Values]] = MappingProxyType(
    {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "softmax": softmax}
)
