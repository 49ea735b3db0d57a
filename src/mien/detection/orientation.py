"""Faces that lie on their side or stand on their head: found upright in rotated surroundings.

The networks know upright faces. On a face upside down they place the eyes on the mouth and the mouth on the eyes, with
a lower score. So a face without a high score is searched in four rotations of its surroundings.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from mien.detection.grid import decode, surroundings
from mien.structures import Box, Face, Landmarks, Point, box_iou

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.detection.grid import GridDetector
    from mien.structures import Frame

CERTAIN_SCORE = 0.88
"""A face with this score is upright: of 435 portraits 64 in 100 have it upright, 1 in 100 upside down."""

SIDEWAYS_SCORE = 0.75
"""A face that lies on its side has a lower score: of 76, 99 in 100, but 4 in 100 upright ones."""

QUICK_VIEW, CLOSE_VIEW = (64, 40.0), (96, 60.0)
"""Side of the surroundings in pixels, and of the face in them: to see whether a face may be rolled, and how far."""

QUICK_LEAD = -0.1
"""Score in rotated surroundings less the detector's, from which a face may be rolled: 99 in 100 upside down, and 2 in
100 upright."""

UPRIGHT_DEGREES = 30.0
"""Roll up to which landmarks are reliable."""

MIN_ROLL_CHANGE = 20.0
"""Degrees by which a corrected roll differs from the one found first."""

MAX_STEPS = 3
"""Most corrections of a roll; each halves its error at least."""

MIN_IOU = 0.4
MIN_SCORE = 0.02
"""IoU above which a candidate in the surroundings is the same face, and the least score of a candidate."""


def turn_upright(detector: GridDetector, frame: Frame, faces: list[Face]) -> list[Face]:
    """Correct the boxes and landmarks of faces that were taken for upright ones.

    Args:
        detector: that found them.
        frame: uint8 (height, width, 3), RGB.
        faces: largest first.

    Returns:
        The faces, largest first; those that are upright, unchanged.
    """
    turned = [_upright(detector, frame, face) if face.confidence < CERTAIN_SCORE else face for face in faces]
    return faces if turned == faces else detector.suppress(turned)


def _upright(detector: GridDetector, frame: Frame, face: Face) -> Face:
    """The face, or the one found in its place in rotated surroundings if it is clearer."""
    roll = _roll(face)
    turns = (180, 90, 270) if face.confidence < SIDEWAYS_SCORE else (180,)
    quick = _CloseUp.of(frame, face, *QUICK_VIEW).seen(detector, [roll + turn for turn in turns])
    turned = max(quick, key=lambda seen: seen.confidence)
    rolls = [roll]
    if turned.confidence - face.confidence > QUICK_LEAD:
        rolls.append(roll + turns[quick.index(turned)])
    elif abs(roll) <= UPRIGHT_DEGREES:
        return face
    close_up = _CloseUp.of(frame, face, *CLOSE_VIEW)
    clearest = max((_exact(detector, close_up, start) for start in rolls), key=lambda seen: seen.confidence)
    change = abs((_roll(clearest) - roll + 180) % 360 - 180)
    if change < MIN_ROLL_CHANGE or clearest.box.side < detector.min_face_px:
        return face
    return dataclasses.replace(clearest, confidence=face.confidence)


def _exact(detector: GridDetector, close_up: _CloseUp, roll: float) -> Face:
    """The face as it is seen after its roll is undone, from a rough roll on."""
    (clearest,) = close_up.seen(detector, [roll])
    for _ in range(MAX_STEPS):
        (seen,) = close_up.seen(detector, [_roll(clearest)])
        if seen.confidence <= clearest.confidence:
            break
        clearest = seen
    return clearest


def _roll(face: Face) -> float:
    return 0.0 if face.landmarks is None else face.landmarks.roll


class _CloseUp(NamedTuple):
    """A face and its surroundings as a square image, from ``surroundings``.

    Attributes:
        face: in pixels of the frame.
        image: uint8 (side, side, 3), RGB.
        corners: of the face's box in the image: left, top, right, bottom.
        face_px: side of the face in the image.
    """

    face: Face
    image: Frame
    corners: npt.NDArray[np.floating]
    face_px: float

    @classmethod
    def of(cls, frame: Frame, face: Face, image_px: int, face_px: float) -> _CloseUp:
        """The close-up of a face of a frame at a scale."""
        return cls(face, *surroundings(frame, face.box, image_px, face_px), face_px)

    def seen(self, detector: GridDetector, rolls: list[float]) -> list[Face]:
        """The best candidate for the face after each of some rolls is undone; the face with score 0 if there is none.

        Args:
            detector: runs the network.
            rolls: in degrees, clockwise.
        """
        image = Image.fromarray(self.image)
        views = [np.asarray(image.rotate(roll, Image.Resampling.BILINEAR)) for roll in rolls]
        return [self._best(*view) for view in zip(detector.grid_cells(np.stack(views)), rolls, strict=True)]

    def _best(self, cells: npt.NDArray[np.float32], roll: float) -> Face:
        side, pixel = len(self.image), self.face.box.side / self.face_px
        candidates = decode(cells, side, side, MIN_SCORE)
        boxes = _rotated_boxes(candidates.boxes, roll, side)
        scores = np.where(box_iou(self.corners, boxes.T) > MIN_IOU, candidates.scores, 0.0)
        if not scores.any():
            return dataclasses.replace(self.face, confidence=0.0)
        row = int(scores.argmax())
        offset = np.array(self.face.box.xyxy[:2]) - self.corners[:2] * pixel
        points = _rotated(candidates.points[row], roll, side) * pixel + offset
        box = Box(*(boxes[row] * pixel + np.tile(offset, 2)).tolist())
        return Face(box, Landmarks(*(Point(*xy) for xy in points.tolist())), float(scores[row]))


def _rotated(points: npt.NDArray[np.floating], degrees: float, side: int) -> npt.NDArray[np.floating]:
    """Points (..., 2) rotated clockwise about the centre of a square image."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rotated: npt.NDArray[np.floating] = (points - side / 2) @ np.array([[cosine, sine], [-sine, cosine]]) + side / 2
    return rotated


def _rotated_boxes(boxes: npt.NDArray[np.floating], degrees: float, side: int) -> npt.NDArray[np.floating]:
    """Boxes (count, 4) around the ellipses in boxes, rotated clockwise about the centre of a square image."""
    centres = _rotated((boxes[:, :2] + boxes[:, 2:]) / 2, degrees, side)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    squared = ((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2
    halves = np.sqrt(squared @ np.array([[cosine**2, sine**2], [sine**2, cosine**2]]))
    return np.concatenate([centres - halves, centres + halves], axis=1)
