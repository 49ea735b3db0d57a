"""The parts of a face that carried an answer: a heat map summed over brows, eyes, nose, mouth and the rest."""

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
class Part:
    """What one part of the face gave to an answer.

    Attributes:
        name: one of ``PARTS``.
        share: of all that spoke for the answer, 0 to 1; those of all parts sum to 1.
        area: share of the face crop that it takes.
    """

    name: str
    share: float
    area: float

    @property
    def density(self) -> float:
        """How much more it gave than a place of its size gives on average; 0 where it has no place in the face crop."""
        return self.share / self.area if self.area else 0.0


def parts_of(heat: npt.NDArray[np.float32], face: Face, rule: CropRule) -> tuple[Part, ...]:
    """The positive heat by parts of the face; none where the detector gives no landmarks, or nothing spoke for it.

    Args:
        heat: (size, size), of the face's face crop.
        face: in the frame's pixels.
        rule: by which the face crop was cut.
    """
    for_it = np.maximum(heat.astype(np.float64), 0.0)
    total = float(for_it.sum())
    if face.landmarks is None or total <= 0:
        return ()
    places = part_places(face, rule, len(heat))
    return tuple(
        Part(name, float(for_it[places == number].sum()) / total, float((places == number).mean()))
        for number, name in enumerate(PARTS)
    )


def part_places(face: Face, rule: CropRule, size: int) -> npt.NDArray[np.int64]:
    """Which part each pixel of a face crop belongs to, as a place in ``PARTS``: (size, size).

    The unit is the distance of the eyes, or from the eyes to the mouth where that is longer (a face turned aside); the
    sizes of the parts in it are those of an average face, so they are rough: five points don't tell where brows are.

    Args:
        face: with landmarks.
        rule: by which the face crop is cut.
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
        """An ellipse along the line of the eyes; half axes in units."""
        offset = (grid - centre) / unit
        return np.asarray(((offset @ across) / wide) ** 2 + ((offset @ _down(across)) / high) ** 2 <= 1)

    mouth_width = float(np.linalg.norm(left_mouth - right_mouth)) / unit
    found = {
        "around the face": ~_in_box(face.box, face, rule, grid),
        "nose": within(eyes + 0.7 * (nose - eyes), 0.32, 0.36),
        # with what lies between them, which a frown folds
        "brows": within(eyes - 0.36 * unit * _down(across), 1.0, 0.28),
        "mouth": within(mouth, mouth_width / 2 + 0.2, 0.36),
        "eyes": within(right_eye, 0.36, 0.22) | within(left_eye, 0.36, 0.22),
    }
    places = np.full((size, size), PARTS.index("rest of the face"))
    for name, inside in found.items():  # what comes later lies above
        places[inside] = PARTS.index(name)
    return places


def _points(face: Face, rule: CropRule, size: int) -> list[Plane]:
    """The landmarks in the face crop's pixels.

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
    """The direction a quarter turn clockwise of another, in an image."""
    return np.array([-across[1], across[0]])


def _in_box(box: Box, face: Face, rule: CropRule, grid: Plane) -> npt.NDArray[np.bool_]:
    """Whether pixels lie in the ellipse that fills the face's box, which stands upright in the face crop."""
    size = len(grid)
    scale = size / (rule.factor * face.box.side)
    offset = (grid - size / 2) / (np.array([box.width, box.height]) * scale / 2)
    return np.asarray((offset**2).sum(axis=-1) <= 1)
