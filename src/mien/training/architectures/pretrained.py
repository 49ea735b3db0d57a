"""Transfer networks: a backbone of ``keras.applications`` with a new classification head.

    face crops -> resized, three channels -> backbone's preprocessing -> backbone -> global average pooling -> Dense 256
    -> heads

The backbone is a nested network, see ``backbone_of``. Its batch normalisation follows ``trainable``: frozen, it uses
its own statistics.
"""

from __future__ import annotations

import re

import keras
from keras import layers, ops

from mien.training.architectures.blocks import NetworkShape, channel_axis, heads
from mien.training.transfer.backbones import BACKBONES, Backbone

FEATURES = "features"
HEAD_UNITS = 256
PREPROCESSING = {
    "tf": tuple((channel, 127.5, 127.5) for channel in range(3)),
    "caffe": ((2, 103.939, 1.0), (1, 116.779, 1.0), (0, 123.68, 1.0)),
    "torch": ((0, 0.485 * 255, 0.229 * 255), (1, 0.456 * 255, 0.224 * 255), (2, 0.406 * 255, 0.225 * 255)),
}
"""For each output channel: the index of its RGB channel, the mean to subtract and the deviation to divide by."""


def mobilenet(shape: NetworkShape) -> keras.Model:
    """MobileNet (Howard et al. 2017, arXiv:1704.04861): 3.5 M parameters."""
    return _transfer("mobilenet", shape)


def resnet50(shape: NetworkShape) -> keras.Model:
    """ResNet50 (He et al. 2016, arXiv:1512.03385): 24 M parameters."""
    return _transfer("resnet50", shape)


def vgg16(shape: NetworkShape) -> keras.Model:
    """VGG16 (Simonyan and Zisserman 2015, arXiv:1409.1556): 15 M parameters."""
    return _transfer("vgg16", shape)


def inceptionv3(shape: NetworkShape) -> keras.Model:
    """Inception v3 (Szegedy et al. 2016, arXiv:1512.00567): 22 M parameters."""
    return _transfer("inceptionv3", shape)


def mobilenetv3(shape: NetworkShape) -> keras.Model:
    """MobileNetV3 Small (Howard et al. 2019, arXiv:1905.02244): 1.1 M parameters.

    The large variant only pays off on images larger than 48 px faces.
    """
    return _transfer("mobilenetv3", shape)


def efficientnetv2(shape: NetworkShape) -> keras.Model:
    """EfficientNetV2 B0 (Tan and Le 2021, arXiv:2104.00298): 6.2 M parameters."""
    return _transfer("efficientnetv2", shape)


def classification_head(features: keras.KerasTensor, shape: NetworkShape) -> dict[str, keras.KerasTensor]:
    """The new layers on the backbone's features: Dense 256, dropout, and the logits of each head."""
    x = layers.Dense(HEAD_UNITS, activation="relu", kernel_initializer="he_normal", name="new")(features)
    return heads(layers.Dropout(shape.dropout)(x), shape)


def backbone_of(model: keras.Model) -> keras.Model:
    """The nested network of ``keras.applications`` in a transfer network."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def blocks(network: keras.Model, backbone: Backbone) -> list[list[keras.layers.Layer]]:
    """The layers of a backbone grouped by block, from first to last; blocks without weights are omitted.

    The first block includes the stem; layers after the last block end form a block of their own.
    """
    groups: list[list[keras.layers.Layer]] = [[]]
    for layer in network.layers:
        groups[-1].append(layer)
        if re.fullmatch(backbone.block_end, layer.name):
            groups.append([])
    return [group for group in groups if any(layer.weights for layer in group)]


def _transfer(name: str, shape: NetworkShape) -> keras.Model:
    backbone = BACKBONES[name]
    crops = keras.Input((shape.size, shape.size, shape.channels), dtype="uint8", name="crops")
    x = _preprocessed(_images(crops, shape, backbone.size), backbone.preprocessing)
    x = layers.GlobalAveragePooling2D(dtype="float32", name=FEATURES)(_network(backbone)(x))
    return keras.Model(crops, classification_head(x, shape), name=name)


def _images(crops: keras.KerasTensor, shape: NetworkShape, size: int) -> keras.KerasTensor:
    """Face crops as float32 RGB images of the backbone's size, 0 to 255, in Keras' data format."""
    x = ops.cast(crops, "float32")
    if keras.config.image_data_format() == "channels_first":
        x = layers.Permute((3, 1, 2), dtype="float32")(x)
    if shape.size != size:
        x = ops.image.resize(x, (size, size), "bilinear")
    return x if shape.channels == 3 else ops.repeat(x, 3, channel_axis())


def _preprocessed(x: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    """Scale each channel separately; TensorFlow can't export Keras' own ``preprocess_input`` to ONNX."""
    if kind == "own":
        return x
    channels = ops.split(x, 3, channel_axis())
    scaled = [(channels[index] - mean) / deviation for index, mean, deviation in PREPROCESSING[kind]]
    return ops.concatenate(scaled, channel_axis())


def _network(backbone: Backbone) -> keras.Model:
    """The backbone without its top, with random weights."""
    make = getattr(keras.applications, backbone.application)
    side = (backbone.size, backbone.size)
    input_shape = (3, *side) if channel_axis() == 1 else (*side, 3)
    # the preprocessing layer captures arrays, which TensorFlow would export as unfed inputs
    options = {"include_preprocessing": False} if backbone.preprocessing == "torch" else {}
    return make(include_top=False, weights=None, input_shape=input_shape, **options)
