"""The networks that mien can teach: one file a family, one function a network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.training.architectures.dense import dense_64_32_relu, dense_64_32_tanh, dense_64_tanh
from mien.training.architectures.parts import NetworkShape
from mien.training.architectures.plain import deep_conv, digits_conv, two_conv
from mien.training.architectures.pretrained import efficientnetv2, inceptionv3, mobilenet, mobilenetv3, resnet50, vgg16
from mien.training.architectures.residual import compact, large, nano, teacher
from mien.training.architectures.xception import mini_xception

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
    """A network with fresh weights: uint8 face crops in, a dict of logits by head out.

    Raises:
        UsageError: the architectures has none of that name, or the face crops are too small for it.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"expected one of the networks {sorted(ARCHITECTURES)}; received {name!r}")
    try:
        return ARCHITECTURES[name](shape)
    except ValueError as error:  # Keras' own, where a convolution has nothing left to see
        raise UsageError(
            f"expected face crops that {name!r} can be built for; received {shape.size}x{shape.size}, {shape.channels} "
            f"channels: choose a larger size, or another network ({str(error).splitlines()[0]})"
        ) from error
