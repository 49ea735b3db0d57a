"""What a network is made of and costs to run, layer by layer."""

from __future__ import annotations

from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

import keras
from keras import layers

from mien.errors import UsageError
from mien.training import architectures
from mien.training.architectures.detector import face_detector
from mien.training.export.summary import Layer, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.training.architectures.parts import NetworkShape


def summary_of(name: str, shape: NetworkShape, *, expand: bool = False) -> Summary:
    """A network of the architectures, built and described; its shapes are height, width, channels on every backend.

    Args:
        name: of the network.
        shape: what it is built for.
        expand: whether the layers of a network inside it (a transfer network's backbone) are listed too.

    Raises:
        UsageError: the architectures has none of that name, or none for that shape.
    """
    with _channels_last():
        return summary(architectures.build(name, shape), expand=expand)


def detector_summary(side: int) -> Summary:
    """The network that finds faces, for images of ``side`` pixels, a multiple of 32."""
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


def summary(model: keras.Model, *, expand: bool = False) -> Summary:
    """The layers of a network that was built, their axes in the order that it was built with.

    A layer that is called twice counts once.
    """
    trainable = sum(prod(weight.shape) for weight in model.trainable_weights)
    return Summary(model.name, tuple(_rows(model, 0, expand=expand)), trainable)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one face crop in the model's convolutions and dense layers, which are nearly all of its work.

    Networks inside the model are counted with it.

    Raises:
        UsageError: a layer's output has no fixed shape.
    """
    return sum(map(_work, model.layers))


def _rows(model: keras.Model, depth: int, *, expand: bool) -> Iterator[Layer]:
    for layer in model.layers:
        output = tuple(keras.tree.flatten(layer.output)[0].shape[1:])
        yield Layer(layer.name, type(layer).__name__, output, layer.count_params(), _work(layer), depth)
        if expand and isinstance(layer, keras.Model):
            yield from _rows(layer, depth + 1, expand=expand)


def _work(layer: layers.Layer) -> int:
    """Multiply-adds of one layer, or of all layers of a network inside the network."""
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    work: int = 0
    if isinstance(layer, layers.Conv2DTranspose):  # each number of the input is spread over a kernel
        work = _size(layer.input) * prod(layer.kernel.shape[:-1])
    elif isinstance(layer, layers.SeparableConv2D):
        kernels = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        work = _size(layer.output) // layer.filters * kernels
    elif isinstance(layer, layers.DepthwiseConv2D):
        work = _size(layer.output) * prod(layer.kernel_size)
    elif isinstance(layer, layers.Conv2D | layers.Dense):
        work = _size(layer.output) * prod(layer.kernel.shape[:-1])
    return work


def _size(tensor: keras.KerasTensor) -> int:
    shape: tuple[int, ...] = tensor.shape[1:]
    if None in shape:
        raise UsageError(
            f"expected a network built for one crop size; received the output {tuple(shape)} of {tensor.name!r}"
        )
    return prod(shape)
