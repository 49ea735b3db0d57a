"""What a network costs to run."""

from __future__ import annotations

from math import prod

import keras
from keras import layers


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one chip in the model's convolutions and dense layers, which are nearly all of its work."""
    return sum(prod(layer.output.shape[1:]) * _terms(layer) for layer in model.layers)


def _terms(layer: keras.layers.Layer) -> int:
    """Products that are summed into one number of the layer's output."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return prod(layer.kernel_size)
    if isinstance(layer, layers.Conv2D | layers.Dense):
        return prod(layer.kernel.shape[:-1])
    return 0
