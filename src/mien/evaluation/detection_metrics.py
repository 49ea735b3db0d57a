"""Detection metrics: recall by face size, false positives per image (FPPI), IoU of boxes, and landmark error."""

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

CERTAIN_SCORE = 0.7
"""The label's score from which a face must be found; a face with a lower score may be found or not."""

FACE_SIZES_PX = ((20.0, 40.0), (40.0, np.inf))
"""Ranges of the longer side: small faces, and faces whose expression can be recognised."""

MATCH_IOU = 0.4
"""Intersection over union (IoU) from which a detection matches a labelled face."""


@dataclass(frozen=True)
class DetectionMetrics:
    """Counts of matched and unmatched detections in some images, and the metrics made of them.

    Attributes:
        true_positives: certain faces that were found.
        false_negatives: certain faces that were missed.
        false_positives: boxes that match no face.
        images: number of images.
        ious: intersection over union of each face found.
        landmark_errors: mean landmark distance of each face found, divided by its eye distance.
    """

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    images: int = 0
    ious: tuple[float, ...] = ()
    landmark_errors: tuple[float, ...] = ()

    def __add__(self, other: DetectionMetrics) -> DetectionMetrics:
        return DetectionMetrics(
            self.true_positives + other.true_positives,
            self.false_negatives + other.false_negatives,
            self.false_positives + other.false_positives,
            self.images + other.images,
            self.ious + other.ious,
            self.landmark_errors + other.landmark_errors,
        )

    @property
    def faces(self) -> int:
        """Number of certain faces, found or missed."""
        return self.true_positives + self.false_negatives

    @property
    def recall(self) -> float:
        """Share of the certain faces that were found; 1.0 without any."""
        return self.true_positives / self.faces if self.faces else 1.0

    @property
    def false_positives_per_image(self) -> float:
        """False positives per image (FPPI)."""
        return self.false_positives / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """True positives divided by all true positives, false negatives and false positives."""
        return self.true_positives / max(self.faces + self.false_positives, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.true_positives / max(self.true_positives + self.faces + self.false_positives, 1)

    @property
    def iou(self) -> float | None:
        """The median intersection over union; None if no face was found."""
        return float(np.median(self.ious)) if self.ious else None

    @property
    def landmark_error(self) -> float | None:
        """The median landmark error in eye distances; None if the detector gives no landmarks."""
        known = [error for error in self.landmark_errors if np.isfinite(error)]
        return float(np.median(known)) if known else None


@dataclass(frozen=True)
class DetectorResult:
    """The metrics of a detector on some images.

    Attributes:
        overall: all face sizes together.
        by_size: ranges of the longer side in pixels, each with its metrics.
        latency_ms: median milliseconds per image.
    """

    overall: DetectionMetrics
    by_size: tuple[tuple[tuple[float, float], DetectionMetrics], ...]
    latency_ms: float

    @property
    def in_sizes(self) -> DetectionMetrics:
        """All ranges together, for IoU and landmark error: on smaller faces one pixel dominates both."""
        return total(part for _, part in self.by_size)


def match_faces(
    detections: Detections,
    known: BoxedFaces,
    min_px: float = 0.0,
    max_px: float = np.inf,
    certain_score: float = CERTAIN_SCORE,
) -> DetectionMetrics:
    """Match the detections in one image with its labelled faces, highest score first.

    Args:
        detections: detections after non-maximum suppression, in any order.
        known: the labelled faces, including uncertain ones.
        min_px: longer side in pixels from which a labelled face must be found; smaller ones are optional. An unmatched
            detection smaller than this is no false positive.
        max_px: longer side in pixels from which faces are optional again.
        certain_score: label score from which a face has to be found.
    """
    sides = known.sides
    required = (known.scores >= certain_score) & (sides >= min_px) & (sides < max_px)
    matched: dict[int, tuple[float, float]] = {}
    false_positives = 0
    for row in np.argsort(-detections.scores, kind="stable"):
        ious = box_iou(detections.boxes[row], known.boxes.T) if len(known) else np.zeros(0)
        face = int(ious.argmax()) if len(ious) else -1
        if face < 0 or ious[face] < MATCH_IOU:
            side = (detections.boxes[row, 2:] - detections.boxes[row, :2]).max()
            false_positives += int(min_px <= side < max_px)
        elif face not in matched:
            matched[face] = (float(ious[face]), _landmark_error(detections.points[row], known.points[face]))
    hits = [matched[face] for face in np.flatnonzero(required).tolist() if face in matched]
    return DetectionMetrics(
        true_positives=len(hits),
        false_negatives=int(required.sum()) - len(hits),
        false_positives=false_positives,
        images=1,
        ious=tuple(iou for iou, _ in hits),
        landmark_errors=tuple(error for _, error in hits),
    )


def total(parts: Iterable[DetectionMetrics]) -> DetectionMetrics:
    """The metrics of all images together."""
    return sum(parts, DetectionMetrics())


def evaluate_detector(
    detector: Detector,
    images: Sequence[tuple[Frame, BoxedFaces]],
    sizes: Sequence[tuple[float, float]] = FACE_SIZES_PX,
    on_progress: Callable[[float], None] = lambda _: None,
) -> DetectorResult:
    """Run a detector on labelled images and measure recall by face size, FPPI, IoU, landmark error and latency.

    Args:
        detector: any detector.
        images: RGB images with their labelled faces; uncertain ones (below ``CERTAIN_SCORE``) may be found or not.
        sizes: ranges of the longer side in pixels that are reported separately.
        on_progress: called with the share of images done, 0 to 1.
    """
    overall, seconds = [], []
    parts: list[list[DetectionMetrics]] = [[] for _ in sizes]
    for number, (frame, known) in enumerate(images, start=1):
        started = time.perf_counter()
        faces = detector.detect(frame)
        seconds.append(time.perf_counter() - started)
        detections = as_detections(faces)
        overall.append(match_faces(detections, known))
        for part, size in zip(parts, sizes, strict=True):
            part.append(match_faces(detections, known, *size))
        on_progress(number / len(images))
    return DetectorResult(
        total(overall),
        tuple((size, total(part)) for size, part in zip(sizes, parts, strict=True)),
        1000.0 * float(np.median(seconds)),
    )


def as_detections(faces: Sequence[Face]) -> Detections:
    """Detected faces as arrays; landmarks are NaN if the detector gives none."""
    unknown = ((np.nan, np.nan),) * 5
    points = [dataclasses.astuple(face.landmarks) if face.landmarks else unknown for face in faces]
    boxes = [(face.box.left, face.box.top, face.box.right, face.box.bottom) for face in faces]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(points, np.float32).reshape(-1, 5, 2),
        np.array([face.confidence for face in faces], np.float32),
    )


def size_label(low: float, high: float) -> str:
    """A range of face sizes as tables show it: "20 to 40 px"."""
    return f"{low:g} px and more" if high == np.inf else f"{low:g} to {high:g} px"


def _landmark_error(points: npt.NDArray[np.float32], known: npt.NDArray[np.float32]) -> float:
    eye_distance = float(np.hypot(*(known[0] - known[1])))
    return float(np.hypot(*(points - known).T).mean()) / max(eye_distance, 1e-6)
