"""Networks that were taught on ImageNet, under new layers for expressions: transfer learning.

    face crops -> resized, three channels -> the network's own scaling -> base -> mean over places -> Dense 256 -> heads

The base is a network of its own inside, see ``base_of``. Whether its batch normalisation learns is told by
``trainable`` alone: a frozen one uses the statistics that it came with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from mien.training.architectures.parts import NetworkShape, heads, spatial_axis

if TYPE_CHECKING:
    from collections.abc import Mapping

FEATURES = "features"
NEW_WIDTH = 256
SCALINGS = {
    "tf": tuple((channel, 127.5, 127.5) for channel in range(3)),
    "caffe": ((2, 103.939, 1.0), (1, 116.779, 1.0), (0, 123.68, 1.0)),
    "torch": ((0, 0.485 * 255, 0.229 * 255), (1, 0.456 * 255, 0.224 * 255), (2, 0.406 * 255, 0.225 * 255)),
}
"""Of each channel made: which of red, green and blue it is, what is taken from it, and what it is divided by."""


@dataclass(frozen=True)
class Family:
    """A network of ``keras.applications`` as transfer learning needs it.

    Attributes:
        application: the function that makes it.
        size: side in pixels that face crops are brought to. 48 px faces hold no more than they do, but these networks
            shrink an image 32 times, so a map of 3x3 at the end takes 96; each has the smallest that serves it.
        scaling: of pixels, as its weights were taught: "tf" (-1 to 1), "caffe" (BGR less ImageNet's mean), "torch"
            (less ImageNet's mean, over its deviation), or "own" (a layer of the base does it).
        block_end: matches the name of the layer that each block ends with.
        url: of the ImageNet weights without top, where Keras publishes them; it ends with their name in Keras' cache.
        md5: of that file, where Keras knows it.
    """

    application: str
    size: int
    scaling: str
    block_end: str
    url: str
    md5: str | None


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "mobilenet": Family(
            "MobileNet",
            96,
            "tf",
            r"conv_pw_\d+_relu",
            "mobilenet/mobilenet_1_0_224_tf_no_top.h5",
            None,
        ),
        "resnet50": Family(
            "ResNet50",
            96,
            "caffe",
            r"conv\d_block\d_out",
            "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        "vgg16": Family(
            "VGG16",
            64,  # no stride in its first layers: at 96 it would cost 2.8 G multiply-adds, four times resnet50
            "caffe",
            r"block\d_pool",
            "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
        "inceptionv3": Family(
            "InceptionV3",
            107,  # unpadded: it takes 75 at least, and 107 for a last map of 2x2
            "tf",
            r"mixed\d+",
            "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
        ),
        "mobilenetv3": Family(
            "MobileNetV3Small",
            96,
            "own",
            r"expanded_conv.*_project_bn",
            "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
            "d3e8ec802a04aa4fc771ee12a9a9b836",
        ),
        "efficientnetv2": Family(
            "EfficientNetV2B0",
            96,
            "torch",
            r"block.*_project_bn",
            "efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
    }
)


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

    The small one: the large one's work pays on larger images than 48 px faces.
    """
    return _transfer("mobilenetv3", shape)


def efficientnetv2(shape: NetworkShape) -> keras.Model:
    """EfficientNetV2 B0 (Tan and Le 2021, arXiv:2104.00298): 6.2 M parameters."""
    return _transfer("efficientnetv2", shape)


def new_layers(features: keras.KerasTensor, shape: NetworkShape) -> dict[str, keras.KerasTensor]:
    """What is taught on the base's features: Dense 256, dropout, and a row of logits a head."""
    x = layers.Dense(NEW_WIDTH, activation="relu", kernel_initializer="he_normal", name="new")(features)
    return heads(layers.Dropout(shape.dropout)(x), shape)


def base_of(model: keras.Model) -> keras.Model:
    """The network of ``keras.applications`` inside one of these."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def blocks(base: keras.Model, family: Family) -> list[list[keras.layers.Layer]]:
    """The layers of a base in its blocks, first to last; each block has weights.

    The first holds the stem too, and what comes after the last block end is one of its own.
    """
    groups: list[list[keras.layers.Layer]] = [[]]
    for layer in base.layers:
        groups[-1].append(layer)
        if re.fullmatch(family.block_end, layer.name):
            groups.append([])
    return [group for group in groups if any(layer.weights for layer in group)]


def _transfer(name: str, shape: NetworkShape) -> keras.Model:
    family = FAMILIES[name]
    crops = keras.Input((shape.size, shape.size, shape.channels), dtype="uint8", name="crops")
    x = _scaled(_images(crops, shape, family.size), family.scaling)
    x = layers.GlobalAveragePooling2D(dtype="float32", name=FEATURES)(_base(family)(x))
    return keras.Model(crops, new_layers(x, shape), name=name)


def _images(crops: keras.KerasTensor, shape: NetworkShape, size: int) -> keras.KerasTensor:
    """Face crops as float32 RGB images of the base's size, 0 to 255, in Keras' own data format."""
    x = ops.cast(crops, "float32")
    if keras.config.image_data_format() == "channels_first":
        x = layers.Permute((3, 1, 2), dtype="float32")(x)
    if shape.size != size:
        x = ops.image.resize(x, (size, size), "bilinear")
    return x if shape.channels == 3 else ops.repeat(x, 3, spatial_axis())


def _scaled(x: keras.KerasTensor, scaling: str) -> keras.KerasTensor:
    """Each channel for itself: Keras' own preprocess_input slices and captures in ways TensorFlow can't export."""
    if scaling == "own":
        return x
    channels = ops.split(x, 3, spatial_axis())
    scaled = [(channels[taken] - mean) / deviation for taken, mean, deviation in SCALINGS[scaling]]
    return ops.concatenate(scaled, spatial_axis())


def _base(family: Family) -> keras.Model:
    """The network without its top, with random weights."""
    make = getattr(keras.applications, family.application)
    side = (family.size, family.size)
    form = (3, *side) if spatial_axis() == 1 else (*side, 3)
    # its own layer for that captures arrays, which TensorFlow exports as inputs that nobody feeds
    outside = {"include_preprocessing": False} if family.scaling == "torch" else {}
    return make(include_top=False, weights=None, input_shape=form, **outside)
