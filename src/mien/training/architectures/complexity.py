"""Layers, parameters and multiply-adds of Keras networks."""

from __future__ import annotations

from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

import keras
from keras import layers

from mien.errors import UsageError
from mien.training import architectures
from mien.training.architectures.detector import face_detector
from mien.training.export.model_summary import LayerSummary, ModelSummary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.training.architectures.blocks import NetworkShape


def summary_of(name: str, shape: NetworkShape, *, expand: bool = False) -> ModelSummary:
    """Build a network and summarise it; shapes are (height, width, channels) on every backend.

    Args:
        name: of the architecture.
        shape: input and outputs.
        expand: also lists the layers of nested networks (a pretrained backbone).

    Raises:
        UsageError: there is no such architecture, or it does not fit the shape.
    """
    with _channels_last():
        return summary(architectures.build(name, shape), expand=expand)


def detector_summary(side: int) -> ModelSummary:
    """Summary of the face detector for images of ``side`` pixels, a multiple of 32."""
    with _channels_last():
        return summary(face_detector(side))


@contextmanager
def _channels_last() -> Iterator[None]:
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def summary(model: keras.Model, *, expand: bool = False) -> ModelSummary:
    """Summary of a built network; shapes have its own axis order, and a shared layer counts once."""
    trainable = sum(prod(weight.shape) for weight in model.trainable_weights)
    return ModelSummary(model.name, tuple(_rows(model, 0, expand=expand)), trainable)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds per face crop of all convolutions and dense layers, nested networks included.

    Raises:
        UsageError: a layer's output has no fixed shape.
    """
    return sum(map(_layer_multiply_adds, model.layers))


def _rows(model: keras.Model, depth: int, *, expand: bool) -> Iterator[LayerSummary]:
    for layer in model.layers:
        output = tuple(keras.tree.flatten(layer.output)[0].shape[1:])
        yield LayerSummary(
            layer.name, type(layer).__name__, output, layer.count_params(), _layer_multiply_adds(layer), depth
        )
        if expand and isinstance(layer, keras.Model):
            yield from _rows(layer, depth + 1, expand=expand)


def _layer_multiply_adds(layer: layers.Layer) -> int:
    """Multiply-adds of one layer or nested network."""
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    count: int = 0
    if isinstance(layer, layers.Conv2DTranspose):  # every input value is multiplied by a kernel
        count = _size(layer.input) * prod(layer.kernel.shape[:-1])
    elif isinstance(layer, layers.SeparableConv2D):
        kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        count = _size(layer.output) // layer.filters * kernels
    elif isinstance(layer, layers.DepthwiseConv2D):
        count = _size(layer.output) * prod(layer.kernel_size)
    elif isinstance(layer, layers.Conv2D | layers.Dense):
        count = _size(layer.output) * prod(layer.kernel.shape[:-1])
    return count


def _size(tensor: keras.KerasTensor) -> int:
    shape: tuple[int, ...] = tensor.shape[1:]
    if None in shape:
        raise UsageError(
            f"expected a network built for one crop size; received the output {tuple(shape)} of {tensor.name!r}"
        )
    return prod(shape)
