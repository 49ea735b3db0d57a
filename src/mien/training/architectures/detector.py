"""The network that finds faces: anchor-free, one shot, three strides, built of separable convolutions.

    image (any size that is a multiple of 32) -> scaled to -1..1 -> stem -> maps at strides 8, 16, 32
    -> the coarser added to the finer (Lin et al. 2017, arXiv:1612.03144) -> a cell's 15 numbers

A cell holds what YuNet's does (Wu, Peng and Yu 2023): a score, the offset of the box's centre and the log of its size,
and five landmarks, all in strides; one small depthwise network a stride, as there. Of its own are the dense stem, which
CPUs run faster a multiply-add than depthwise layers, and that one score stands for class and box together, taught on
the teacher's (quality focal loss, Li et al. 2020, arXiv:2006.04388).
"""

from __future__ import annotations

import keras
from keras import layers

from mien.detection.grid import CELL_VALUES
from mien.training.architectures.parts import BatchNormalization, convolution, spatial_axis

CELLS = "cells"

STEM = (16, 32)
WIDTH = 64
BLOCKS = (5, 2, 2)
"""Widths of the two dense convolutions at the start and of all that follows; residual blocks at each stride:
most where small faces are told, which are the hardest."""

RARE = -4.6
"""The logit that scores begin at: faces are rare (a share of 0.01), and the first steps should not be spent on it."""


def face_detector(side: int | None = None) -> keras.Model:
    """The detector: 0.1 M parameters.

    Args:
        side: of the images in pixels; None: any height and width.

    Returns:
        uint8 RGB (count, height, width, 3) in; float32 (count, cells, 15) out: all cells of stride 8 row by row, then
        those of 16 and 32.
    """
    images = keras.Input((side, side, 3), dtype="uint8", name="images")
    x = images if spatial_axis() == -1 else layers.Permute((3, 1, 2), dtype="uint8")(images)
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for width in STEM:
        x = _activated(_halved(x, width))
    x = _block(x, STEM[-1])
    maps = []
    for blocks in BLOCKS:
        x = _separable(x, WIDTH, 2)
        for _ in range(blocks):
            x = _block(x, WIDTH)
        maps.append(x)
    merged = [maps[-1]]
    for finer in reversed(maps[:-1]):
        merged.append(_separable(layers.Add()([finer, layers.UpSampling2D(2)(merged[-1])]), WIDTH))
    cells = [_cells(x) for x in reversed(merged)]
    cells = layers.Concatenate(1, dtype="float32", name=CELLS)(cells)
    return keras.Model(images, {CELLS: cells}, name="face-detector")


def _cells(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _separable(x, WIDTH)
    score = layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(RARE), dtype="float32")(x)
    place = layers.Conv2D(CELL_VALUES - 1, 1, dtype="float32")(x)
    x = layers.Concatenate(spatial_axis(), dtype="float32")([score, place])
    if spatial_axis() == 1:
        x = layers.Permute((2, 3, 1), dtype="float32")(x)
    return layers.Reshape((-1, CELL_VALUES), dtype="float32")(x)


def _halved(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    """A dense convolution at half the size. Padded alike on both sides, which needs no size: Keras' 'same' does."""
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
    return BatchNormalization(axis=spatial_axis())(x)
