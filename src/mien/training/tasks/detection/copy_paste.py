"""Face crops of faces to paste into scenes: a data set of expressions has ten times as many faces as scenes show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.data.dataset import TRAINING
from mien.data.scenes import BoxedFaces
from mien.detection.grid import decode
from mien.training.tasks.detection.composition import SURE

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.data import Dataset
    from mien.detection.grid import GridDetector
    from mien.structures import Crops, Frame

SIDE, FACE = 160, 96
"""Sides in pixels of the image that a face crop is looked at in, and of the face crop in its middle."""

LOOKED_AT = 64
"""Face crops looked at in one go."""


def boxed_crops(data: Dataset, teacher: GridDetector) -> tuple[tuple[Frame, BoxedFaces], ...]:
    """The face crops of the training split that a teacher is sure of, uint8 (size, size, 1) and the face that it sees.

    Args:
        data: square face crops cut close around one face each, grey or RGB.
        teacher: the detector that says where the face is.
    """
    rows = data.splits == TRAINING
    crops = data.crops[rows if rows.any() else slice(None)]
    found = []
    for at in range(0, len(crops), LOOKED_AT):
        some = _grey(crops[at : at + LOOKED_AT])
        images = np.stack([_framed(crop) for crop in some])
        for crop, cells in zip(some, teacher.grid_cells(images), strict=True):
            face = _best(cells, data.size)
            if face is not None:
                found.append((crop, face))
    return tuple(found)


def _grey(crops: Crops) -> npt.NDArray[np.uint8]:
    return np.asarray(crops.mean(axis=3, keepdims=True).round(), np.uint8)


def _framed(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The face crop enlarged, in the middle of its own mean."""
    image = np.full((SIDE, SIDE, 3), crop.mean(), np.uint8)
    edge = (SIDE - FACE) // 2
    large: Any = cv2.resize(crop, (FACE, FACE), interpolation=cv2.INTER_LINEAR)
    image[edge : edge + FACE, edge : edge + FACE] = large[..., None]
    return image


def _best(cells: npt.NDArray[np.float32], size: int) -> BoxedFaces | None:
    """The face that a teacher is surest of, in pixels of the face crop."""
    found = decode(cells, SIDE, SIDE, SURE)
    if not len(found.scores):
        return None
    best, edge, scale = [int(found.scores.argmax())], (SIDE - FACE) // 2, size / FACE
    return BoxedFaces((found.boxes[best] - edge) * scale, (found.points[best] - edge) * scale, found.scores[best])
