"""Plain stacks of convolutions and pooling, as lessons and the first face-emotion detectors have them."""

from __future__ import annotations

import keras
from keras import layers

from mien.training.zoo.parts import NetworkShape, chip_input, heads


def two_conv(shape: NetworkShape) -> keras.Model:
    """Conv2D and MaxPooling2D twice, Flatten, two Dense: 1.2 M parameters at 48x48x1."""
    chips, x = chip_input(shape)
    for width in (32, 64):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(chips, heads(x, shape), name="two-conv")
