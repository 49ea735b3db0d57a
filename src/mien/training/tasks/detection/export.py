"""From a taught detector to the .onnx file that finds faces: its threshold chosen, proven equal, sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.mien_detector import MienDetector
from mien.errors import TrainingError
from mien.evaluation.detection_metrics import FACE_SIZES_PX, DetectionMetrics, as_found, match_faces, size_label, total
from mien.media.files import write_bytes
from mien.models.card import DetectorCard, Origin, Score
from mien.models.onnx_file import open_session
from mien.training.architectures.detector import CELLS
from mien.training.export.card import sealed, versions
from mien.training.export.conversion import to_onnx
from mien.training.tasks.detection.task import JUDGED_SIDE, OVERLAP, placed

if TYPE_CHECKING:
    from pathlib import Path

    from mien.data.scenes import Scenes
    from mien.detection.grid import Detections
    from mien.training.config import TrainingConfig

MOST_FALSE = 0.05
"""False faces an image at the threshold that is chosen, over the held-out images."""

LEAST_SCORE, MOST_SCORE = 0.2, 0.9
STEPS = 71
AGREEMENT = 1e-4
"""Largest difference between a score of Keras and of the exported graph; of places, in strides, ten times that."""

COMPARED = 16
NAME = "faces"
"""What the detector is called in its card."""


def export_detector(
    model: keras.Model, training: Scenes, validation: Scenes, config: TrainingConfig, path: Path
) -> DetectorCard:
    """Writes the model file of a taught detector.

    Args:
        model: the float32 network with its weights.
        training: what it was taught with, named in the card.
        validation: what its threshold is chosen on, and what the card's scores are of.
        config: how it was taught.
        path: the .onnx file, written whole.

    Raises:
        TrainingError: the exported graph does not agree with Keras.
        MissingExtraError: no backend that exports, or not its exporter, is installed.
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
    trial = MienDetector(sealed(graph, DetectorCard(NAME, LEAST_SCORE, OVERLAP)))
    found = [as_found(trial.detect(frame)) for frame, _ in validation.images]
    score = _threshold(found, validation)
    card = DetectorCard(NAME, score, OVERLAP, origin=origin, scores=_scores(found, validation, score))
    write_bytes(path, sealed(graph, card))
    return card


def _threshold(found: list[Detections], validation: Scenes) -> float:
    """The lowest score at which false faces are rare; the highest that is tried where they never are."""
    scores: list[float] = np.linspace(LEAST_SCORE, MOST_SCORE, STEPS).round(2).tolist()
    for score in scores:
        if _judged(found, validation, score).false_positives_per_image <= MOST_FALSE:
            return score
    return MOST_SCORE


def _judged(found: list[Detections], validation: Scenes, score: float, *sizes: float) -> DetectionMetrics:
    kept = (type(all_)(*(part[all_.scores >= score] for part in all_)) for all_ in found)
    pairs = zip(kept, validation.images, strict=True)
    return total(match_faces(boxes, known, *sizes) for boxes, (_, known) in pairs)


def _scores(found: list[Detections], validation: Scenes, score: float) -> tuple[Score, ...]:
    whole = _judged(found, validation, score)
    parts = {size_label(*size): _judged(found, validation, score, *size) for size in FACE_SIZES_PX}
    placed = total(parts.values())
    figures = [(NAME, "false an image", whole.false_positives_per_image, whole.images)]
    figures += [(name, "recall", part.recall, part.faces) for name, part in parts.items()]
    if placed.iou is not None and placed.landmark_error is not None:
        figures.append((NAME, "iou", placed.iou, placed.true_positives))
        figures.append((NAME, "landmark error", placed.landmark_error, placed.true_positives))
    return tuple(Score(head, "held out", metric, round(value, 4), count) for head, metric, value, count in figures)


def _check_agreement(model: keras.Model, graph: bytes, validation: Scenes) -> None:
    images = np.stack([placed(*scene)[0] for scene in validation.images[:COMPARED]])
    session = open_session(graph)
    name = session.get_inputs()[0].name
    expected = np.asarray(model.predict_on_batch(images)[CELLS])
    for width in (JUDGED_SIDE, JUDGED_SIDE // 2):  # the graph takes any size
        own = session.run(None, {name: images[:, :, :width]})[0]
        theirs = expected if width == JUDGED_SIDE else np.asarray(model.predict_on_batch(images[:, :, :width])[CELLS])
        away = np.abs(sigmoid(own[..., 0]) - sigmoid(theirs[..., 0])).max(), np.abs(own - theirs)[..., 1:].max() / 10
        if not max(away) <= AGREEMENT:
            raise TrainingError(
                f"expected the exported graph to agree with Keras to {AGREEMENT}; received a difference of {max(away)}"
            )
