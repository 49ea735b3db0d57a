"""OpenCV's Haar cascades: no model file, no landmarks, upright faces.

Source: Viola and Jones 2001; Lienhart and Maydt 2002; the cascades that come with OpenCV 4.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import cv2.data
import numpy as np

from mien.detection.boxes import largest_first, overlaps, scaled, suppress
from mien.structures import Box, Face, Frame, check_frame

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST = 400
STEP = 1.1
LEAST = 20
"""Longest side searched, factor between two sizes of the search, and the least side of a face in pixels."""

BORDER = 0.2
"""Repeated edge around the image, of its longer side: cascades miss faces that are cut close."""

NEIGHBOURS = 2
AGREE = 0.3
SAME = 0.4
"""Overlap from which two cascades mean one face, and share of the smaller box above which the lesser of two goes."""

CLOSE_UP = 0.3
VOTES_CLOSE_UP = 5
VOTES = 8
"""The neighbours, over all cascades that agree, that a face needs; less where it is at least ``CLOSE_UP`` of the
image's longer side, since false boxes are small. Of 218 close portraits 3.2 % have no face and none a false one,
on 150 general images there are 0.07 false boxes each; with 2 votes for all it is 2.3 %, 0.04 and 1.13."""

WEAKEST = 0.15
"""The votes that a face needs as a share of the strongest face's in the image: beside a clear face, a weak one is
mostly a pattern. It takes the false boxes off a shirt and a rocket, and one true small face in 30."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """One of OpenCV's cascades, and how YuNet's box lies to its square, in sides of the square.

    The numbers are medians over the faces that both found in 578 images (portraits and everyday scenes).

    Attributes:
        file: its name in OpenCV's folder.
        width: of YuNet's box.
        height: of YuNet's box.
        right: from the square's centre to the box's.
        down: the same downwards.
        least: the smallest square searched, over the image's longer side. Small profiles cost more than half of
            the whole search and found 1 face in 100.
        mirrored: searches the mirrored image.
    """

    file: str
    width: float
    height: float
    right: float
    down: float
    least: float
    mirrored: bool = False


CASCADES = (
    Cascade("haarcascade_frontalface_alt2.xml", 0.835, 1.034, 0.0, 0.028, 0.06),
    Cascade("haarcascade_frontalface_default.xml", 0.814, 1.003, 0.0, 0.025, 0.06),
    Cascade("haarcascade_profileface.xml", 0.803, 1.012, -0.128, 0.054, 0.2),
    Cascade("haarcascade_profileface.xml", 0.803, 1.012, -0.128, 0.054, 0.2, mirrored=True),
)


class HaarDetector:
    """Finds faces with the cascades for frontal faces and profiles; a lock inside lets several threads share it.

    OpenCV's cascades keep state during a search, hence the lock; each search uses all cores by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, largest first.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the frame is anything else.
        """
        grey: Any = cv2.cvtColor(check_frame(frame), cv2.COLOR_RGB2GRAY)
        image, spans = scaled(grey, LONGEST)
        with self._lock:
            boxes, counts = self._search(image)
        boxes, votes = _agreed(boxes, counts)
        large = boxes[:, 3] - boxes[:, 1] >= CLOSE_UP * max(image.shape)
        sure = votes >= np.maximum(np.where(large, VOTES_CLOSE_UP, VOTES), WEAKEST * votes.max(initial=0))
        boxes, votes = boxes[sure] * np.array(spans * 2, np.float32), votes[sure]
        return largest_first(
            [
                Face(Box(*boxes[row].tolist()), confidence=float(votes[row] / (votes[row] + VOTES)))
                for row in suppress(boxes, votes, SAME, nested=True)
            ]
        )

    @cached_property
    def _classifiers(self) -> dict[str, Any]:
        folder = Path(cv2.data.haarcascades)
        return {cascade.file: cv2.CascadeClassifier(str(folder / cascade.file)) for cascade in CASCADES}

    def _search(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Boxes in pixels of the image, (count, 4), and the neighbours of each, (count,)."""
        longest = max(image.shape)
        border = round(BORDER * longest)
        padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        found = [np.zeros((0, 5), np.float32)]
        for cascade in CASCADES:
            least = max(LEAST, round(cascade.least * longest))
            squares, counts = self._classifiers[cascade.file].detectMultiScale2(
                cv2.flip(padded, 1) if cascade.mirrored else padded,
                scaleFactor=STEP,
                minNeighbors=NEIGHBOURS,
                minSize=(least, least),
            )
            if len(squares):
                found.append(np.column_stack([_framed(squares, cascade, padded.shape[1]) - border, np.ravel(counts)]))
        rows = np.concatenate(found).astype(np.float32)
        return rows[:, :4], rows[:, 4]


def _framed(squares: npt.NDArray[np.int32], cascade: Cascade, width: int) -> npt.NDArray[np.float32]:
    """A cascade's squares (left, top, width, height) as boxes in YuNet's convention."""
    sides = squares[:, 2].astype(np.float32)
    x = squares[:, 0] + sides * (0.5 + cascade.right)
    y = squares[:, 1] + sides * (0.5 + cascade.down)
    x = width - x if cascade.mirrored else x
    across, down = sides * cascade.width / 2, sides * cascade.height / 2
    return np.stack([x - across, y - down, x + across, y + down], axis=1)


def _agreed(
    boxes: npt.NDArray[np.float32], counts: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Each box as the mean of all that overlap it, weighted by their neighbours, and the sum of those."""
    if not len(boxes):
        return boxes, counts
    weights = np.stack([(overlaps(box, boxes) >= AGREE) * counts for box in boxes])
    votes = weights.sum(axis=1)
    return weights @ boxes / votes[:, None], votes
