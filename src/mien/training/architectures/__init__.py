"""The classifier architectures that mien trains: one literal registry of functions that build a Keras network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.training.architectures.blocks import NetworkShape
from mien.training.architectures.pretrained import efficientnetv2, inceptionv3, mobilenet, mobilenetv3, resnet50, vgg16
from mien.training.architectures.residual import compact, large, nano, teacher
from mien.training.architectures.small import (
    deep_conv,
    dense_64_32_relu,
    dense_64_32_tanh,
    dense_64_tanh,
    digits_conv,
    mini_xception,
    two_conv,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras

__all__ = ["ARCHITECTURES", "NetworkShape", "build"]

ARCHITECTURES: Mapping[str, Callable[[NetworkShape], keras.Model]] = MappingProxyType(
    {
        "compact": compact,
        "nano": nano,
        "large": large,
        "teacher": teacher,
        "two-conv": two_conv,
        "deep-conv": deep_conv,
        "mini-xception": mini_xception,
        "dense-64-tanh": dense_64_tanh,
        "dense-64-32-tanh": dense_64_32_tanh,
        "dense-64-32-relu": dense_64_32_relu,
        "digits-conv": digits_conv,
        "mobilenet": mobilenet,
        "resnet50": resnet50,
        "vgg16": vgg16,
        "inceptionv3": inceptionv3,
        "mobilenetv3": mobilenetv3,
        "efficientnetv2": efficientnetv2,
    }
)


def build(name: str, shape: NetworkShape) -> keras.Model:
    """Build a network with random weights: uint8 face crops in, a dict of logits by head out.

    Args:
        name: a key of ``ARCHITECTURES``.
        shape: crop size, channels, heads and dropout.

    Raises:
        UsageError: there is no architecture of that name, or the face crops are too small for it.

    Example:
        >>> model = build("nano", NetworkShape(48, 1, (("fer2013", 7),)))
        >>> model.count_params()
        85455
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"expected one of the architectures {sorted(ARCHITECTURES)}; received {name!r}")
    try:
        return ARCHITECTURES[name](shape)
    except ValueError as error:  # raised by Keras where a feature map has shrunk to nothing
        raise UsageError(
            f"expected face crops that {name!r} can be built for; received {shape.size}x{shape.size}, {shape.channels} "
            f"channels: choose a larger size, or another architecture ({str(error).splitlines()[0]})"
        ) from error
