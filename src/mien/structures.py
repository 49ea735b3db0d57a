"""The values that pass between the stages: frames, face crops, boxes, faces, predictions, a frame's result.

=============  =====================================  =============================================
Frame          uint8 (height, width, 3), RGB          one image
Face crops          uint8 (count, size, size, channels)    cropped faces; grey (1) or RGB (3)
Probabilities  float32 (count, labels)                rows sum to 1
Targets        float32 (count, labels)                rows sum to 1: one-hot, or shares of votes
=============  =====================================  =============================================

Face crops stay uint8 at every border: scaling happens inside the network's graph, so it can be neither
forgotten nor done twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.errors import ImageError, UsageError

Frame: TypeAlias = npt.NDArray[np.uint8]
Crops: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]
Targets: TypeAlias = npt.NDArray[np.float32]

ROW_SUM_TOLERANCE = 1e-3


def describe(array: object) -> str:
    """What came, in words for an error: type, dtype and shape."""
    if isinstance(array, np.ndarray):
        return f"an array of {array.dtype} with shape {array.shape}"
    return f"a {type(array).__name__}"


def check_frame(array: Any) -> Frame:
    """An image from a Python user, checked.

    Args:
        array: uint8 (height, width, 3) in RGB order, at least 1x1.

    Raises:
        ImageError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 3
    if not good or 0 in array.shape:
        raise ImageError(
            "expected an image as uint8 (height, width, 3) in RGB order; "
            f"received {describe(array)}. Convert floats with (x * 255).astype('uint8'), "
            "grey with numpy.repeat(x[..., None], 3, axis=2), OpenCV's BGR with x[..., ::-1]"
        )
    return np.ascontiguousarray(array)


def check_crops(array: Any) -> Crops:
    """Cropped faces from a Python user: uint8 (count, size, size, 1 or 3).

    Raises:
        ImageError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 4
    if not good or array.shape[1] != array.shape[2] or array.shape[1] == 0 or array.shape[3] not in (1, 3):
        raise ImageError(
            f"expected face crops as uint8 (count, size, size, 1 or 3); received {describe(array)}. "
            "Crop faces with mien.classification.face_crop.crop"
        )
    return np.ascontiguousarray(array)


def check_distribution(array: Any, labels: int) -> npt.NDArray[np.float32]:
    """Probabilities or targets: float32 (count, labels), finite, none negative, rows that sum to 1.

    Raises:
        UsageError: the array is anything else.
    """
    good = isinstance(array, np.ndarray) and array.dtype == np.float32 and array.ndim == 2
    if not good or array.shape[1] != labels:
        raise UsageError(f"expected float32 (count, {labels}); received {describe(array)}")
    sums = array.sum(axis=1)
    if not (np.isfinite(array).all() and (array >= 0).all() and (np.abs(sums - 1) < ROW_SUM_TOLERANCE).all()):
        raise UsageError("expected rows that are finite, not negative and sum to 1; received rows that are not")
    checked: npt.NDArray[np.float32] = array
    return checked


NOSE = 0.45
"""How far the tip of the nose stands out from the plane of the eyes, in distances of the eyes: about 28 of 63 mm."""

TURNED_AWAY = 25.0
"""Degrees of yaw from which an expression is not read well: of 764 labelled photos the share read rightly is 0.73 below
and 0.48 from there on (29 faces) with mien's own detector, 0.75 and 0.53 (79) with YuNet, while the answers are nearly
as sure (0.80 and 0.76 on average)."""


BLURRED = "blurred"
QUALITY_ISSUES = ("small", BLURRED, "dark")
"""What may spoil the reading of a face."""

TURNED, AMBIGUOUS = "turned away", "ambiguous"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the original frame; right and bottom are exclusive.

    It may reach outside the frame: a face at the border is cut there, its box is not.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        edges = (self.left, self.top, self.right, self.bottom)
        if not all(math.isfinite(edge) for edge in edges):
            raise UsageError(f"expected a box of finite numbers; received {edges}")
        if self.right <= self.left or self.bottom <= self.top:
            raise UsageError(
                f"expected left < right and top < bottom; received left, top, right, bottom = {edges}. "
                "A box given as x, y, width, height becomes Box(x, y, x + width, y + height)"
            )

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def side(self) -> float:
        """Pixels of the longer side, which is what a face's size means."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """X and y of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        return float(box_iou(self.xyxy, other.xyxy))

    def shared(self, other: Box) -> float:
        """Square pixels that lie in both boxes."""
        return float(_intersection(self.xyxy, other.xyxy))


def box_iou(box: Any, others: Any, *, over_smaller: bool = False) -> Any:
    """Intersection over union (IoU) of a box with another or with many, 0 to 1.

    Args:
        box: left, top, right, bottom: four numbers.
        others: the same of the other box, or an array (4, count).
        over_smaller: divide by the area of the smaller box instead, so that a box inside another counts as 1.

    Returns:
        A number, or an array (count,).
    """
    shared = _intersection(box, others)
    area, areas = (box[2] - box[0]) * (box[3] - box[1]), (others[2] - others[0]) * (others[3] - others[1])
    return shared / (np.minimum(area, areas) if over_smaller else area + areas - shared)


