"""The networks that mien can teach: one file a family, one function a network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.training.zoo.parts import NetworkShape
from mien.training.zoo.plain import two_conv
from mien.training.zoo.residual import compact, nano

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras

__all__ = ["ZOO", "NetworkShape", "build"]

ZOO: Mapping[str, Callable[[NetworkShape], keras.Model]] = MappingProxyType(
    {
        "compact": compact,
        "nano": nano,
        "two-conv": two_conv,
    }
)


def build(name: str, shape: NetworkShape) -> keras.Model:
    """A network with fresh weights: uint8 chips in, a dict of logits by head out.

    Raises:
        UsageError: the zoo has none of that name.
    """
    if name not in ZOO:
        raise UsageError(f"expected one of the networks {sorted(ZOO)}; received {name!r}")
    return ZOO[name](shape)
