"""Exports a trained face detector to ONNX: selects its threshold, verifies the graph, and seals the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.grid import Detections
from mien.detection.mien_detector import MienDetector
from mien.errors import TrainingError
from mien.evaluation.detection_metrics import (
    FACE_SIZES_PX,
    DetectionMetrics,
    as_detections,
    match_faces,
    size_label,
    total,
)
from mien.media.files import write_bytes
from mien.models.card import DetectorCard, Origin, Score
from mien.models.onnx_file import open_session
from mien.training.architectures.detector import CELLS
from mien.training.export.card import sealed, versions
from mien.training.export.conversion import to_onnx
from mien.training.tasks.detection.task import EVALUATION_PX, NMS_IOU, letterboxed

if TYPE_CHECKING:
    from pathlib import Path

    from mien.data.scenes import Scenes
    from mien.training.config import TrainingConfig

MAX_FPPI = 0.05
"""False positives per image (FPPI) at the selected threshold, on the held-out images."""

MIN_THRESHOLD, MAX_THRESHOLD = 0.2, 0.9
THRESHOLDS = 71
TOLERANCE = 1e-4
"""Largest difference between a score of Keras and of the exported graph; ten times that for coordinates, in strides."""

COMPARED_IMAGES = 16
NAME = "faces"
"""Name of the detector in its card."""


def export_detector(
    model: keras.Model, training: Scenes, validation: Scenes, config: TrainingConfig, path: Path
) -> DetectorCard:
    """Write the model file of a trained detector.

    Args:
        model: the trained network in float32.
        training: its training scenes, named in the card.
        validation: held-out scenes for the threshold and the scores in the card.
        config: the training config.
        path: of the .onnx file, written atomically.

    Raises:
        TrainingError: the exported graph does not agree with Keras.
        MissingExtraError: no backend with ONNX export, or not its exporter, is installed.
    """
    graph = to_onnx(model)
    _check_agreement(model, graph, validation)
    origin = Origin(
        network=config.network,
        data=f"{training.name} sha256:{training.digest}, {len(training)} images",
        config=config.to_toml(),
        made_with=versions(keras.backend.backend()),
        licence=config.licence,
    )
    trial = MienDetector(sealed(graph, DetectorCard(NAME, MIN_THRESHOLD, NMS_IOU)))
    detections = [as_detections(trial.detect(frame)) for frame, _ in validation.images]
    score = _threshold(detections, validation)
    card = DetectorCard(NAME, score, NMS_IOU, origin=origin, scores=_scores(detections, validation, score))
    write_bytes(path, sealed(graph, card))
    return card


def _threshold(detections: list[Detections], validation: Scenes) -> float:
    """The lowest threshold with an FPPI of at most ``MAX_FPPI``; the highest one where there is none."""
    thresholds: list[float] = np.linspace(MIN_THRESHOLD, MAX_THRESHOLD, THRESHOLDS).round(2).tolist()
    for score in thresholds:
        if _evaluated(detections, validation, score).false_positives_per_image <= MAX_FPPI:
            return score
    return MAX_THRESHOLD


def _evaluated(detections: list[Detections], validation: Scenes, score: float, *sizes: float) -> DetectionMetrics:
    kept = (Detections(*(values[each.scores >= score] for values in each)) for each in detections)
    pairs = zip(kept, validation.images, strict=True)
    return total(match_faces(boxes, known, *sizes) for boxes, (_, known) in pairs)


def _scores(detections: list[Detections], validation: Scenes, score: float) -> tuple[Score, ...]:
    overall = _evaluated(detections, validation, score)
    parts = {size_label(*size): _evaluated(detections, validation, score, *size) for size in FACE_SIZES_PX}
    counted = total(parts.values())
    figures = [(NAME, "FPPI", overall.false_positives_per_image, overall.images)]
    figures += [(name, "recall", part.recall, part.faces) for name, part in parts.items()]
    if counted.iou is not None and counted.landmark_error is not None:
        figures.append((NAME, "iou", counted.iou, counted.true_positives))
        figures.append((NAME, "landmark error", counted.landmark_error, counted.true_positives))
    return tuple(Score(head, "held out", metric, round(value, 4), count) for head, metric, value, count in figures)


def _check_agreement(model: keras.Model, graph: bytes, validation: Scenes) -> None:
    images = np.stack([letterboxed(*scene)[0] for scene in validation.images[:COMPARED_IMAGES]])
    session = open_session(graph)
    name = session.get_inputs()[0].name
    expected = np.asarray(model.predict_on_batch(images)[CELLS])
    for width in (EVALUATION_PX, EVALUATION_PX // 2):  # the graph takes any size
        exported = session.run(None, {name: images[:, :, :width]})[0]
        reference = (
            expected if width == EVALUATION_PX else np.asarray(model.predict_on_batch(images[:, :, :width])[CELLS])
        )
        difference = (
            np.abs(sigmoid(exported[..., 0]) - sigmoid(reference[..., 0])).max(),
            np.abs(exported - reference)[..., 1:].max() / 10,
        )
        worst = max(difference)
        if not worst <= TOLERANCE:
            raise TrainingError(
                f"expected the exported graph to agree with Keras to {TOLERANCE}; received a difference of {worst}"
            )
