"""Small reference networks: dense layers, plain convolution stacks and mini-XCEPTION."""

from __future__ import annotations

import keras
from keras import layers, ops

from mien.training.architectures.blocks import (
    BatchNormalization,
    NetworkShape,
    channel_axis,
    convolution,
    crop_input,
    heads,
)

MIN_FLOAT16 = -65504.0
"""Padding value of max pooling: the lowest float16, below any output of batch normalisation."""


def dense_64_tanh(shape: NetworkShape) -> keras.Model:
    """One hidden layer of 64 with tanh."""
    return _dense("dense-64-tanh", shape, (64,), "tanh")


def dense_64_32_tanh(shape: NetworkShape) -> keras.Model:
    """Hidden layers of 64 and 32 with tanh."""
    return _dense("dense-64-32-tanh", shape, (64, 32), "tanh")


def dense_64_32_relu(shape: NetworkShape) -> keras.Model:
    """Hidden layers of 64 and 32 with ReLU."""
    return _dense("dense-64-32-relu", shape, (64, 32), "relu")


def digits_conv(shape: NetworkShape) -> keras.Model:
    """The CNN that the tutorials compare with the dense networks on digits: 0.1 M parameters at 28x28x1."""
    return _conv_stack(shape, (16, 32), 64, "digits-conv")


def two_conv(shape: NetworkShape) -> keras.Model:
    """Conv2D and MaxPooling2D twice, Flatten, two Dense: 1.2 M parameters at 48x48x1."""
    return _conv_stack(shape, (32, 64), 128, "two-conv")


def deep_conv(shape: NetworkShape) -> keras.Model:
    """Four convolutions of 32, 64, 128, 128 and Dense 1024: 2.3 M parameters, 77 M multiply-adds at 48x48x1.

    The typical network of FER2013 tutorials and emoji mirrors: unpadded convolutions, dropout after the second and the
    fourth of them, and twice that dropout before the heads.
    """
    crops, x = crop_input(shape)
    x = layers.MaxPooling2D(2)(_relu_convolution(_relu_convolution(x, 32, "valid"), 64, "valid"))
    x = layers.Dropout(shape.dropout)(x)
    for _ in range(2):
        x = layers.MaxPooling2D(2)(_relu_convolution(x, 128, "valid"))
    x = layers.Flatten()(layers.Dropout(shape.dropout)(x))
    x = layers.Dense(1024, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(min(2 * shape.dropout, 0.9))(x)
    return keras.Model(crops, heads(x, shape), name="deep-conv")


def mini_xception(shape: NetworkShape) -> keras.Model:
    """mini-XCEPTION (Arriaga et al. 2017, arXiv:1710.07557): two convolutions of 8, four separable blocks of 16 to 128.

    58 k parameters. The network of the ``fer`` package and of ``face_classification``.
    """
    crops, x = crop_input(shape)
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.Activation("relu")(_normalised(x))
    for width in (16, 32, 64, 128):
        x = _xception_block(x, width)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(crops, {name: _map_head(x, name, count) for name, count in shape.heads}, name="mini-xception")


def padded(x: keras.KerasTensor) -> keras.KerasTensor:
    """Pad as 'same' pooling of size 3 and stride 2 does; Keras' own form on torch can't be exported to ONNX."""
    channels = channel_axis() % 4
    padding = [(0, 0) if axis in (0, channels) else _same_padding(x.shape[axis]) for axis in range(4)]
    return ops.pad(x, padding, constant_values=MIN_FLOAT16)


def _dense(name: str, shape: NetworkShape, widths: tuple[int, ...], activation: str) -> keras.Model:
    crops, x = crop_input(shape)
    x = layers.Flatten()(x)
    initializer = "he_normal" if activation == "relu" else "glorot_uniform"
    for width in widths:
        x = layers.Dense(width, activation=activation, kernel_initializer=initializer)(x)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(crops, heads(x, shape), name=name)


def _conv_stack(shape: NetworkShape, widths: tuple[int, ...], dense: int, name: str) -> keras.Model:
    crops, x = crop_input(shape)
    for width in widths:
        x = layers.MaxPooling2D(2)(_relu_convolution(x, width))
    x = layers.Dense(dense, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(x))
    return keras.Model(crops, heads(layers.Dropout(shape.dropout)(x), shape), name=name)


def _relu_convolution(x: keras.KerasTensor, width: int, padding: str = "same") -> keras.KerasTensor:
    return layers.Conv2D(width, 3, padding=padding, activation="relu", kernel_initializer="he_normal")(x)


def _xception_block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    shortcut = _normalised(convolution(x, width, 1, 2))
    x = layers.Activation("relu")(_normalised(_separable(x, width)))
    x = layers.MaxPooling2D(3, 2)(padded(_normalised(_separable(x, width))))
    return layers.Add()([x, shortcut])


def _same_padding(side: int) -> tuple[int, int]:
    """Pixels before and after, for windows of 3 with stride 2 and ceil(side / 2) positions."""
    missing = 2 * ((side + 1) // 2 - 1) + 3 - side
    return missing // 2, missing - missing // 2


def _separable(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer="he_normal")(x)
    return convolution(x, width, 1)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return BatchNormalization(axis=channel_axis())(x)


def _map_head(x: keras.KerasTensor, name: str, count: int) -> keras.KerasTensor:
    """One feature map of logits per label, averaged over its positions: the original's head without a dense layer."""
    maps = convolution(x, count, 3, use_bias=True)
    return layers.GlobalAveragePooling2D(dtype="float32", name=name)(maps)
