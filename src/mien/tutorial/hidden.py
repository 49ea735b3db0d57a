"""The hidden space: the last features before the answer, on which like faces lie near each other, drawn as a map.

It is the space of a network that was taught expressions: near means that the network sees like expressions. Nothing of
it is kept, and it is no way to tell people apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import MissingExtraError, UsageError
from mien.explain.network import array_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from mien.structures import Crops

    Values = npt.NDArray[np.float64]
    Colour = tuple[int, int, int]

BATCH = 256
FIRST_AXES = 30
"""Principal axes that t-SNE starts from: more are mostly noise."""


def hidden(model: keras.Model, crops: Crops) -> Values:
    """What the heads of a network read their answer from: float64 (count, features).

    Args:
        model: a network of the architectures.
        crops: uint8 (count, size, size, channels).
    """
    import keras

    head = model.get_layer(next(iter(model.output)))
    before = keras.Model(model.input, head.input)
    batches = [array_of(before(crops[at : at + BATCH])) for at in range(0, len(crops), BATCH)]
    return np.concatenate(batches).astype(np.float64)


def pca(features: Values, axes: int = 2) -> Values:
    """Features on the axes along which they differ most: float64 (count, axes); Pearson 1901.

    The sign of an axis is such that its largest part is positive, so the same features give the same map.

    Raises:
        UsageError: more axes than rows or features.
    """
    if features.ndim != 2 or not 0 < axes <= min(features.shape):
        raise UsageError(f"expected at least {axes} rows and features; received {features.shape}")
    centred = features - features.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    chosen = directions[:axes]
    signs = np.sign(chosen[np.arange(axes), np.abs(chosen).argmax(axis=1)])
    projected: Values = centred @ (chosen * signs[:, None]).T
    return projected


def tsne(features: Values, perplexity: float = 30.0, seed: int = 0) -> Values:
    """Features in the plane, so that neighbours stay neighbours: float64 (count, 2); van der Maaten and Hinton 2008.

    Distances between groups and their sizes mean nothing in it.

    Args:
        features: (count, features).
        perplexity: about how many neighbours each has; a third of the rows at most.
        seed: of the search.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("t-SNE", "scikit-learn", "learn") from error
    start = pca(features, min(FIRST_AXES, *features.shape))
    fitted = min(perplexity, max(1.0, (len(features) - 1) / 3))
    placed: Values = TSNE(perplexity=fitted, init="pca", random_state=seed).fit_transform(start).astype(np.float64)
    return placed


def map_image(
    places: Values, crops: Crops, colours: Sequence[Colour], side: int = 960, thumbnail: int = 28
) -> npt.NDArray[np.uint8]:
    """A map with a small image of each face crop at its place, framed in its colour: uint8 (side, side, 3), RGB.

    Places keep their proportions. An image that would lie over another is left out, and a dot stands for it.

    Args:
        places: (count, 2).
        crops: uint8 (count, size, size, 1 or 3).
        colours: RGB of each, such as that of its label.
        side: pixels of the map.
        thumbnail: pixels of a small image with its frame.
    """
    canvas = np.full((side, side, 3), 250, np.uint8)
    corners = _spread(places, side - 2 * thumbnail) + thumbnail / 2
    kept = _apart(corners, thumbnail)
    for place, colour, shown in zip(corners, colours, kept, strict=True):
        if not shown:
            middle = (round(place[0] + thumbnail / 2), round(place[1] + thumbnail / 2))
            cv2.circle(canvas, middle, 3, colour, -1, cv2.LINE_AA)
    for place, crop, colour, shown in zip(corners, crops, colours, kept, strict=True):
        if shown:
            left, top = np.rint(place).astype(int)
            canvas[top : top + thumbnail, left : left + thumbnail] = colour
            inner = np.asarray(cv2.resize(crop, (thumbnail - 4,) * 2, interpolation=cv2.INTER_AREA))
            inner = inner.reshape(thumbnail - 4, thumbnail - 4, -1)
            canvas[top + 2 : top + thumbnail - 2, left + 2 : left + thumbnail - 2] = inner
    return canvas


def _spread(places: Values, side: float) -> Values:
    """The places in a square of a side, in proportion."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = side / max(float((high - low).max()), 1e-12)
    fitted: Values = (places - (low + high) / 2) * scale + side / 2
    return fitted


def _apart(corners: Values, thumbnail: int) -> npt.NDArray[np.bool_]:
    """Which of the squares at the corners are kept so that none lies over another, first come first kept."""
    kept = np.zeros(len(corners), np.bool_)
    for number, corner in enumerate(corners):
        kept[number] = not (np.abs(corners[kept] - corner) < thumbnail).all(axis=1).any()
    return kept
