"""Attribution by face part: a map summed over brows, eyes, nose, mouth and the remaining regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.classification.face_crop import point_in_crop
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.models.card import CropRule
    from mien.structures import Box, Face

    Plane = npt.NDArray[np.float64]

FACE_PARTS = ("brows", "eyes", "nose", "mouth")
PARTS = (*FACE_PARTS, "rest of the face", "around the face")


@dataclass(frozen=True, slots=True)
class FacePart:
    """The contribution of one face part to a prediction.

    Attributes:
        name: one of ``PARTS``.
        share: of all positive attribution, 0 to 1; the shares of all parts sum to 1.
        area: share of the face crop that the part covers.
    """

    name: str
    share: float
    area: float

    @property
    def density(self) -> float:
        """Share over area: 1 is average, more is above average; 0 where the part lies outside the face crop."""
        return self.share / self.area if self.area else 0.0


def part_shares(attribution: npt.NDArray[np.float32], face: Face, rule: CropRule) -> tuple[FacePart, ...]:
    """The positive attribution of each face part; empty without landmarks or without positive values.

    Args:
        attribution: float32 (size, size), of the face crop.
        face: in the frame's pixels.
        rule: the rule that the face crop was cut by.
    """
    support = np.maximum(attribution.astype(np.float64), 0.0)
    total = float(support.sum())
    if face.landmarks is None or total <= 0:
        return ()
    regions = part_map(face, rule, len(attribution))
    return tuple(
        FacePart(name, float(support[regions == index].sum()) / total, float((regions == index).mean()))
        for index, name in enumerate(PARTS)
    )


def part_map(face: Face, rule: CropRule, size: int) -> npt.NDArray[np.int64]:
    """The part of each pixel of a face crop, as an index into ``PARTS``: int64 (size, size).

    Sizes are in units of the distance between the eyes, or from the eyes to the mouth where that is longer, as on a
    turned head. They are proportions of an average face, so they are rough: five landmarks do not show the brows.

    Args:
        face: with landmarks.
        rule: the rule that the face crop is cut by.
        size: side of the face crop in pixels.

    Raises:
        UsageError: the face has no landmarks.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = _points(face, rule, size)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    unit = max(float(np.linalg.norm(left_eye - right_eye)), float(np.linalg.norm(mouth - eyes)), 1e-6)
    across = (left_eye - right_eye) / max(float(np.linalg.norm(left_eye - right_eye)), 1e-6)
    grid = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)

    def within(centre: Plane, wide: float, high: float) -> npt.NDArray[np.bool_]:
        """An ellipse along the line of the eyes; semi-axes in units."""
        offset = (grid - centre) / unit
        return np.asarray(((offset @ across) / wide) ** 2 + ((offset @ _down(across)) / high) ** 2 <= 1)

    mouth_width = float(np.linalg.norm(left_mouth - right_mouth)) / unit
    masks = {
        "around the face": ~_in_box(face.box, face, rule, grid),
        "nose": within(eyes + 0.7 * (nose - eyes), 0.32, 0.36),
        # with the glabella between them, where a frown shows
        "brows": within(eyes - 0.36 * unit * _down(across), 1.0, 0.28),
        "mouth": within(mouth, mouth_width / 2 + 0.2, 0.36),
        "eyes": within(right_eye, 0.36, 0.22) | within(left_eye, 0.36, 0.22),
    }
    regions = np.full((size, size), PARTS.index("rest of the face"))
    for name, inside in masks.items():  # later parts overwrite earlier ones
        regions[inside] = PARTS.index(name)
    return regions


def _points(face: Face, rule: CropRule, size: int) -> list[Plane]:
    """The five landmarks in the face crop's pixels.

    Raises:
        UsageError: the face has none.
    """
    landmarks = face.landmarks
    if landmarks is None:
        raise UsageError(
            "expected a face with landmarks, which mien's own detector and YuNet give; received one without"
        )
    points = (
        landmarks.right_eye,
        landmarks.left_eye,
        landmarks.nose,
        landmarks.right_mouth,
        landmarks.left_mouth,
    )
    return [np.array(point_in_crop(point, face, rule, size)) for point in points]


def _down(across: Plane) -> Plane:
    """A direction rotated by 90 degrees clockwise in image coordinates."""
    return np.array([-across[1], across[0]])


def _in_box(box: Box, face: Face, rule: CropRule, grid: Plane) -> npt.NDArray[np.bool_]:
    """Whether pixels lie in the ellipse inscribed in the face's box, which is upright in the face crop."""
    size = len(grid)
    scale = size / (rule.factor * face.box.side)
    offset = (grid - size / 2) / (np.array([box.width, box.height]) * scale / 2)
    return np.asarray((offset**2).sum(axis=-1) <= 1)
