"""The face detector: an anchor-free single-shot network with three strides, built of separable convolutions.

    image (height and width multiples of 32) -> scaled to -1..1 -> stem -> feature maps at strides 8, 16, 32
    -> feature pyramid (Lin et al. 2017, arXiv:1612.03144) -> 15 values per grid cell

A grid cell predicts what YuNet's does (Wu, Peng and Yu 2023): a score, the offset of the box centre and the log of its
size, and five landmarks, all in strides; one small depthwise head per stride, as there. Two things differ: the stem
uses full convolutions, which CPUs run faster per multiply-add than depthwise ones, and a single score stands for class
and box quality, trained on the teacher's (quality focal loss, Li et al. 2020, arXiv:2006.04388).
"""

from __future__ import annotations

import keras
from keras import layers

from mien.detection.grid import CELL_VALUES
from mien.training.architectures.blocks import BatchNormalization, channel_axis, convolution

CELLS = "cells"

STEM_CHANNELS = (16, 32)
CHANNELS = 64
BLOCKS = (5, 2, 2)
"""Residual blocks at each stride: most at stride 8, which detects small faces, the hardest ones."""

INITIAL_SCORE_LOGIT = -4.6
"""Initial bias of the score: the prior of 0.01 that a cell holds a face, as in Lin et al. 2017 (arXiv:1708.02002)."""


def face_detector(side: int | None = None) -> keras.Model:
    """Build the face detector: 0.1 M parameters.

    Args:
        side: of the square images in pixels; None accepts any height and width.

    Returns:
        A network from uint8 RGB (count, height, width, 3) to float32 (count, cells, 15): all grid cells of stride 8 row
        by row, then those of strides 16 and 32.
    """
    images = keras.Input((side, side, 3), dtype="uint8", name="images")
    x = images if channel_axis() == -1 else layers.Permute((3, 1, 2), dtype="uint8")(images)
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for width in STEM_CHANNELS:
        x = _activated(_halved(x, width))
    x = _block(x, STEM_CHANNELS[-1])
    maps = []
    for blocks in BLOCKS:
        x = _separable(x, CHANNELS, 2)
        for _ in range(blocks):
            x = _block(x, CHANNELS)
        maps.append(x)
    merged = [maps[-1]]
    for finer in reversed(maps[:-1]):
        merged.append(_separable(layers.Add()([finer, layers.UpSampling2D(2)(merged[-1])]), CHANNELS))
    cells = [_cells(x) for x in reversed(merged)]
    cells = layers.Concatenate(1, dtype="float32", name=CELLS)(cells)
    return keras.Model(images, {CELLS: cells}, name="face-detector")


def _cells(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _separable(x, CHANNELS)
    score = layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(INITIAL_SCORE_LOGIT), dtype="float32")(x)
    place = layers.Conv2D(CELL_VALUES - 1, 1, dtype="float32")(x)
    x = layers.Concatenate(channel_axis(), dtype="float32")([score, place])
    if channel_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype="float32")(x)
    return layers.Reshape((-1, CELL_VALUES), dtype="float32")(x)


def _halved(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """A convolution of stride 2, padded symmetrically; Keras' 'same' padding would depend on the image size."""
    x = layers.ZeroPadding2D(1)(x)
    return layers.Conv2D(width, 3, 2, use_bias=False, kernel_initializer="he_normal")(x)


def _separable(x: keras.KerasTensor, width: int, stride: int = 1) -> keras.KerasTensor:
    if stride > 1:
        x = layers.ZeroPadding2D(1)(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.DepthwiseConv2D(3, stride, padding, use_bias=False, depthwise_initializer="he_normal")(x)
    return _activated(convolution(_normalised(x), width, 1))


def _block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    return layers.Add()([x, _separable(x, width)])


def _activated(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("relu")(_normalised(x))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return BatchNormalization(axis=channel_axis())(x)
