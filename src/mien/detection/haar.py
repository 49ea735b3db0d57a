"""OpenCV's Haar cascades: no model file, no landmarks, upright faces.

Source: Viola and Jones 2001; Lienhart and Maydt 2002; the cascades that come with OpenCV 4.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.arrays import Frame, check_frame
from mien.detection.boxes import largest_first, scale_down, suppress
from mien.faces import Box, Face

LONGEST = 480
BORDER = 0.2
SMALLEST = 24
NEIGHBOURS = 3
OVERLAP = 0.4


@dataclass(frozen=True, slots=True)
class Cascade:
    """One of OpenCV's cascades, and how its squares lie to YuNet's boxes.

    Attributes:
        file: its name in OpenCV's folder.
        step: factor from one size searched to the next.
        height: of YuNet's box over the side of the square.
        width: of YuNet's box over the side of the square.
        right: from the square's centre to YuNet's, over the side.
        down: the same downwards.
    """

    file: str
    step: float
    height: float
    width: float
    right: float
    down: float


CASCADES = (
    Cascade("haarcascade_frontalface_alt2.xml", 1.1, 1.0, 0.78, 0.0, 0.0),
    Cascade("haarcascade_frontalface_default.xml", 1.1, 1.0, 0.78, 0.0, 0.0),
    Cascade("haarcascade_profileface.xml", 1.1, 1.0, 0.78, 0.0, 0.0),
)


class HaarDetector:
    """Finds faces with three cascades; a lock inside lets several threads share it.

    OpenCV's cascades keep state during a search, hence the lock; each search uses all cores by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, largest first.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            PictureError: the frame is anything else.
        """
        grey: Any = cv2.cvtColor(check_frame(frame), cv2.COLOR_RGB2GRAY)
        small, spans = scale_down(grey, LONGEST)
        border = round(BORDER * max(small.shape))
        padded = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
        with self._lock:
            boxes, scores = self._search(padded)
        kept = suppress(boxes, scores, OVERLAP, nested=True)
        boxes = (boxes - border) * np.tile(np.float32(spans), 2)
        return largest_first(
            [Face(Box(*(float(edge) for edge in boxes[row])), None, float(scores[row])) for row in kept]
        )

    @cached_property
    def _cascades(self) -> list[tuple[Cascade, Any]]:
        folder = Path(cv2.data.haarcascades)
        return [(cascade, cv2.CascadeClassifier(str(folder / cascade.file))) for cascade in CASCADES]

    def _search(self, picture: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        boxes, scores = [], []
        for cascade, classifier in self._cascades:
            squares, counts = classifier.detectMultiScale2(
                picture, scaleFactor=cascade.step, minNeighbors=NEIGHBOURS, minSize=(SMALLEST, SMALLEST)
            )
            for (left, top, side, _), count in zip(squares, np.ravel(counts), strict=True):
                x, y = left + side * (0.5 + cascade.right), top + side * (0.5 + cascade.down)
                half = np.float32([cascade.width * side / 2, cascade.height * side / 2])
                boxes.append(np.hstack([(x, y) - half, (x, y) + half]))
                scores.append(count / (count + 10))
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)
