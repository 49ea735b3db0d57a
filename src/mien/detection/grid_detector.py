"""What the detectors that are networks share: looks at an image at several scales, and one candidate a face."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mien.detection.boxes import largest_first, scaled, suppress
from mien.detection.grid import STRIDES, Found, decode
from mien.structures import Box, Face, Frame, Landmarks, Point, check_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt


NESTED = 0.7
"""The share of a candidate within a better one above which it goes."""


class Look(NamedTuple):
    """One scale at which a network sees an image, since it finds faces of about 10 to 300 pixels.

    Attributes:
        longest: side of the image in pixels.
        enlarge: how many times a small image may be enlarged to come near that.
        border: black pixels around, for faces cut at the edge.
        least: height of the smallest face that counts, over the image's longer side.
        most: the same of the largest.
    """

    longest: int
    enlarge: float = 1.0
    border: int = 0
    least: float = 0.0
    most: float = np.inf


class CellDetector(ABC):
    """Finds faces with a network whose cells each tell of one; safe to call from several threads.

    Attributes:
        looks: all are taken: small faces, then faces that fill the frame.
        last_look: taken where the others found nothing.
        smallest: longer side of the smallest face that counts, in pixels of the frame.
    """

    looks: tuple[Look, ...] = (Look(640, enlarge=2.0), Look(320, least=0.3))
    last_look = Look(160, border=80, least=0.3)
    smallest = 0.0

    def __init__(self, score: float, nms: float) -> None:
        self._score = score
        self._nms = nms

    @abstractmethod
    def cells(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """What the network says of each cell, as ``cells`` has it.

        Args:
            images: uint8 (count, height, width, 3) RGB, height and width multiples of 32.

        Returns:
            float32 (count, cells, 15), scores from 0 to 1.
        """

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, largest first, with landmarks.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the frame is anything else.
        """
        frame = check_frame(frame)
        faces = self._best(face for look in self.looks for face in self._seen(frame, look))
        return self.settled(frame, faces) or self.settled(frame, self._best(self._seen(frame, self.last_look)))

    def settled(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """Which of the candidates, one a face, are faces: here all whose score was asked for."""
        del frame
        return faces

    def _seen(self, frame: Frame, look: Look) -> list[Face]:
        """The candidates of one look, several a face."""
        image, spans = scaled(frame, look.longest, look.enlarge)
        height, width = image.shape[:2]
        border, cell = look.border, max(STRIDES)
        right, bottom = border - (width + 2 * border) % -cell, border - (height + 2 * border) % -cell
        padded = cv2.copyMakeBorder(image, border, bottom, border, right, cv2.BORDER_CONSTANT)
        cells = self.cells(np.asarray(padded, np.uint8)[None])[0]
        found = decode(cells, padded.shape[0], padded.shape[1], self._score)
        faces = [_face(found, row, border, spans) for row in range(len(found.scores))]
        longest = max(frame.shape[:2])
        faces = [face for face in faces if face.box.side >= self.smallest]
        return [face for face in faces if look.least <= face.box.height / longest < look.most]

    def _best(self, faces: Iterable[Face]) -> list[Face]:
        """One candidate a face, largest first; none within a better one: enlarged, nose and mouth look like a face."""
        faces = list(faces)
        for most, nested in ((self._nms, False), (NESTED, True)):
            boxes = [(face.box.left, face.box.top, face.box.right, face.box.bottom) for face in faces]
            scores = np.array([face.confidence for face in faces], np.float32)
            kept = suppress(np.array(boxes, np.float32).reshape(-1, 4), scores, most, nested=nested)
            faces = [faces[row] for row in kept]
        return largest_first(faces)


def _face(found: Found, row: int, border: int, spans: tuple[float, float]) -> Face:
    across, down = spans
    left, top, right, bottom = (found.boxes[row] - border).tolist()
    return Face(
        Box(left * across, top * down, right * across, bottom * down),
        Landmarks(*(Point(x * across, y * down) for x, y in (found.points[row] - border).tolist())),
        float(found.scores[row]),
    )
