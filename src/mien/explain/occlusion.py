"""Occlusion: what hiding a place takes off the answer, for any model file (Zeiler and Fergus 2014, arXiv:1311.2901)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.classification.classifier import Classifier
from mien.explain.odds import odds_of_crops
from mien.explain.randomization import shuffled_model
from mien.models.card import FUSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.structures import Crops

    Plane = npt.NDArray[np.float32]

SPREADS = (1 / 16, 1 / 11, 1 / 7)
"""Standard deviations of the patches, in sides of the face crop: from about an eye's corner to about a mouth."""

SMOOTHNESS = 3.0
"""Weight of the map's own size against its fit, in mean eigenvalues; chosen on photos that the figures are not of."""

BLUR = 1 / 8
"""Standard deviation of the blur that stands for a hidden place, in sides of the face crop."""


class Occlusion:
    """Hides a place of the face crop after another and watches what that takes off the answer.

    Patches have soft edges, since the edge of a hard one is a shape that the network reads too, and lie as far apart as
    they are wide. What they hide is blurred, not painted over: so the face crop stays one of a face.

    Args:
        model: the bytes of an .onnx file written by mien.
        labels: "fused", what users are told; or the name of one head.
        threads: that the model may use; None: all cores.
        spreads: standard deviations of the patches in sides of the face crop.

    Raises:
        ModelError: the bytes are no model of mien's, or it has no such labels.
    """

    method = "occlusion"

    def __init__(
        self, model: bytes, head: str = FUSED, threads: int | None = None, spreads: Sequence[float] = SPREADS
    ) -> None:
        self._model, self._labels, self._threads, self._spreads = model, head, threads, tuple(spreads)
        self.classifier = Classifier(model, threads)
        self.classifier.card.output(head)

    def heat(self, crop: Crops, label: int) -> Plane:
        """What each pixel adds to the log-odds of a label, by the patches that hide it.

        Args:
            crop: uint8 (size, size, channels), as the model's card says.
            label: place of the explained label in the label set.

        Returns:
            float32 (size, size): positive where the face crop speaks for the label, negative where against it. Of all
                maps
            it is the one whose sums under the patches come nearest to what they took off, by ridge regression.
        """
        hidden = blurred(crop)
        patches, solution = _solved(len(crop), self._spreads)
        crops = np.stack([crop, *(mixed(crop, hidden, patch) for patch in patches)])
        whole, *others = odds_of_crops(self.classifier, crops, self._labels, label)
        heat = solution @ (whole - np.array(others))
        return np.asarray(heat, np.float32).reshape(len(crop), len(crop))

    def shuffled(self, share: float) -> Occlusion:
        """The same with a share of the model's layers, from the answer's end, made random; see ``shuffled_model``."""
        return Occlusion(shuffled_model(self._model, share), self._labels, self._threads, self._spreads)


@lru_cache(maxsize=4)
def _solved(size: int, spreads: tuple[float, ...]) -> tuple[Plane, npt.NDArray[np.float64]]:
    """All patches, and the matrix (pixels, patches) that makes the map of what they took off."""
    patches: Plane = np.concatenate([soft_patches(size, spread * size) for spread in spreads])
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    shared = flat @ flat.T
    shared[np.diag_indices(len(shared))] += SMOOTHNESS * np.trace(shared) / len(shared)
    return patches, np.asarray(np.linalg.solve(shared, flat).T, np.float64)


def soft_patches(size: int, spread: float) -> Plane:
    """Gaussian patches on a grid, a standard deviation apart: float32 (count, size, size), 1 in the middle of each."""
    count = max(2, round(size / spread))
    middles = (np.arange(count) + 0.5) * size / count
    lines = np.exp(-0.5 * ((np.arange(size)[None, :] + 0.5 - middles[:, None]) / spread) ** 2)
    patches = lines[:, None, :, None] * lines[None, :, None, :]
    flat: Plane = patches.reshape(-1, size, size).astype(np.float32)
    return flat


def blurred(crop: Crops) -> Crops:
    """The face crop without anything to be read in it: uint8 (size, size, channels)."""
    soft = cv2.GaussianBlur(crop, (0, 0), BLUR * crop.shape[0], borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.uint8).reshape(crop.shape)


def mixed(crop: Crops, other: Crops, share: Plane | npt.NDArray[np.bool_]) -> Crops:
    """One face crop with another in its place where ``share`` (size, size) is 1, and partly where it is less."""
    part = share[..., None].astype(np.float32)
    values: Crops = np.rint(crop * (1 - part) + other * part).astype(np.uint8)
    return values
