"""Plain stacks of convolutions and pooling, as lessons and the first face-emotion detectors have them."""

from __future__ import annotations

import keras
from keras import layers

from mien.training.architectures.parts import NetworkShape, crop_input, heads


def two_conv(shape: NetworkShape) -> keras.Model:
    """Conv2D and MaxPooling2D twice, Flatten, two Dense: 1.2 M parameters at 48x48x1."""
    return _conv_stack(shape, (32, 64), 128, "two-conv")


def deep_conv(shape: NetworkShape) -> keras.Model:
    """Four convolutions of 32, 64, 128, 128 and Dense 1024: 2.3 M parameters, 77 M multiply-adds at 48x48x1.

    The class of network that emoji mirrors and the first lessons on FER2013 teach: unpadded convolutions, a
    quarter of the features dropped after each two of them, twice the config's dropout before the heads.
    """
    crops, x = crop_input(shape)
    x = layers.MaxPooling2D(2)(_rectified(_rectified(x, 32, "valid"), 64, "valid"))
    x = layers.Dropout(shape.dropout)(x)
    for _ in range(2):
        x = layers.MaxPooling2D(2)(_rectified(x, 128, "valid"))
    x = layers.Flatten()(layers.Dropout(shape.dropout)(x))
    x = layers.Dense(1024, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(min(2 * shape.dropout, 0.9))(x)
    return keras.Model(crops, heads(x, shape), name="deep-conv")


def digits_conv(shape: NetworkShape) -> keras.Model:
    """The CNN for digits that stands beside the dense ones: 0.1 M parameters at 28x28x1."""
    return _conv_stack(shape, (16, 32), 64, "digits-conv")


def _conv_stack(shape: NetworkShape, widths: tuple[int, ...], dense: int, name: str) -> keras.Model:
    crops, x = crop_input(shape)
    for width in widths:
        x = layers.MaxPooling2D(2)(_rectified(x, width))
    x = layers.Dense(dense, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(x))
    return keras.Model(crops, heads(layers.Dropout(shape.dropout)(x), shape), name=name)


def _rectified(x: keras.KerasTensor, width: int, padding: str = "same") -> keras.KerasTensor:
    return layers.Conv2D(width, 3, padding=padding, activation="relu", kernel_initializer="he_normal")(x)
