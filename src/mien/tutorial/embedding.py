"""The embedding of a network: its last features before the heads, projected to the plane by PCA or t-SNE.

The network was trained on expressions, so neighbours are faces whose expressions look similar to it. The features are
not stored, and they do not identify people.
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

BATCH_SIZE = 256
PCA_COMPONENTS = 30
"""Principal components that t-SNE starts from: more are mostly noise."""


def embed(model: keras.Model, crops: Crops) -> Values:
    """The features that the heads of a network take as input: float64 (count, features).

    Args:
        model: a network of the architectures.
        crops: uint8 (count, size, size, channels).
    """
    import keras

    head = model.get_layer(next(iter(model.output)))
    before = keras.Model(model.input, head.input)
    batches = [array_of(before(crops[at : at + BATCH_SIZE])) for at in range(0, len(crops), BATCH_SIZE)]
    return np.concatenate(batches).astype(np.float64)


def pca(features: Values, axes: int = 2) -> Values:
    """Principal component analysis: features projected on the axes of largest variance, float64 (count, axes).

    The largest component of each axis is positive, so the same features give the same map.

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
    """t-SNE (van der Maaten and Hinton 2008): features projected to the plane, float64 (count, 2).

    Neighbours stay neighbours; distances between clusters and their sizes carry no meaning.

    Args:
        features: (count, features).
        perplexity: about the number of neighbours; limited to a third of the rows.
        seed: of the optimisation.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("t-SNE", "scikit-learn", "learn") from error
    start = pca(features, min(PCA_COMPONENTS, *features.shape))
    fitted = min(perplexity, max(1.0, (len(features) - 1) / 3))
    projected: Values = TSNE(perplexity=fitted, init="pca", random_state=seed).fit_transform(start).astype(np.float64)
    return projected


def scatter_image(
    points: Values, crops: Crops, colours: Sequence[Colour], side: int = 960, thumbnail: int = 28
) -> npt.NDArray[np.uint8]:
    """A scatter plot with a thumbnail of each face crop, framed in its colour: uint8 (side, side, 3), RGB.

    The aspect ratio is kept. A thumbnail that would overlap another is drawn as a dot.

    Args:
        points: (count, 2).
        crops: uint8 (count, size, size, 1 or 3).
        colours: RGB of each, such as the colour of its label.
        side: of the plot in pixels.
        thumbnail: side of a thumbnail with its frame in pixels.
    """
    canvas = np.full((side, side, 3), 250, np.uint8)
    corners = _fitted(points, side - 2 * thumbnail) + thumbnail / 2
    shown = _without_overlaps(corners, thumbnail)
    for corner, colour, visible in zip(corners, colours, shown, strict=True):
        if not visible:
            middle = (round(corner[0] + thumbnail / 2), round(corner[1] + thumbnail / 2))
            cv2.circle(canvas, middle, 3, colour, -1, cv2.LINE_AA)
    for corner, crop, colour, visible in zip(corners, crops, colours, shown, strict=True):
        if visible:
            left, top = np.rint(corner).astype(int)
            canvas[top : top + thumbnail, left : left + thumbnail] = colour
            inner = np.asarray(cv2.resize(crop, (thumbnail - 4,) * 2, interpolation=cv2.INTER_AREA))
            inner = inner.reshape(thumbnail - 4, thumbnail - 4, -1)
            canvas[top + 2 : top + thumbnail - 2, left + 2 : left + thumbnail - 2] = inner
    return canvas


def _fitted(points: Values, side: float) -> Values:
    """The points scaled to a square, with their aspect ratio kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = side / max(float((high - low).max()), 1e-12)
    scaled: Values = (points - (low + high) / 2) * scale + side / 2
    return scaled


def _without_overlaps(corners: Values, thumbnail: int) -> npt.NDArray[np.bool_]:
    """Which thumbnails are drawn so that none overlaps an earlier one: bool (count,)."""
    kept = np.zeros(len(corners), np.bool_)
    for number, corner in enumerate(corners):
        kept[number] = not (np.abs(corners[kept] - corner) < thumbnail).all(axis=1).any()
    return kept
