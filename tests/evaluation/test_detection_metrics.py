"""Detection metrics equal those counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.scenes import BoxedFaces
from mien.detection import WholeImageDetector
from mien.detection.grid import Detections
from mien.evaluation.detection_metrics import DetectionMetrics, as_detections, evaluate_detector, match_faces, total
from mien.evaluation.detection_robustness import recall_curves
from mien.structures import Box, Face

POINTS = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], np.float32)


def known(*rows: tuple[tuple[float, float, float, float], float]) -> BoxedFaces:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    return BoxedFaces(boxes, np.repeat(POINTS[None], len(rows), axis=0), scores)


def found(*rows: tuple[tuple[float, float, float, float], float], shift: float = 0.0) -> Detections:
    labelled = known(*rows)
    return Detections(labelled.boxes, labelled.points + np.float32(shift), labelled.scores)


SURE, DOUBTFUL = ((0, 0, 40, 40), 0.9), ((100, 0, 140, 40), 0.4)
ELSEWHERE = ((200, 200, 240, 240), 0.8)


@pytest.mark.parametrize(
    ("boxes", "faces", "counts"),
    [
        ([], [], (0, 0, 0)),
        ([SURE], [SURE], (1, 0, 0)),
        ([], [SURE], (0, 1, 0)),
        ([ELSEWHERE], [], (0, 0, 1)),
        ([ELSEWHERE], [SURE], (0, 1, 1)),
        ([], [DOUBTFUL], (0, 0, 0)),
        ([DOUBTFUL], [DOUBTFUL], (0, 0, 0)),  # neither asked for nor wrong
        ([SURE, ((2, 2, 42, 42), 0.5)], [SURE], (1, 0, 0)),  # a second box of one face is that face
        ([((20, 0, 60, 40), 0.9)], [SURE], (0, 1, 1)),  # a third in common is another place
        ([SURE, DOUBTFUL, ELSEWHERE], [SURE, DOUBTFUL], (1, 0, 1)),
    ],
)
def test_counts(boxes, faces, counts):
    seen = match_faces(found(*boxes), known(*faces))
    assert (seen.true_positives, seen.false_negatives, seen.false_positives) == counts
    assert seen.images == 1


@pytest.mark.parametrize(("sizes", "counts"), [((20, 50), (1, 0, 1)), ((50, np.inf), (0, 0, 0)), ((0, 30), (0, 0, 0))])
def test_only_faces_of_the_sizes_asked_for_count(sizes, counts):
    seen = match_faces(found(SURE, ELSEWHERE), known(SURE), *sizes)
    assert (seen.true_positives, seen.false_negatives, seen.false_positives) == counts


def test_overlap_and_landmark_error_of_what_was_found():
    seen = match_faces(found(((0, 0, 40, 20), 0.9), shift=1.0), known(SURE))
    assert seen.ious == pytest.approx([0.5])
    assert seen.landmark_errors == pytest.approx([np.sqrt(2) / 10])


def test_figures_of_all_images():
    all_ = total([DetectionMetrics(8, 2, 1, 1), DetectionMetrics(1, 0, 0, 1)])
    assert (all_.recall, all_.false_positives_per_image) == (pytest.approx(9 / 11), 0.5)
    assert (all_.accuracy, all_.f1) == (pytest.approx(9 / 12), pytest.approx(18 / 21))
    nothing = total([])
    assert (nothing.recall, nothing.false_positives_per_image, nothing.accuracy) == (1.0, 0.0, 0.0)


def test_a_detector_is_evaluated_image_by_image():
    frame = np.zeros((50, 40, 3), np.uint8)
    told: list[float] = []
    result = evaluate_detector(
        WholeImageDetector(), [(frame, known(((0, 0, 40, 50), 0.9))), (frame, known())], on_progress=told.append
    )
    assert (result.overall.true_positives, result.overall.false_positives, result.overall.images) == (1, 1, 2)
    assert [part.true_positives for _, part in result.by_size] == [0, 1]
    assert np.isnan(result.overall.landmark_errors[0])
    assert result.latency_ms > 0
    assert told == [0.5, 1.0]


def test_faces_as_arrays():
    arrays = as_detections([Face(Box(1, 2, 3, 4), confidence=0.5)])
    assert arrays.boxes.tolist() == [[1, 2, 3, 4]]
    assert np.isnan(arrays.points).all()
    assert as_detections([]).points.shape == (0, 5, 2)


class Bright:
    """Finds one face, the frame, where the image is bright."""

    def detect(self, frame):
        return WholeImageDetector().detect(frame) if frame.max() > 100 else []


def test_recall_curves():
    frame = np.full((80, 80, 3), 200, np.uint8)
    turned, dark, covered = recall_curves(Bright(), [(frame, known(((0, 0, 80, 80), 0.9)))])
    assert dict(zip(dark.steps, dark.recalls, strict=True)) == {
        "1": 1.0, "0.8": 1.0, "0.6": 1.0, "0.4": 0.0, "0.3": 0.0, "0.2": 0.0,
    }  # fmt: skip
    assert covered.recalls == (1.0,) * 5
    assert turned.recalls[0] == 1.0
