"""mien's own face detector: a small grid network with its card inside the file, shipped in the wheel."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.grid import CELL_VALUES, GridDetector, InferenceScale, decode, surroundings
from mien.detection.orientation import turn_upright
from mien.errors import ModelError
from mien.models.onnx_file import check_onnx, detector_card_in, open_session, read_onnx
from mien.structures import box_iou

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from mien.structures import Box, Face, Frame

RESCORING_SIZES = ((96, 36.0), (96, 48.0), (128, 64.0), (160, 80.0), (192, 100.0))
"""Test-time augmentation of an uncertain face: side of each image in pixels, and of the face in it."""

RESCORING_MIN_SCORE = 0.02
"""Candidates in those images with a lower score don't count."""

RESCORING_MIN_IOU = 0.4
"""IoU above which a candidate there is the same face."""

DWARF_RATIO, DWARF_MIN_SCORE = 6.0, 0.6
"""A face this many times smaller than a certain one needs this score: next to a portrait it is mostly an emblem, or a
print on a shirt."""


class MienDetector(GridDetector):
    """Finds faces with a detector that ``mien train --arch face-detector`` trained; safe to call from several threads.

    Attributes:
        card: its threshold, the framing of its boxes, and its origin.

    Example:
        >>> import numpy as np
        >>> from mien.detection import MienDetector
        >>> from mien.models.store import ModelStore
        >>> detector = MienDetector(ModelStore().load("faces"))
        >>> detector.detect(np.zeros((240, 320, 3), np.uint8))
        []
    """

    min_face_px = 16.0
    """Below, no expression can be recognised, and half of all false faces are as small: enlarged, a hand or a letter
    passes for one."""

    scales = (
        InferenceScale(640, max_enlargement=2.0, max_face_share=0.4),
        InferenceScale(320, min_face_share=0.25),
    )

    uncertain_scores = (0.45, 0.65)
    """A face with a score between these is rescored at five scales and in their mirror images; the mean counts. On the
    held-out images, where 0.4 faces per image are uncertain, recall of small faces rises from 0.80 to 0.86 at as many
    false ones, that of large ones from 0.94 to 0.95."""

    def __init__(self, model: Path | bytes, *, score_threshold: float | None = None, threads: int = 1) -> None:
        """Load the network.

        Args:
            model: the .onnx file, or its bytes.
            score_threshold: least score of a face, 0 to 1; None: the card's.
            threads: of ONNX Runtime within one call; 0: one per core.

        Raises:
            ModelError: there is no such file, or it is no detector of mien's.
        """
        content = model if isinstance(model, bytes) else read_onnx(model)
        check_onnx(content)
        self._session = open_session(content, threads)
        self.card = detector_card_in(self._session)
        self._min_score = self.card.score if score_threshold is None else score_threshold
        super().__init__(min(self._min_score, self.uncertain_scores[0]), self.card.overlap)
        shapes = [output.shape for output in self._session.get_outputs()]
        if len(shapes) != 1 or shapes[0][-1] != CELL_VALUES:
            raise ModelError(f"expected one output of {CELL_VALUES} numbers per grid cell; received {shapes}")

    def grid_cells(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the network; see ``GridDetector.grid_cells``."""
        cells: npt.NDArray[np.float32] = self._session.run(None, {self._session.get_inputs()[0].name: images})[0]
        cells[..., 0] = sigmoid(cells[..., 0])
        cells[..., 3:5] += np.log(self.card.framing)
        return cells

    def rescore(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """The candidates that reach the threshold, uncertain ones by their score after test-time augmentation."""
        low, high = self.uncertain_scores
        faces = [self._rescored(frame, face) if low <= face.confidence < high else face for face in faces]
        largest = max((face.box.side for face in faces if face.confidence >= high), default=0.0)

        def min_score(face: Face) -> float:
            return max(self._min_score, DWARF_MIN_SCORE) if face.box.side * DWARF_RATIO < largest else self._min_score

        return turn_upright(self, frame, [face for face in faces if face.confidence >= min_score(face)])

    def _rescored(self, frame: Frame, face: Face) -> Face:
        """The face with the mean of its score and those at the rescoring sizes."""
        scores = [score for sizes in RESCORING_SIZES for score in self._scores_at(frame, face.box, *sizes)]
        return dataclasses.replace(face, confidence=float(np.mean([face.confidence, *scores])))

    def _scores_at(self, frame: Frame, box: Box, image_px: int, face_px: float) -> list[float]:
        """The scores of a face in an image of it and its surroundings, and in the mirror image."""
        image, corners = surroundings(frame, box, image_px, face_px)
        mirrored = corners[[2, 1, 0, 3]] * (-1, 1, -1, 1) + (image_px, 0, image_px, 0)
        cells = self.grid_cells(np.stack([image, image[:, ::-1]]))
        return [_score_at(*pair, image_px) for pair in zip((corners, mirrored), cells, strict=True)]


def _score_at(box: npt.NDArray[np.floating], cells: npt.NDArray[np.float32], image_px: int) -> float:
    """The best score of a candidate that overlaps the box, 0 if there is none."""
    candidates = decode(cells, image_px, image_px, RESCORING_MIN_SCORE)
    return float(candidates.scores[box_iou(box, candidates.boxes.T) > RESCORING_MIN_IOU].max(initial=0.0))
