"""mien's own face detector: one small network, its card inside the file, shipped in the wheel."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mien.classification.probabilities import sigmoid
from mien.detection.boxes import overlaps
from mien.detection.grid import CELL, decode
from mien.detection.grid_detector import CellDetector, Look
from mien.errors import ModelError
from mien.models.onnx_file import check_onnx, detector_card_in, open_session, read_onnx

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from mien.structures import Box, Face, Frame

AGAIN = ((96, 36.0), (96, 48.0), (128, 64.0), (160, 80.0), (192, 100.0))
"""Sides of the images that a doubtful face is looked at in again, and of the face in each."""

DWARFED, SURE = 6.0, 0.6
"""A face so many times smaller than a sure one must have this score: beside a portrait it is mostly an emblem, or a
print on a shirt."""

LEAST, SAME = 0.02, 0.4
"""The least score that counts there, and the intersection over union from which a box means the same face."""


class OwnDetector(CellDetector):
    """Finds faces with a detector that ``mien train --arch face-detector`` taught; several threads may share it.

    Attributes:
        card: its threshold, the framing of its boxes, and where it came from.
    """

    smallest = 16.0
    """Of less no expression can be read, and half of all false faces are as small: enlarged, a hand or a letter looks
    like one."""

    looks = (Look(640, enlarge=2.0, most=0.4), Look(320, least=0.25))

    doubtful = (0.45, 0.65)
    """Scores between which a face is looked at again, at five scales, mirrored too; it keeps the mean of all. On the
    held-out images, where 0.4 an image are doubtful, recall of small faces rises from 0.80 to 0.86 at as many
    false ones, that of large ones from 0.94 to 0.95."""

    def __init__(self, model: Path | bytes, *, score: float | None = None, threads: int = 1) -> None:
        """Loads the network.

        Args:
            model: the .onnx file, or its bytes.
            score: the least score of a face, 0 to 1; None: the card's.
            threads: of ONNX Runtime within one call; 0: one a core.

        Raises:
            ModelError: there is no such file, or it is no detector of mien's.
        """
        content = model if isinstance(model, bytes) else read_onnx(model)
        check_onnx(content)
        self._session = open_session(content, threads)
        self.card = detector_card_in(self._session)
        self._wanted = self.card.score if score is None else score
        super().__init__(min(self._wanted, self.doubtful[0]), self.card.overlap)
        outputs = self._session.get_outputs()
        if len(outputs) != 1 or outputs[0].shape[-1] != CELL:
            raise ModelError(f"expected one output of {CELL} numbers a cell; received {[o.shape for o in outputs]}")

    def cells(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As ``CellDetector`` asks."""
        cells: npt.NDArray[np.float32] = self._session.run(None, {self._session.get_inputs()[0].name: images})[0]
        cells[..., 0] = sigmoid(cells[..., 0])
        cells[..., 3:5] += np.log(self.card.framing)
        return cells

    def settled(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """The candidates with a score that is enough, doubtful ones after another look."""
        low, high = self.doubtful
        looked = [self._seen_again(frame, face) if low <= face.confidence < high else face for face in faces]
        largest = max((face.box.side for face in looked if face.confidence >= high), default=0.0)
        return [
            face
            for face in looked
            if face.confidence >= (self._wanted if face.box.side * DWARFED >= largest else max(self._wanted, SURE))
        ]

    def _seen_again(self, frame: Frame, face: Face) -> Face:
        """The face with the mean of its score and those at other scales, where nothing is far around it."""
        again = [score for side, large in AGAIN for score in self._scores_again(frame, face.box, side, large)]
        return dataclasses.replace(face, confidence=float(np.mean([face.confidence, *again])))

    def _scores_again(self, frame: Frame, around: Box, side: int, large: float) -> list[float]:
        """What is said of a face in an image of it and little else, and in its mirror image."""
        image, box = _surroundings(frame, around, side, large)
        mirrored = box[[2, 1, 0, 3]] * (-1, 1, -1, 1) + (side, 0, side, 0)
        cells = self.cells(np.stack([image, image[:, ::-1]]))
        return [_score_at(where, said, side) for where, said in zip((box, mirrored), cells, strict=True)]


def _score_at(box: npt.NDArray[np.floating], cells: npt.NDArray[np.float32], side: int) -> float:
    """The best score of what lies where the box does, 0 if there is nothing."""
    found = decode(cells, side, side, LEAST)
    return float(found.scores[overlaps(box, found.boxes) > SAME].max(initial=0.0))


def _surroundings(frame: Frame, box: Box, side: int, large: float) -> tuple[Frame, npt.NDArray[np.floating]]:
    """A face made large and what is around it: the image, and the box in it: left, top, right, bottom."""
    scale = large / box.side
    reach = side / scale / 2
    left, top, right, bottom = (round(at + by) for by in (-reach, reach) for at in box.centre)
    first_x, first_y = max(left, 0), max(top, 0)
    part = frame[first_y : max(bottom, 0), first_x : max(right, 0)]
    seen = np.zeros((side, side, 3), np.uint8)
    if part.size:
        x, y = round((first_x - left) * scale), round((first_y - top) * scale)
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        room = seen[y : y + size[1], x : x + size[0]]
        room[:] = small[: room.shape[0], : room.shape[1]]
    corners = np.array([box.left, box.top, box.right, box.bottom])
    return seen, (corners - (left, top, left, top)) * scale
