"""The filters of a trained network: kernels, feature maps, top-activating crops and synthesised images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.explain.gradients import gradient
from mien.explain.network import array_of, channels_first, feature_map_layers, first_float_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import keras

    from mien.structures import Crops

    Values = npt.NDArray[np.float32]
    Image = npt.NDArray[np.uint8]

TILE_GAP_PX = 1
"""Pixels between the tiles of an image, before it is enlarged."""

WHITE_PERCENTILE = 99.5
"""Percentile of a tile's values that is drawn white, since a single bright pixel would darken all others."""

BATCH_SIZE = 256
ASCENT_STEP = 0.5
"""Step length of the gradient ascent, in standard deviations of the image."""

MAX_JITTER_PX = 2
"""Random shift before each step, so that no pattern depends on one position."""

BLUR_INTERVAL = 4
"""Steps between two slight blurs, which suppress high-frequency noise."""


def kernels(model: keras.Model) -> dict[str, Values]:
    """The kernels of each convolution by layer name: float32 (height, width, channels, filters), as in Keras.

    Layers of nested networks (a pretrained backbone) are included; the last axis of depthwise kernels is their
    multiplier.
    """
    import keras

    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return {layer.name: array_of(layer.kernel) for layer in _all_layers(model) if isinstance(layer, convolutions)}


def feature_maps(model: keras.Model, crops: Crops, layers: Sequence[str] = ()) -> dict[str, Values]:
    """The feature maps of face crops by layer name, in order: float32 (count, rows, columns, filters).

    Args:
        model: a Keras network that takes face crops.
        crops: uint8 (count, size, size, channels).
        layers: their names; empty for all layers from the first convolution on.

    Raises:
        UsageError: a layer does not exist or has no feature maps.
    """
    import keras

    known = {layer.name: layer for layer in feature_map_layers(model)}
    names = list(layers) or list(known)
    missing = [name for name in names if name not in known]
    if missing or not known:
        raise UsageError(
            f"expected layers with feature maps, of {list(known)}; received {missing or 'a network without'}"
        )
    outputs = keras.Model(model.input, [known[name].output for name in names])(crops)
    values = [array_of(output) for output in (outputs if isinstance(outputs, list | tuple) else [outputs])]
    if channels_first():
        values = [np.moveaxis(value, 1, -1) for value in values]
    return dict(zip(names, values, strict=True))


def tiled(planes: Values, columns: int | None = None, scale: int = 4, *, signed: bool = False) -> Image:
    """Feature maps or kernels as the tiles of one grey image, each with its own contrast: uint8 (height, width).

    Args:
        planes: (count, rows, columns).
        columns: tiles in a row; None makes the grid about square.
        scale: pixels per value.
        signed: draws 0 as middle grey, as kernels need it; otherwise the smallest value is black.

    Raises:
        UsageError: there is nothing to draw.
    """
    if planes.ndim != 3 or 0 in planes.shape:
        raise UsageError(f"expected (count, rows, columns), none of them 0; received {planes.shape}")
    across = columns or math.ceil(math.sqrt(len(planes)))
    down = math.ceil(len(planes) / across)
    high, wide = planes.shape[1] + TILE_GAP_PX, planes.shape[2] + TILE_GAP_PX
    canvas = np.full((down * high + TILE_GAP_PX, across * wide + TILE_GAP_PX), 255, np.uint8)
    for number, plane in enumerate(planes):
        top, left = TILE_GAP_PX + number // across * high, TILE_GAP_PX + number % across * wide
        canvas[top : top + high - TILE_GAP_PX, left : left + wide - TILE_GAP_PX] = _grey(plane, signed=signed)
    size = (canvas.shape[1] * scale, canvas.shape[0] * scale)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def top_crops(model: keras.Model, layer: str, crops: Crops, count: int = 9) -> npt.NDArray[np.int64]:
    """The face crops that activate each filter of a layer most: rows, int64 (filters, count), strongest first.

    The activation of a filter on a face crop is the maximum of its feature map.

    Args:
        model: a Keras network.
        layer: name of a layer with feature maps.
        crops: uint8 (rows, size, size, channels).
        count: face crops per filter; fewer where there are fewer.

    Raises:
        UsageError: the layer does not exist or has no feature maps.
    """
    batches = (crops[at : at + BATCH_SIZE] for at in range(0, len(crops), BATCH_SIZE))
    strongest = np.concatenate([feature_maps(model, batch, [layer])[layer].max(axis=(1, 2)) for batch in batches])
    order: npt.NDArray[np.int64] = np.argsort(-strongest, axis=0, kind="stable")[:count].T
    return order


