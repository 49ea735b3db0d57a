"""The lesson of the face detector: composed images, and where the faces are in them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.boxes import non_max_suppression
from mien.detection.grid import Detections, decode
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
from mien.training.tasks.detection.losses import CellLoss, found_share
from mien.training.tasks.detection.targets import targets_of

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

SIDE = 256
"""Pixels of the images learnt from: faces of 6 to 300 pixels fit, and 320 would cost half as much again."""

JUDGED_SIDE = 320
"""Pixels that held-out images are judged at, enlarged at most twice."""

JUDGED_FROM = 32.0
"""Pixels of the longer side from which faces are asked for there."""

CERTAIN = 0.5
OVERLAP = 0.4
STATISTICS = 512
"""Images from which batch normalisation is estimated."""


class Faces:
    """The detector, the scenes learnt from and those held out.

    Args:
        training: the scenes that images are composed from.
        validation: the scenes that the epoch is chosen on.
        config: every choice; of its augmentation none is taken: ``composition`` has its own.
        teacher: the detector that the config names, if it names one.
        crops: that the config names, if it does: what is pasted besides portraits.
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
        self._composer = Composer(training, SIDE, boxed_crops(crops, teacher) if crops and teacher else ())
        self.config = config
        self.batch = min(config.batch, len(training))
        self.steps = max(1, len(training) // config.batch)

    def network(self) -> keras.Model:
        """As ``Lesson`` asks."""
        with precision("float32"):
            return face_detector()

    def learner(self, start: Callable[[keras.Model], None] | None) -> keras.Model:
        """As ``Lesson`` asks."""
        keras.utils.set_random_seed(self.config.seed)
        with precision(self.config.precision):
            model = face_detector()
        if start:
            start(model)
        share = keras.metrics.MeanMetricWrapper(found_share, name="accuracy")
        return compile_model(model, self.config, self.steps, loss={CELLS: CellLoss()}, metrics={CELLS: [share]})

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """As ``Lesson`` asks; multiply-adds are those of an image of 320x320."""
        data, heads = (self._training, self._validation), ((CELLS, ("face",)),)
        return run_info_of(model, data, heads, self.config, source, multiply_adds(face_detector(320)))

    def write_samples(self, path: Path) -> None:
        """Sixteen images with the boxes that are learnt: faces green, doubtful ones orange."""
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

    def epoch(self, number: int, first: int) -> Iterator[Batch]:
        """As ``Lesson`` asks; image i of an epoch is a function of (seed, epoch, i)."""
        return prefetch((self._batch(number, step) for step in range(first, self.steps)), 1)

    def on_device(self, _model: keras.Model) -> Stepper:
        """As ``Lesson`` asks: never, since images are composed of files by the host."""
        raise UsageError(
            "expected a network that names expressions with --on-device; received the face detector. Leave it away"
        )

    def plain_images(self, most: int) -> npt.NDArray[np.uint8]:
        """As ``Lesson`` asks: composed images, since what is seen in use is as varied."""
        return self._plain_images[:most]

    def judge(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """As ``Lesson`` asks: accuracy is found over found, missed and false together, F1 that of faces."""
        parts = []
        for at in range(0, len(self._validation), 32):
            check()
            scenes = self._validation.images[at : at + 32]
            images, faces = zip(*(placed(frame, known) for frame, known in scenes), strict=True)
            cells = np.asarray(model.predict_on_batch(np.stack(images))[CELLS], np.float32)
            found = (found_in(rows, JUDGED_SIDE, CERTAIN) for rows in cells)
            parts += [match_faces(boxes, known, JUDGED_FROM) for boxes, known in zip(found, faces, strict=True)]
        all_ = total(parts)
        return (HeadScore(CELLS, all_.accuracy, all_.f1, 1.0 if all_.landmark_error is None else all_.landmark_error),)

    @cached_property
    def _plain_images(self) -> npt.NDArray[np.uint8]:
        return np.stack([self._composer.compose(self._random(-1, index)).image for index in range(STATISTICS)])

    def _batch(self, epoch: int, step: int) -> Batch:
        composed = [
            self._composer.compose(self._random(epoch, step * self.batch + index)) for index in range(self.batch)
        ]
        clear = np.stack([one.clear for one in composed])
        trained = self._teacher.grid_cells(clear) if self._teacher else [None] * len(composed)
        targets = np.stack([targets_of(one.faces, SIDE, said) for one, said in zip(composed, trained, strict=True)])
        images = np.stack([one.image for one in composed])
        return Batch(images, {CELLS: targets}, {CELLS: np.ones(self.batch, np.float32)})

    def _random(self, epoch: int, index: int) -> np.random.Generator:
        return generator(self.config.seed, epoch + 1, stream=100 + index)


def found_in(cells: npt.NDArray[np.float32], side: int, least: float) -> Detections:
    """The faces in a square image's cells, (cells, 15), after suppression."""
    found = decode(np.hstack([sigmoid(cells[:, :1]), cells[:, 1:]]), side, side, least)
    kept = non_max_suppression(found.boxes, found.scores, OVERLAP)
    return Detections(found.boxes[kept], found.points[kept], found.scores[kept])


def placed(frame: npt.NDArray[np.uint8], faces: BoxedFaces) -> tuple[npt.NDArray[np.uint8], BoxedFaces]:
    """An image in the corner of a black square, as detectors see it."""
    scale = min(2.0, JUDGED_SIDE / max(frame.shape[:2]))
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    seen = np.zeros((JUDGED_SIDE, JUDGED_SIDE, 3), np.uint8)
    seen[: size[1], : size[0]] = cv2.resize(
        frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    spans = np.diag([size[0] / frame.shape[1], size[1] / frame.shape[0]])
    return seen, faces.under(np.column_stack([spans, np.zeros(2)]))
