"""Face detection: the training task of mien's own detector."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.grid import Detections, decode, non_max_suppression
from mien.errors import UsageError
from mien.evaluation.detection_metrics import match_faces, total
from mien.media.files import write_bytes
from mien.media.prefetch import prefetch
from mien.training.architectures.complexity import multiply_adds
from mien.training.architectures.detector import CELLS, face_detector
from mien.training.engine.augmentation import generator
from mien.training.engine.optimization import compile_model, precision
from mien.training.engine.steps import Batch
from mien.training.run.history import HeadScore
from mien.training.run.resume import run_info_of
from mien.training.tasks.detection.composition import Composer
from mien.training.tasks.detection.copy_paste import boxed_crops
from mien.training.tasks.detection.targets import CellLoss, cell_recall, cell_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from mien.data import Dataset
    from mien.data.scenes import BoxedFaces, Scenes
    from mien.detection.grid import GridDetector
    from mien.training.config import TrainingConfig
    from mien.training.engine.steps import Stepper
    from mien.training.run.directory import RunInfo, Source

TRAINING_PX = 256
"""Side of training images: faces of 6 to 300 pixels fit, and 320 would cost half as much again."""

EVALUATION_PX = 320
"""Side of evaluation images; smaller ones are enlarged at most twice."""

MIN_EVALUATED_FACE_PX = 32.0
"""Smallest longer side of a face that evaluation counts."""

MIN_SCORE = 0.5
NMS_IOU = 0.4
STATISTICS_IMAGES = 512
"""Images from which batch normalisation is estimated."""


class DetectionTask:
    """Trains the face detector on composed images; implements ``Task``.

    Args:
        training: scenes that training images are composed from.
        validation: scenes that the best epoch is selected on.
        config: the training config; its augmentation is not used, since ``composition`` has its own.
        teacher: the detector to distil from, if the config names one.
        crops: face crops for copy-paste, if the config names them.
    """

    def __init__(
        self,
        training: Scenes,
        validation: Scenes,
        config: TrainingConfig,
        teacher: GridDetector | None = None,
        crops: Dataset | None = None,
    ) -> None:
        self._training, self._validation = training, validation
        self._teacher = teacher
        self._composer = Composer(training, TRAINING_PX, boxed_crops(crops, teacher) if crops and teacher else ())
        self.config = config
        self.batch_size = min(config.batch, len(training))
        self.steps_per_epoch = max(1, len(training) // config.batch)

    def build_model(self) -> keras.Model:
        """Implements ``Task``."""
        with precision("float32"):
            return face_detector()

    def compiled_model(self, initialize: Callable[[keras.Model], None] | None) -> keras.Model:
        """Implements ``Task``."""
        keras.utils.set_random_seed(self.config.seed)
        with precision(self.config.precision):
            model = face_detector()
        if initialize:
            initialize(model)
        recall = keras.metrics.MeanMetricWrapper(cell_recall, name="accuracy")
        return compile_model(
            model, self.config, self.steps_per_epoch, loss={CELLS: CellLoss()}, metrics={CELLS: [recall]}
        )

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """Implements ``Task``; multiply-adds are those of a 320x320 image."""
        data, heads = (self._training, self._validation), ((CELLS, ("face",)),)
        return run_info_of(model, data, heads, self.config, source, multiply_adds(face_detector(320)))

    def write_samples(self, path: Path) -> None:
        """Draw sixteen training images with their boxes: confident faces green, uncertain ones orange."""
        drawn = []
        for index in range(16):
            image, _, faces = self._composer.compose(self._random(0, index))
            for box, score in zip(faces.boxes.round().astype(int).tolist(), faces.scores.tolist(), strict=True):
                colour = (60, 220, 60) if score >= 0.7 else (240, 160, 40)
                cv2.rectangle(image, tuple(box[:2]), tuple(box[2:]), colour, 1)
            drawn.append(image)
        sheet = np.vstack([np.hstack(drawn[at : at + 4]) for at in range(0, 16, 4)])
        _, content = cv2.imencode(".png", sheet[..., ::-1])
        write_bytes(path, content.tobytes())

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """Implements ``Task``; image i of an epoch is a function of (seed, epoch, i)."""
        return prefetch((self._batch(epoch, step) for step in range(first_step, self.steps_per_epoch)), 1)

    def device_stepper(self, _model: keras.Model) -> Stepper:
        """Implements ``Task``: always refused, since the host composes the images."""
        raise UsageError("expected a classifier with --on-device; received the face detector. Remove --on-device")

    def unaugmented_images(self, limit: int) -> npt.NDArray[np.uint8]:
        """Implements ``Task``: composed images, since real images vary as much."""
        return self._statistics_images[:limit]

    def evaluate(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """Implements ``Task``: accuracy is TP / (TP + FN + FP), and macro F1 is the F1 of faces."""
        parts = []
        for at in range(0, len(self._validation), 32):
            check()
            scenes = self._validation.images[at : at + 32]
            images, faces = zip(*(letterboxed(frame, known) for frame, known in scenes), strict=True)
            cells = np.asarray(model.predict_on_batch(np.stack(images))[CELLS], np.float32)
            detections = (decode_detections(rows, EVALUATION_PX, MIN_SCORE) for rows in cells)
            pairs = zip(detections, faces, strict=True)
            parts += [match_faces(boxes, known, MIN_EVALUATED_FACE_PX) for boxes, known in pairs]
        result = total(parts)
        landmark_error = 1.0 if result.landmark_error is None else result.landmark_error
        return (HeadScore(CELLS, result.accuracy, result.f1, landmark_error),)

    @cached_property
    def _statistics_images(self) -> npt.NDArray[np.uint8]:
        return np.stack([self._composer.compose(self._random(-1, index)).image for index in range(STATISTICS_IMAGES)])

    def _batch(self, epoch: int, step: int) -> Batch:
        composed = [
            self._composer.compose(self._random(epoch, step * self.batch_size + index))
            for index in range(self.batch_size)
        ]
        clear = np.stack([sample.clear for sample in composed])
        distilled = self._teacher.grid_cells(clear) if self._teacher else [None] * len(composed)
        targets = np.stack(
            [cell_targets(sample.faces, TRAINING_PX, cells) for sample, cells in zip(composed, distilled, strict=True)]
        )
        images = np.stack([sample.image for sample in composed])
        return Batch(images, {CELLS: targets}, {CELLS: np.ones(self.batch_size, np.float32)})

    def _random(self, epoch: int, index: int) -> np.random.Generator:
        return generator(self.config.seed, epoch + 1, stream=100 + index)


def decode_detections(cells: npt.NDArray[np.float32], side: int, min_score: float) -> Detections:
    """Decode grid cells (cells, 15) of a square image into faces, after non-maximum suppression."""
    candidates = decode(np.hstack([sigmoid(cells[:, :1]), cells[:, 1:]]), side, side, min_score)
    rows = non_max_suppression(candidates.boxes, candidates.scores, NMS_IOU)
    return Detections(candidates.boxes[rows], candidates.points[rows], candidates.scores[rows])


def letterboxed(frame: npt.NDArray[np.uint8], faces: BoxedFaces) -> tuple[npt.NDArray[np.uint8], BoxedFaces]:
    """Resize an image into the top left corner of a black square, as detectors receive it, and its faces with it."""
    scale = min(2.0, EVALUATION_PX / max(frame.shape[:2]))
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    square = np.zeros((EVALUATION_PX, EVALUATION_PX, 3), np.uint8)
    square[: size[1], : size[0]] = cv2.resize(
        frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    spans = np.diag([size[0] / frame.shape[1], size[1] / frame.shape[0]])
    return square, faces.transformed(np.column_stack([spans, np.zeros(2)]))