def synthesise(model: keras.Model, layer: str, filter_: int, steps: int = 64, seed: int = 0) -> Image:
    """Activation maximisation: an image that activates one filter strongly, by gradient ascent from noise.

    After Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network". The optimised tensor is the output
    of the network's first layer, for most networks a standardised image, which keeps its contrast in range.

    Args:
        model: a Keras network.
        layer: name of a layer with feature maps.
        filter_: its index, from 0.
        steps: of the ascent.
        seed: of the noise.

    Returns:
        uint8 (size, size, channels), its contrast stretched for display.

    Raises:
        UsageError: the layer or the filter does not exist.
    """
    import keras
    from keras import ops

    start = first_float_tensor(model)
    outputs = {each.name: each.output for each in model.layers}
    axis = 1 if channels_first() else -1
    filters = outputs[layer].shape[axis] if layer in outputs else 0
    if not 0 <= filter_ < filters:
        raise UsageError(f"expected a filter of a layer of {model.name!r}; received {filter_} of {layer!r}")
    tail = keras.Model(start, outputs[layer])
    rng = np.random.default_rng(seed)
    shape = (1, *start.shape[1:])
    mean, deviation = _input_statistics(model, start)
    image = rng.normal(0.0, 0.3, shape).astype(np.float32)
    for step in range(steps):
        shift = tuple(rng.integers(-MAX_JITTER_PX, MAX_JITTER_PX + 1, 2))
        shifted = np.roll(image, shift, axis=(1, 2))
        slope = gradient(
            lambda at: ops.mean(ops.take(tail(mean + deviation * at), filter_, axis=axis)),
            np.ascontiguousarray(shifted),
        )
        shifted = shifted + ASCENT_STEP * slope / max(float(np.sqrt((slope**2).mean())), 1e-12)
        image = _regularised(np.roll(shifted, (-shift[0], -shift[1]), axis=(1, 2)), blur=step % BLUR_INTERVAL == 0)
    low, high = np.percentile(image, (0.5, 99.5))
    shares = ((image[0] - low) / max(float(high - low), 1e-12)).clip(0, 1)
    return np.asarray(np.rint(255 * shares), np.uint8)


def _grey(plane: Values, *, signed: bool) -> Image:
    if signed:
        high = float(np.abs(plane).max())
        low = -high
    else:
        low, high = float(plane.min()), float(np.percentile(plane, WHITE_PERCENTILE))
    shares = (plane - low) / max(high - low, 1e-12)
    grey: Image = np.rint(255 * shares.clip(0, 1)).astype(np.uint8)
    return grey


def _all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a network and of nested networks."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)
        else:
            yield layer


def _regularised(image: Values, *, blur: bool) -> Values:
    """The image scaled to mean 0 and deviation 1, after an optional slight blur."""
    if blur:
        soft = cv2.GaussianBlur(image[0], (0, 0), 0.6, borderType=cv2.BORDER_REFLECT)
        image = np.asarray(soft, np.float32).reshape(image.shape)
    scaled: Values = (image - image.mean()) / max(float(image.std()), 1e-6)
    return scaled


def _input_statistics(model: keras.Model, start: keras.KerasTensor) -> tuple[float, float]:
    """Mean and deviation of the first float tensor, for an input ramp from black to white."""
    import keras

    shape = model.input.shape[1:]
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape).astype(np.uint8)
    values = array_of(keras.Model(model.input, start)(ramp[None]))
    return float(values.mean()), float(values.std())
