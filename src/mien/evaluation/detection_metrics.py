"""How well a detector finds faces: agreement with those that are known, image by image."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.detection.grid import Detections
from mien.structures import box_iou

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from mien.data.scenes import BoxedFaces
    from mien.detection import Detector
    from mien.structures import Face, Frame

SURE = 0.7
"""The teacher's score from which a face must be found; a face of less may be found or not."""

SIZES = ((20.0, 40.0), (40.0, np.inf))
"""Pixels of the longer side: small faces, and those an expression can be read from."""


SAME = 0.4
"""Intersection over union from which a box means the same face."""


@dataclass(frozen=True)
class Agreement:
    """What was found, missed and found wrongly in some images.

    Attributes:
        found: sure faces that were found.
        missed: sure faces that were not.
        false: boxes where there is no face.
        images: how many.
        overlaps: intersection over union of each found face.
        landmarks: mean distance of its landmarks over the distance of its eyes.
    """

    found: int = 0
    missed: int = 0
    false: int = 0
    images: int = 0
    overlaps: tuple[float, ...] = ()
    landmarks: tuple[float, ...] = ()

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.found + other.found,
            self.missed + other.missed,
            self.false + other.false,
            self.images + other.images,
            self.overlaps + other.overlaps,
            self.landmarks + other.landmarks,
        )

    @property
    def recall(self) -> float:
        """Share of the sure faces that were found; 1.0 where there are none."""
        return self.found / max(self.found + self.missed, 1) if self.found + self.missed else 1.0

    @property
    def false_positives_per_image(self) -> float:
        """Boxes without a face, an image."""
        return self.false / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """Found over found, missed and false together."""
        return self.found / max(self.found + self.missed + self.false, 1)

    @property
    def iou(self) -> float | None:
        """The median intersection over union; None where nothing was found."""
        return float(np.median(self.overlaps)) if self.overlaps else None

    @property
    def landmark_error(self) -> float | None:
        """The median distance of landmarks over that of the eyes; None where the detector knows none."""
        known = [error for error in self.landmarks if np.isfinite(error)]
        return float(np.median(known)) if known else None

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        return 2 * self.found / max(2 * self.found + self.missed + self.false, 1)


def agreement(
    found: Detections, known: BoxedFaces, least: float = 0.0, most: float = np.inf, sure: float = SURE
) -> Agreement:
    """How boxes found in one image, best first or not, agree with its faces.

    Args:
        found: after suppression.
        known: the faces of the image, doubtful ones too.
        least: longer side in pixels from which a known face has to be found; of less it may be. A box of less that
            matches nothing is not counted as false.
        most: the same upwards.
        sure: the teacher's score from which a face has to be found.
    """
    sides = known.sides
    asked = (known.scores >= sure) & (sides >= least) & (sides < most)
    taken: dict[int, tuple[float, float]] = {}
    false = 0
    for row in np.argsort(-found.scores, kind="stable"):
        shares = box_iou(found.boxes[row], known.boxes.T) if len(known) else np.zeros(0)
        face = int(shares.argmax()) if len(shares) else -1
        if face < 0 or shares[face] < SAME:
            side = (found.boxes[row, 2:] - found.boxes[row, :2]).max()
            false += int(least <= side < most)
        elif face not in taken:
            taken[face] = (float(shares[face]), _landmark_error(found.points[row], known.points[face]))
    hits = [taken[face] for face in np.flatnonzero(asked).tolist() if face in taken]
    return Agreement(
        len(hits), int(asked.sum()) - len(hits), false, 1, tuple(hit[0] for hit in hits), tuple(hit[1] for hit in hits)
    )


def total(parts: Iterable[Agreement]) -> Agreement:
    """All images together."""
    return sum(parts, Agreement())


def size_words(low: float, high: float) -> str:
    """A range of sizes as tables name it."""
    return f"{low:g} px and more" if high == np.inf else f"{low:g} to {high:g} px"


def _landmark_error(found: npt.NDArray[np.float32], known: npt.NDArray[np.float32]) -> float:
    eyes = float(np.hypot(*(known[0] - known[1])))
    return float(np.hypot(*(found - known).T).mean()) / max(eyes, 1e-6)


@dataclass(frozen=True)
class Finding:
    """How a detector does on some images.

    Attributes:
        whole: all sizes together.
        by_size: the same of faces from one side to another, in pixels of the longer one.
        milliseconds: an image, the median.
    """

    whole: Agreement
    by_size: tuple[tuple[tuple[float, float], Agreement], ...]
    milliseconds: float

    @property
    def placed(self) -> Agreement:
        """Faces of those sizes: of smaller ones a pixel more or less would say nothing of boxes and landmarks."""
        return total(part for _, part in self.by_size)


def judge_detector(
    detector: Detector,
    images: Sequence[tuple[Frame, BoxedFaces]],
    sizes: Sequence[tuple[float, float]] = SIZES,
    tell: Callable[[float], None] = lambda _: None,
) -> Finding:
    """Looks for the faces of each image.

    Args:
        detector: whatever finds faces.
        images: RGB, and the faces that are known; doubtful ones (below ``SURE``) may be found or not.
        sizes: from which side to which recall is told.
        tell: called with the share of images done.
    """
    wholes, seconds = [], []
    parts: list[list[Agreement]] = [[] for _ in sizes]
    for number, (frame, known) in enumerate(images, start=1):
        started = time.perf_counter()
        faces = detector.detect(frame)
        seconds.append(time.perf_counter() - started)
        found = found_of(faces)
        wholes.append(agreement(found, known))
        for part, size in zip(parts, sizes, strict=True):
            part.append(agreement(found, known, *size))
        tell(number / len(images))
    return Finding(
        total(wholes),
        tuple((size, total(part)) for size, part in zip(sizes, parts, strict=True)),
        1000.0 * float(np.median(seconds)),
    )


def found_of(faces: Sequence[Face]) -> Detections:
    """Faces as arrays; landmarks that a detector does not know are not numbers."""
    nowhere = ((np.nan, np.nan),) * 5
    points = [dataclasses.astuple(face.landmarks) if face.landmarks else nowhere for face in faces]
    boxes = [(face.box.left, face.box.top, face.box.right, face.box.bottom) for face in faces]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 5, 2),
        np.array([face.confidence for face in faces], np.float32),
    )
