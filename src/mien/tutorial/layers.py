"""What a taught network holds and sees, layer by layer: its kernels, and the feature maps of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.explain.network import array_of, channels_first, map_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras

    from mien.structures import Crops

    Values = npt.NDArray[np.float32]
    Image = npt.NDArray[np.uint8]

GAP = 1
"""Pixels between the tiles of an image, before it is enlarged."""

CLIPPED = 99.5
"""Percentile of a tile's values that is its white: one bright pixel would darken all others."""


def kernels(model: keras.Model) -> dict[str, Values]:
    """The kernels of each convolution by the layer's name: float32 (height, width, channels, filters), as in Keras.

    Those of networks inside the network (a pretrained base) are among them; depthwise ones have their multiplier for
    filters.
    """
    import keras

    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return {layer.name: array_of(layer.kernel) for layer in _all(model) if isinstance(layer, convolutions)}


def feature_maps(model: keras.Model, crops: Crops, layers: Sequence[str] = ()) -> dict[str, Values]:
    """The feature maps of face crops by layer name, in order: float32 (count, rows, columns, filters).

    Args:
        model: a Keras network whose input is face crops.
        crops: uint8 (count, size, size, channels).
        layers: names; all layers from the first convolution on if empty.

    Raises:
        UsageError: a layer is not there, or gives no maps.
    """
    import keras

    there = {layer.name: layer for layer in map_layers(model)}
    wanted = list(layers) or list(there)
    missing = [name for name in wanted if name not in there]
    if missing or not there:
        raise UsageError(
            f"expected layers with feature maps, of {list(there)}; received {missing or 'a network without'}"
        )
    outputs = [there[name].output for name in wanted]
    made = keras.Model(model.input, outputs)(crops)
    values = [array_of(one) for one in (made if isinstance(made, list | tuple) else [made])]
    if channels_first():
        values = [np.moveaxis(value, 1, -1) for value in values]
    return dict(zip(wanted, values, strict=True))


def tiled(planes: Values, columns: int | None = None, scale: int = 4, *, signed: bool = False) -> Image:
    """Maps or kernels as one grey image, each with a contrast of its own: uint8 (height, width).

    Args:
        planes: (count, rows, columns).
        columns: of the image; None: about as many as rows.
        scale: pixels a value.
        signed: whether 0 is the middle grey, as kernels need it; else the smallest value is black.

    Raises:
        UsageError: there is nothing to show.
    """
    if planes.ndim != 3 or 0 in planes.shape:
        raise UsageError(f"expected (count, rows, columns), none of them 0; received {planes.shape}")
    across = columns or math.ceil(math.sqrt(len(planes)))
    down = math.ceil(len(planes) / across)
    high, wide = planes.shape[1] + GAP, planes.shape[2] + GAP
    canvas = np.full((down * high + GAP, across * wide + GAP), 255, np.uint8)
    for number, plane in enumerate(planes):
        top, left = GAP + number // across * high, GAP + number % across * wide
        canvas[top : top + high - GAP, left : left + wide - GAP] = _grey(plane, signed=signed)
    size = (canvas.shape[1] * scale, canvas.shape[0] * scale)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _grey(plane: Values, *, signed: bool) -> Image:
    if signed:
        high = float(np.abs(plane).max())
        low = -high
    else:
        low, high = float(plane.min()), float(np.percentile(plane, CLIPPED))
    shares = (plane - low) / max(high - low, 1e-12)
    grey: Image = np.rint(255 * shares.clip(0, 1)).astype(np.uint8)
    return grey


def _all(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a network and of those inside it."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all(layer)
        else:
            yield layer
