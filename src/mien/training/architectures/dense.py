"""The three dense networks that lessons compare on digits: what width, depth and the activation change.

They see pixels without their places: shuffle the pixels of all images alike, and they learn as well as before. That
is what a convolution is for.
"""

from __future__ import annotations

import keras
from keras import layers

from mien.training.architectures.parts import NetworkShape, crop_input, heads


def dense_64_tanh(shape: NetworkShape) -> keras.Model:
    """One hidden layer of 64 with tanh."""
    return _dense("dense-64-tanh", shape, (64,), "tanh")


def dense_64_32_tanh(shape: NetworkShape) -> keras.Model:
    """Hidden layers of 64 and 32 with tanh."""
    return _dense("dense-64-32-tanh", shape, (64, 32), "tanh")


def dense_64_32_relu(shape: NetworkShape) -> keras.Model:
    """Hidden layers of 64 and 32 with ReLU."""
    return _dense("dense-64-32-relu", shape, (64, 32), "relu")


def _dense(name: str, shape: NetworkShape, widths: tuple[int, ...], activation: str) -> keras.Model:
    crops, x = crop_input(shape)
    x = layers.Flatten()(x)
    start = "he_normal" if activation == "relu" else "glorot_uniform"
    for width in widths:
        x = layers.Dense(width, activation=activation, kernel_initializer=start)(x)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(crops, heads(x, shape), name=name)
