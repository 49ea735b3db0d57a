"""Face detectors that are grid networks: their output format, and the detection loop that YuNet and mien's share.

Each grid cell predicts 15 numbers: a score, then dx, dy, log width, log height, and x, y of five landmarks, all in
strides. The cell at column c and row r of stride s predicts a box about (c + dx, r + dy) s of the size exp(log size) s,
and landmarks at (c, r) s + points s. Cells are ordered by stride, then row by row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mien.detection.windows import Window, windows_of
from mien.media.resampling import Pyramid, resize
from mien.structures import Box, Face, Frame, Landmarks, Point, box_iou, check_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

STRIDES = (8, 16, 32)

CELL_VALUES = 15
"""Numbers per grid cell."""

MAX_LOG_SIZE = 6.0
"""Log of the largest box in strides: beyond, a damaged or untrained model would overflow."""

MAX_NESTING = 0.7
"""Intersection over the smaller box above which the lesser of two candidates is removed."""


class Detections(NamedTuple):
    """Decoded candidates, in pixels of the network's input.

    Attributes:
        boxes: float32 (count, 4): left, top, right, bottom.
        points: float32 (count, 5, 2): right eye, left eye, nose, right and left mouth corner, each x and y.
        scores: float32 (count,), 0 to 1.
    """

    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


def cell_corners(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Column and row of each grid cell of an image, float32 (cells, 2), and its stride, float32 (cells, 1)."""
    corners = [np.indices((height // s, width // s))[::-1].reshape(2, -1).T for s in STRIDES]
    strides = np.repeat(STRIDES, [len(part) for part in corners])[:, None]
    return np.concatenate(corners).astype(np.float32), strides.astype(np.float32)


def decode(cells: npt.NDArray[np.float32], height: int, width: int, min_score: float) -> Detections:
    """Decode grid cells to candidates, before non-maximum suppression.

    Args:
        cells: float32 (cells, 15), scores from 0 to 1.
        height: of the network's input in pixels, a multiple of 32.
        width: likewise.
        min_score: candidates below it are dropped.
    """
    rows = np.flatnonzero(cells[:, 0] >= min_score)
    corners, strides = (part[rows] for part in cell_corners(height, width))
    scores, values = cells[rows, 0], cells[rows, 1:]
    centres = (corners + values[:, :2]) * strides
    halves = np.exp(np.minimum(values[:, 2:4], MAX_LOG_SIZE)) * (strides / 2)
    points = (corners[:, None] + values[:, 4:].reshape(-1, 5, 2)) * strides[:, None]
    return Detections(np.hstack([centres - halves, centres + halves]), points, scores)


class InferenceScale(NamedTuple):
    """A scale at which the network runs on an image; at one scale it finds faces of about 10 to 300 pixels.

    Attributes:
        longest_px: longest side of the network's input, before the border.
        max_enlargement: factor by which a small image may be enlarged to approach that.
        border_px: black pixels around the image, for faces cut at its edge.
        min_face_share: height of the smallest face used, over the image's longer side.
        max_face_share: the same of the largest.
    """

    longest_px: int
    max_enlargement: float = 1.0
    border_px: int = 0
    min_face_share: float = 0.0
    max_face_share: float = np.inf


class GridDetector(ABC):
    """Finds faces with a grid network at several scales; safe to call from several threads.

    Args:
        score_threshold: least score of a candidate, 0 to 1.
        nms_threshold: IoU above which the lesser of two candidates is removed.

    Attributes:
        scales: inference scales that are always run: for small faces, and for faces that fill the frame.
        fallback_scale: run if the others find nothing.
        min_face_px: longer side of the smallest face that counts, in pixels of the frame.
    """

    scales: tuple[InferenceScale, ...] = (
        InferenceScale(640, max_enlargement=2.0),
        InferenceScale(320, min_face_share=0.3),
    )
    fallback_scale = InferenceScale(160, border_px=80, min_face_share=0.3)
    min_face_px = 0.0

    def __init__(self, score_threshold: float, nms_threshold: float) -> None:
        self._score_threshold = score_threshold
        self._nms_threshold = nms_threshold

    @abstractmethod
    def grid_cells(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the network.

        Args:
            images: uint8 (count, height, width, 3) RGB, height and width multiples of 32.

        Returns:
            float32 (count, cells, 15), scores from 0 to 1.
        """

    def detect(self, frame: Frame) -> list[Face]:
        """Find the faces in a frame, largest first, with landmarks.

        Args:
            frame: uint8 (height, width, 3), RGB.

        Raises:
            ImageError: the frame is no such array.
        """
        frame = check_frame(frame)
        windows = [(window, Pyramid(window.part_of(frame))) for window in windows_of(frame)]
        faces = self.suppress(face for scale in self.scales for face in self._search(windows, scale))
        return self.rescore(frame, faces) or self.rescore(
            frame, self.suppress(self._search(windows, self.fallback_scale))
        )

    def rescore(self, frame: Frame, faces: list[Face]) -> list[Face]:
        """The final faces among the candidates after suppression; here all of them."""
        del frame
        return faces

    def _search(self, windows: Iterable[tuple[Window, Pyramid]], scale: InferenceScale) -> Iterator[Face]:
        """The candidates at one scale in all windows of a frame."""
        for window, part in windows:
            faces = self._candidates(part, scale, window.corner)
            yield from (face for face in faces if window.holds(face.box))

    def _candidates(self, part: Pyramid, scale: InferenceScale, corner: tuple[int, int]) -> list[Face]:
        """The candidates at one scale in a part of a frame, several for each face; the corner is its left top."""
        image, pixel_size = resize_longest_side(part, scale.longest_px, scale.max_enlargement)
        height, width = image.shape[:2]
        border, multiple = scale.border_px, max(STRIDES)
        right, bottom = border - (width + 2 * border) % -multiple, border - (height + 2 * border) % -multiple
        padded = np.zeros((border + height + bottom, border + width + right, 3), np.uint8)
        padded[border : border + height, border : border + width] = image
        cells = self.grid_cells(padded[None])[0]
        candidates = decode(cells, padded.shape[0], padded.shape[1], self._score_threshold)
        faces = [_face(candidates, row, border, pixel_size, corner) for row in range(len(candidates.scores))]
        longest = max(part.image.shape[:2])
        faces = [face for face in faces if face.box.side >= self.min_face_px]
        return [face for face in faces if scale.min_face_share <= face.box.height / longest < scale.max_face_share]

    def suppress(self, faces: Iterable[Face]) -> list[Face]:
        """Keep one candidate for each face, largest first, and none inside a better one.

        Enlarged, a nose and a mouth pass for a face.
        """
        faces = list(faces)
        for max_overlap, over_smaller in ((self._nms_threshold, False), (MAX_NESTING, True)):
            boxes = np.array([face.box.xyxy for face in faces], np.float32).reshape(-1, 4)
            scores = np.array([face.confidence for face in faces], np.float32)
            faces = [faces[row] for row in non_max_suppression(boxes, scores, max_overlap, over_smaller=over_smaller)]
        return largest_first(faces)


def _face(
    candidates: Detections, row: int, border_px: int, pixel_size: tuple[float, float], corner: tuple[int, int]
) -> Face:
    """A candidate in pixels of the frame."""
    left, top, right, bottom = (candidates.boxes[row] - border_px).tolist()

    def in_frame(x: float, y: float) -> Point:
        return Point(x * pixel_size[0] + corner[0], y * pixel_size[1] + corner[1])

    return Face(
        Box(*in_frame(left, top), *in_frame(right, bottom)),
        Landmarks(*(in_frame(x, y) for x, y in (candidates.points[row] - border_px).tolist())),
        float(candidates.scores[row]),
    )


def resize_longest_side(
    image: Pyramid, longest_px: int, max_enlargement: float = 1.0
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """Resize an image to the inference scale of a detector: its longest side is at most ``longest_px``.

    Args:
        image: of a frame, or a part of it.
        longest_px: bound of the longest side.
        max_enlargement: factor by which a small image may be enlarged to approach ``longest_px``.

    Returns:
        The image, and the width and height of one of its pixels in pixels of the original.
    """
    height, width = image.image.shape[:2]
    scale = min(max_enlargement, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return image.resized(size), (width / size[0], height / size[1])


def surroundings(frame: Frame, box: Box, image_px: int, face_px: float) -> tuple[Frame, npt.NDArray[np.floating]]:
    """A square image about a face, black beyond the frame.

    Args:
        frame: uint8 (height, width, 3), RGB.
        box: of the face.
        image_px: side of the image.
        face_px: side of the face in the image.

    Returns:
        The image, and the box in it: left, top, right, bottom.
    """
    scale = face_px / box.side
    reach = image_px / scale / 2
    left, top, right, bottom = (round(at + by) for by in (-reach, reach) for at in box.centre)
    first_x, first_y = max(left, 0), max(top, 0)
    part = frame[first_y : max(bottom, 0), first_x : max(right, 0)]
    image = np.zeros((image_px, image_px, 3), np.uint8)
    if part.size:
        x, y = round((first_x - left) * scale), round((first_y - top) * scale)
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        resized = resize(part, size)
        target = image[y : y + size[1], x : x + size[0]]
        target[:] = resized[: target.shape[0], : target.shape[1]]
    return image, (np.array(box.xyxy) - (left, top, left, top)) * scale


def non_max_suppression(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    max_overlap: float,
    *,
    over_smaller: bool = False,
) -> list[int]:
    """Greedy non-maximum suppression (NMS).

    Args:
        boxes: float32 (count, 4): left, top, right, bottom.
        scores: float32 (count,).
        max_overlap: a box is removed if it overlaps a better one by more.
        over_smaller: as in ``mien.structures.box_iou``.

    Returns:
        The rows to keep, best score first.
    """
    remaining = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(remaining):
        best, rest = remaining[0], remaining[1:]
        kept.append(int(best))
        remaining = rest[box_iou(boxes[best], boxes[rest].T, over_smaller=over_smaller) <= max_overlap]
    return kept


def largest_first(faces: list[Face]) -> list[Face]:
    """Sort faces by the area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.area)