def _intersection(box: Any, others: Any) -> Any:
    width = np.minimum(box[2], others[2]) - np.maximum(box[0], others[0])
    height = np.minimum(box[3], others[3]) - np.maximum(box[1], others[1])
    return np.maximum(width, 0) * np.maximum(height, 0)


class Point(NamedTuple):
    """x and y in pixels of the original frame."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points of a face; right and left as the person sees them (the right eye is on the image's left)."""

    right_eye: Point
    left_eye: Point
    nose: Point
    right_mouth: Point
    left_mouth: Point

    @property
    def roll(self) -> float:
        """Degrees that the head leans in the image: positive when turned clockwise."""
        return math.degrees(math.atan2(self.left_eye.y - self.right_eye.y, self.left_eye.x - self.right_eye.x))

    @property
    def yaw(self) -> float:
        """Degrees that the head is turned aside, roughly: positive towards the image's right, 0 facing the camera.

        The nose moves along the line of the eyes by the sine, the eyes draw together by the cosine.
        """
        across, down = self.left_eye.x - self.right_eye.x, self.left_eye.y - self.right_eye.y
        apart = math.hypot(across, down)
        x = self.nose.x - (self.left_eye.x + self.right_eye.x) / 2
        y = self.nose.y - (self.left_eye.y + self.right_eye.y) / 2
        aside = (x * across + y * down) / apart if apart else x
        return math.degrees(math.atan2(aside, NOSE * apart))


@dataclass(frozen=True, slots=True)
class Face:
    """A face that a detector found.

    Attributes:
        box: tight around the face from brow to chin, as YuNet frames it; every detector speaks this convention.
        landmarks: the five points where the detector knows them.
        confidence: 0 to 1, the detector's own; comparable within one detector only.
    """

    box: Box
    landmarks: Landmarks | None = None
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise UsageError(f"expected a confidence from 0 to 1; received {self.confidence}")

    @property
    def turned_away(self) -> bool:
        """Whether the face looks aside by more than an expression can be read at; False without landmarks."""
        return self.landmarks is not None and abs(self.landmarks.yaw) >= TURNED_AWAY


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expression that one face shows.

    Attributes:
        face: where it was found.
        labels: names of the expressions, in the order of ``probabilities``.
        probabilities: calibrated, sum to 1, never rounded.
        unsure_below: the model's threshold: a best probability under it means "unsure".
        track: the same number for the same face over the frames of a video; None for photos.
        quality_issues: what may spoil the reading: "small", "blurred", "dark".
        held: the expression that is named while no other is clearly likelier, so that a word does not flicker over
            frames; None: the most probable one is named.
    """

    face: Face
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    unsure_below: float = 0.0
    track: int | None = None
    quality_issues: tuple[str, ...] = ()
    held: str | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.probabilities) or not self.labels:
            raise UsageError(
                f"expected a probability for each label; received {len(self.labels)} labels "
                f"and {len(self.probabilities)} probabilities"
            )
        if not abs(sum(self.probabilities) - 1.0) <= 1e-3:  # so that NaN is refused too
            raise UsageError(f"expected probabilities that sum to 1; received a sum of {sum(self.probabilities)}")
        if self.held is not None and self.held not in self.labels:
            raise UsageError(f"expected to hold one of the labels {self.labels}; received {self.held!r}")

    @property
    def probability(self) -> float:
        """The probability of the expression named."""
        return self.probability_of(self.emotion)

    @property
    def emotion(self) -> str:
        """The expression named, the most probable one unless one is held: an ``Emotion``, or a class of the user's."""
        return self.held or self.labels[self.probabilities.index(max(self.probabilities))]

    @property
    def unsure(self) -> bool:
        """Whether not to rely on the answer: the best probability is low, or the face is turned away or blurred."""
        return self.probability < self.unsure_below or self.face.turned_away or BLURRED in self.quality_issues

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the answer is unsure: "turned away" and its flaws, or where there are none "ambiguous"."""
        if not self.unsure:
            return ()
        return (*([TURNED] if self.face.turned_away else []), *self.quality_issues) or (AMBIGUOUS,)

    def probability_of(self, label: str) -> float:
        """The probability of one expression by name; 0.0 where the model does not know it."""
        return self.probabilities[self.labels.index(label)] if label in self.labels else 0.0


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What was found in one image or video frame.

    Attributes:
        source: the path or name that the image came under.
        index: number of the frame in its source, 0 for a photo.
        seconds: time of the frame in its video; None for a photo.
        predictions: one a face, largest face first; empty where no face was found.
        error: why the image could not be read; None where it could.
    """

    source: str
    index: int = 0
    seconds: float | None = None
    predictions: tuple[Prediction, ...] = field(default=())
    error: str | None = None
