"""OpenCV's Haar cascades: need no model file, find upright faces, give no landmarks.

Source: Viola and Jones 2001; Lienhart and Maydt 2002; the cascades that come with OpenCV 4.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.detection.grid import largest_first, non_max_suppression, resize_longest_side
from mien.media.opencv import load_opencv
from mien.media.resampling import Pyramid, grey
from mien.structures import Box, Face, Frame, box_iou, check_frame

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST_PX = 400
SCALE_FACTOR = 1.1
MIN_SIZE_PX = 20
"""Longest side of the searched image, factor between two search sizes, and least side of a face."""

BORDER_SHARE = 0.2
"""Replicated border around the image, over its longer side: cascades miss faces that are cut close."""

MIN_NEIGHBOURS = 2
MIN_IOU = 0.3
MAX_NESTING = 0.4
"""IoU from which boxes of two cascades are one face, and intersection over the smaller box above which the lesser of
two faces is removed."""

CLOSE_UP_SHARE = 0.3
CLOSE_UP_VOTES = 5
MIN_VOTES = 8
"""Neighbours that a face needs, summed over all cascades that agree; fewer if it is at least ``CLOSE_UP_SHARE`` of the
image's longer side, since false boxes are small. Of 218 close portraits 3.2 % have no face and none a false one,
on 150 general images there are 0.07 false boxes each; with 2 votes for all it is 2.3 %, 0.04 and 1.13."""

MIN_RELATIVE_VOTES = 0.15
"""Votes that a face needs, over those of the strongest face in the image: next to a clear face, a weak one is
mostly a pattern. It removes the false boxes on a shirt and a rocket, and one true small face in 30."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """One of OpenCV's cascades, and where YuNet's box lies relative to its square, in sides of the square.

    The numbers are medians over the faces that both found in 578 images (portraits and everyday scenes).

    Attributes:
        file: file name in OpenCV's folder.
        width: width of YuNet's box.
        height: height of YuNet's box.
        right: offset from the square's centre to the box's, to the right.
        down: likewise, downwards.
        min_share: side of the smallest square searched, over the image's longer side. Small profiles cost more than
            half of the whole search and found 1 face in 100.
        mirrored: search the mirrored image.
    """

    file: str
    width: float
    height: float
    right: float
    down: float
    min_share: float
    mirrored: bool = False


CASCADES = (
    Cascade("haarcascade_frontalface_alt2.xml", 0.835, 1.034, 0.0, 0.028, 0.06),
    Cascade("haarcascade_frontalface_default.xml", 0.814, 1.003, 0.0, 0.025, 0.06),
    Cascade("haarcascade_profileface.xml", 0.803, 1.012, -0.128, 0.054, 0.2),
    Cascade("haarcascade_profileface.xml", 0.803, 1.012, -0.128, 0.054, 0.2, mirrored=True),
)


class HaarDetector:
    """Finds frontal faces and profiles with Haar cascades; safe to call from several threads.

    OpenCV's cascades keep state during a search, so a lock admits one at a time; each search uses all cores.

    Example:
        >>> import numpy as np
        >>> from mien.detection import HaarDetector
        >>> HaarDetector().detect(np.zeros((240, 320, 3), np.uint8))
        []
    """

    def __init__(self) -> None:
        """Load OpenCV.

        Raises:
            MissingExtraError: OpenCV 4 is not installed, or broken.
        """
        self._opencv = load_opencv("the Haar detector")
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[HaarDetector], tuple[()]]:
        """Pickled and copied without lock and cascades, which can't be."""
        return HaarDetector, ()

    def detect(self, frame: Frame) -> list[Face]:
        """Find the faces in a frame, largest first.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the frame is no such array.
        """
        image, pixel_size = resize_longest_side(Pyramid(grey(check_frame(frame))), LONGEST_PX)
        with self._lock:
            boxes, counts = self._search(image)
        boxes, votes = _merge(boxes, counts)
        close_up = boxes[:, 3] - boxes[:, 1] >= CLOSE_UP_SHARE * max(image.shape)
        needed = np.maximum(np.where(close_up, CLOSE_UP_VOTES, MIN_VOTES), MIN_RELATIVE_VOTES * votes.max(initial=0))
        accepted = votes >= needed
        boxes, votes = boxes[accepted] * np.array(pixel_size * 2, np.float32), votes[accepted]
        return largest_first(
            [
                Face(Box(*boxes[row].tolist()), confidence=float(votes[row] / (votes[row] + MIN_VOTES)))
                for row in non_max_suppression(boxes, votes, MAX_NESTING, over_smaller=True)
            ]
        )

    @cached_property
    def _classifiers(self) -> dict[str, Any]:
        folder = Path(self._opencv.data.haarcascades)
        return {cascade.file: self._opencv.CascadeClassifier(str(folder / cascade.file)) for cascade in CASCADES}

    def _search(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The boxes of all cascades in pixels of the image, (count, 4), and the neighbours of each, (count,)."""
        longest = max(image.shape)
        border = round(BORDER_SHARE * longest)
        padded = np.pad(image, border, mode="edge")
        parts = [np.zeros((0, 5), np.float32)]
        for cascade in CASCADES:
            min_size = max(MIN_SIZE_PX, round(cascade.min_share * longest))
            squares, counts = self._classifiers[cascade.file].detectMultiScale2(
                np.ascontiguousarray(padded[:, ::-1]) if cascade.mirrored else padded,
                scaleFactor=SCALE_FACTOR,
                minNeighbors=MIN_NEIGHBOURS,
                minSize=(min_size, min_size),
            )
            if len(squares):
                parts.append(np.column_stack([_framed(squares, cascade, padded.shape[1]) - border, np.ravel(counts)]))
        rows = np.concatenate(parts).astype(np.float32)
        return rows[:, :4], rows[:, 4]


def _framed(squares: npt.NDArray[np.int32], cascade: Cascade, width: int) -> npt.NDArray[np.float32]:
    """Convert a cascade's squares (left, top, width, height) to boxes framed as YuNet's."""
    sides = squares[:, 2].astype(np.float32)
    x = squares[:, 0] + sides * (0.5 + cascade.right)
    y = squares[:, 1] + sides * (0.5 + cascade.down)
    x = width - x if cascade.mirrored else x
    half_width, half_height = sides * cascade.width / 2, sides * cascade.height / 2
    return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)


def _merge(
    boxes: npt.NDArray[np.float32], counts: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Replace each box by the mean of all that overlap it, weighted by their neighbours, and sum those as votes."""
    if not len(boxes):
        return boxes, counts
    weights = np.stack([(box_iou(box, boxes.T) >= MIN_IOU) * counts for box in boxes])
    votes = weights.sum(axis=1)
    return weights @ boxes / votes[:, None], votes
