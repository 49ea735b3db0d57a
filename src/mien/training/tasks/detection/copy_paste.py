"""Copy-paste augmentation with the face crops of an expression data set, ten times as many faces as the scenes have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.data.dataset import TRAINING
from mien.data.scenes import BoxedFaces
from mien.detection.grid import decode
from mien.training.tasks.detection.composition import MIN_CONFIDENCE

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.data import Dataset
    from mien.detection.grid import GridDetector
    from mien.structures import Crops, Frame

IMAGE_PX, CROP_PX = 160, 96
"""Sides of the image that the teacher sees, and of the enlarged face crop in its centre."""

BATCH_SIZE = 64


def boxed_crops(data: Dataset, teacher: GridDetector) -> tuple[tuple[Frame, BoxedFaces], ...]:
    """Face crops of the training split with the face that a teacher detects in each; uncertain ones are omitted.

    Args:
        data: square face crops cut close around one face each, grey or RGB.
        teacher: the detector.

    Returns:
        Pairs of a grey crop, uint8 (size, size, 1), and its face in pixels of the crop.

    Raises:
        DatasetError: there is no training split.
    """
    crops = data.split(TRAINING).crops
    labelled = []
    for at in range(0, len(crops), BATCH_SIZE):
        batch = _grey(crops[at : at + BATCH_SIZE])
        images = np.stack([_framed(crop) for crop in batch])
        for crop, cells in zip(batch, teacher.grid_cells(images), strict=True):
            face = _best(cells, data.size)
            if face is not None:
                labelled.append((crop, face))
    return tuple(labelled)


def _grey(crops: Crops) -> npt.NDArray[np.uint8]:
    return np.asarray(crops.mean(axis=3, keepdims=True).round(), np.uint8)


def _framed(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The face crop enlarged, centred on a background of its mean grey."""
    image = np.full((IMAGE_PX, IMAGE_PX, 3), crop.mean(), np.uint8)
    edge = (IMAGE_PX - CROP_PX) // 2
    large: Any = cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)
    image[edge : edge + CROP_PX, edge : edge + CROP_PX] = large[..., None]
    return image


def _best(cells: npt.NDArray[np.float32], size: int) -> BoxedFaces | None:
    """The detection of highest score, in pixels of the face crop."""
    candidates = decode(cells, IMAGE_PX, IMAGE_PX, MIN_CONFIDENCE)
    if not len(candidates.scores):
        return None
    best, edge, scale = [int(candidates.scores.argmax())], (IMAGE_PX - CROP_PX) // 2, size / CROP_PX
    return BoxedFaces(
        (candidates.boxes[best] - edge) * scale, (candidates.points[best] - edge) * scale, candidates.scores[best]
    )
