"""Residual networks for 48x48 faces: ``compact`` (the shipped size), ``nano``, ``large``, and ``teacher`` for a GPU.

Full 3x3 convolutions throughout: on a CPU depthwise ones train slower per operation.
Residual blocks follow He et al. 2016 (arXiv:1512.03385) with the pooled shortcut of ResNet-D
(He et al. 2019, arXiv:1812.01187) and squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507).
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from mien.training.architectures.blocks import (
    BatchNormalization,
    NetworkShape,
    channel_axis,
    convolution,
    crop_input,
    heads,
)


@dataclass(frozen=True)
class Widths:
    """Channels of the stem, the stages and the last 1x1 convolution; blocks per stage; stride of the first stage."""

    stem: int
    stages: tuple[int, ...]
    blocks: tuple[int, ...]
    top: int
    first_stride: int = 2


def compact(shape: NetworkShape) -> keras.Model:
    """The shipped size, with squeeze-and-excitation: 1.15 M parameters, 60 M multiply-adds at 48x48x1."""
    return _residual("compact", shape, Widths(16, (36, 80, 176), (1, 1, 2), 256))


def nano(shape: NetworkShape) -> keras.Model:
    """A thirteenth of ``compact``: 0.09 M parameters, 6.6 M multiply-adds at 48x48x1."""
    return _residual("nano", shape, Widths(8, (16, 32, 64), (1, 1, 1), 96))


def large(shape: NetworkShape) -> keras.Model:
    """Four times ``compact``, first stage at full resolution: 4.5 M parameters, 0.53 G multiply-adds at 48x48x1."""
    return _residual("large", shape, Widths(32, (48, 96, 192, 288), (1, 2, 2, 2), 384, first_stride=1))


def teacher(shape: NetworkShape) -> keras.Model:
    """ResNet18 for small images, with the stem at full resolution: 11 M parameters, 1.25 G multiply-adds at 48x48x1."""
    return _residual("teacher", shape, Widths(64, (64, 128, 256, 512), (2, 2, 2, 2), 512, first_stride=1))


def _residual(name: str, shape: NetworkShape, widths: Widths) -> keras.Model:
    crops, x = crop_input(shape)
    x = _activated(convolution(x, widths.stem, 3))
    for stage, (width, blocks) in enumerate(zip(widths.stages, widths.blocks, strict=True)):
        for block in range(blocks):
            first_stride = widths.first_stride if stage == 0 else 2
            x = _block(x, width, stride=first_stride if block == 0 else 1)
    x = _activated(convolution(x, widths.top, 1))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(crops, heads(x, shape), name=name)


def _activated(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("silu")(BatchNormalization(axis=channel_axis())(x))


def _block(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    shortcut = x
    if stride == 2:
        shortcut = layers.AveragePooling2D(2, padding="same")(shortcut)
    if x.shape[channel_axis()] != width:
        shortcut = BatchNormalization(axis=channel_axis())(convolution(shortcut, width, 1))
    y = _activated(convolution(x, width, 3, stride))
    y = BatchNormalization(axis=channel_axis())(convolution(y, width, 3))
    y = _squeeze_excite(y, width, ratio=8)
    return layers.Activation("silu")(layers.Add()([y, shortcut]))


def _squeeze_excite(x: keras.KerasTensor, width: int, ratio: int) -> keras.KerasTensor:
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = convolution(gate, max(width // ratio, 4), 1, use_bias=True)
    gate = layers.Activation("silu")(gate)
    gate = convolution(gate, width, 1, use_bias=True)
    return layers.Multiply()([x, layers.Activation("sigmoid")(gate)])
