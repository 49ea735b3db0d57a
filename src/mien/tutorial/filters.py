"""What a filter looks for: the face crops of a data set that it answers to most, and an image made to please it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.explain.differentiation import gradient
from mien.explain.network import array_of, channels_first, entry
from mien.tutorial.layers import feature_maps

if TYPE_CHECKING:
    import keras

    from mien.structures import Crops

    Values = npt.NDArray[np.float32]

BATCH = 256
STEP = 0.5
"""Of the ascent, in deviations of the image a step."""

SHIFT = 2
"""Pixels by which the image is moved at random before each step, so that no pattern hangs on one place."""

BLUR_EVERY = 4
"""Steps between two slight blurs, which take away what only single pixels say."""


def top_crops(model: keras.Model, layer: str, crops: Crops, count: int = 9) -> npt.NDArray[np.int64]:
    """The face crops that activate each filter of a layer most: rows, int64 (filters, count), the strongest first.

    A filter's answer to a face crop is the largest value of its map.

    Args:
        model: a Keras network.
        layer: name of one with feature maps.
        crops: uint8 (rows, size, size, channels).
        count: of face crops a filter; fewer where there are fewer.

    Raises:
        UsageError: the layer is not there, or gives no maps.
    """
    batches = (crops[at : at + BATCH] for at in range(0, len(crops), BATCH))
    strongest = np.concatenate([feature_maps(model, batch, [layer])[layer].max(axis=(1, 2)) for batch in batches])
    order: npt.NDArray[np.int64] = np.argsort(-strongest, axis=0, kind="stable")[:count].T
    return order


def synthesise(model: keras.Model, layer: str, filter_: int, steps: int = 64, seed: int = 0) -> npt.NDArray[np.uint8]:
    """An image that one filter answers to strongly, by gradient ascent from noise (Erhan et al. 2009).

    The image is one that the network's first layer could have made of a face crop: for most networks standardised,
    which holds its contrast.

    Args:
        model: a Keras network.
        layer: name of one with feature maps.
        filter_: its number, from 0.
        steps: of the ascent.
        seed: of the noise.

    Returns:
        uint8 (size, size, channels), its contrast stretched to be seen.

    Raises:
        UsageError: the layer or the filter is not there.
    """
    import keras
    from keras import ops

    start = entry(model)
    there = {one.name: one.output for one in model.layers}
    axis = 1 if channels_first() else -1
    filters = there[layer].shape[axis] if layer in there else 0
    if not 0 <= filter_ < filters:
        raise UsageError(f"expected a filter of a layer of {model.name!r}; received {filter_} of {layer!r}")
    tail = keras.Model(start, there[layer])
    dice = np.random.default_rng(seed)
    shape = (1, *start.shape[1:])
    middle, spread = _scale(model, start)
    image = dice.normal(0.0, 0.3, shape).astype(np.float32)
    for step in range(steps):
        move = tuple(dice.integers(-SHIFT, SHIFT + 1, 2))
        moved = np.roll(image, move, axis=(1, 2))
        slope = gradient(
            lambda at: ops.mean(ops.take(tail(middle + spread * at), filter_, axis=axis)), np.ascontiguousarray(moved)
        )
        moved = moved + STEP * slope / max(float(np.sqrt((slope**2).mean())), 1e-12)
        image = _held(np.roll(moved, (-move[0], -move[1]), axis=(1, 2)), blur=step % BLUR_EVERY == 0)
    low, high = np.percentile(image, (0.5, 99.5))
    shares = ((image[0] - low) / max(float(high - low), 1e-12)).clip(0, 1)
    return np.asarray(np.rint(255 * shares), np.uint8)


def _held(image: Values, *, blur: bool) -> Values:
    """The image brought back to mean 0 and deviation 1, and now and then softened."""
    if blur:
        soft = cv2.GaussianBlur(image[0], (0, 0), 0.6, borderType=cv2.BORDER_REFLECT)
        image = np.asarray(soft, np.float32).reshape(image.shape)
    held: Values = (image - image.mean()) / max(float(image.std()), 1e-6)
    return held


def _scale(model: keras.Model, start: keras.KerasTensor) -> tuple[float, float]:
    """Mean and deviation of values at a network's entry, told by what it makes there of a ramp from black to white."""
    import keras

    shape = model.input.shape[1:]
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1])[None, :, None], shape).astype(np.uint8)
    values = array_of(keras.Model(model.input, start)(ramp[None]))
    return float(values.mean()), float(values.std())
