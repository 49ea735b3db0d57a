"""mini-XCEPTION (Arriaga et al. 2017, arXiv:1710.07557): separable convolutions and shortcuts, 58 k parameters.

The network of the ``fer`` package and of ``face_classification``.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from mien.training.architectures.parts import BatchNormalization, NetworkShape, convolution, crop_input, spatial_axis

LOWEST = -65504.0
"""Below all that batch normalisation gives, so that padding never is the largest; the least of float16."""


def mini_xception(shape: NetworkShape) -> keras.Model:
    """mini-XCEPTION: two convolutions of 8, then four separable blocks of 16 to 128: 58 k parameters."""
    crops, x = crop_input(shape)
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.Activation("relu")(_normalised(x))
    for width in (16, 32, 64, 128):
        x = _block(x, width)
    x = layers.Dropout(shape.dropout)(x)
    return keras.Model(crops, {name: _map_head(x, name, count) for name, count in shape.heads}, name="mini-xception")


def _block(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    shortcut = _normalised(convolution(x, width, 1, 2))
    x = layers.Activation("relu")(_normalised(_separable(x, width)))
    x = layers.MaxPooling2D(3, 2)(padded(_normalised(_separable(x, width))))
    return layers.Add()([x, shortcut])


def padded(x: keras.KerasTensor) -> keras.KerasTensor:
    """Padded as 'same' pooling of 3 by 2 pads, which Keras computes on torch in a way that can't be exported."""
    channels = spatial_axis() % 4
    around = [(0, 0) if axis in (0, channels) else _padding(x.shape[axis]) for axis in range(4)]
    return ops.pad(x, around, constant_values=LOWEST)


def _padding(side: int) -> tuple[int, int]:
    """How much before and after: windows of 3 that begin at every second pixel, one for each two pixels."""
    missing = 2 * ((side + 1) // 2 - 1) + 3 - side
    return missing // 2, missing - missing // 2


def _separable(x: keras.KerasTensor, width: int) -> keras.KerasTensor:
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer="he_normal")(x)
    return convolution(x, width, 1)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return BatchNormalization(axis=spatial_axis())(x)


def _map_head(x: keras.KerasTensor, name: str, count: int) -> keras.KerasTensor:
    """A map of logits a label, averaged over its places: the network's own head, without a dense layer."""
    maps = convolution(x, count, 3, use_bias=True)
    return layers.GlobalAveragePooling2D(dtype="float32", name=name)(maps)
