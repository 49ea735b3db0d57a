"""The values that pass between the stages: frames, face crops, boxes, faces, predictions, and the result of a frame.

=============  =====================================  =============================================
Frame          uint8 (height, width, 3), RGB          one image
Crops          uint8 (count, size, size, channels)    face crops; grey (1 channel) or RGB (3)
Probabilities  float32 (count, labels)                rows sum to 1
Targets        float32 (count, labels)                rows sum to 1: one-hot, or shares of votes
=============  =====================================  =============================================

Face crops stay uint8 at every interface: the network's graph scales them, so scaling can be neither forgotten nor
done twice.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mien.emotions import COLOURS
from mien.errors import ImageError, UsageError

Frame: TypeAlias = npt.NDArray[np.uint8]
Crops: TypeAlias = npt.NDArray[np.uint8]
Probabilities: TypeAlias = npt.NDArray[np.float32]
Targets: TypeAlias = npt.NDArray[np.float32]

ROW_SUM_TOLERANCE = 1e-3


def describe(array: object) -> str:
    """Type, dtype and shape of a value, for error messages."""
    if isinstance(array, np.ndarray):
        return f"an array of {array.dtype} with shape {array.shape}"
    return f"a {type(array).__name__}"


def check_frame(array: Any) -> Frame:
    """Check an image given as an array.

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
    """Check face crops given as an array: uint8 (count, size, size, 1 or 3).

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
    """Check probabilities or targets: float32 (count, labels), finite, not negative, rows sum to 1.

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


NOSE_DEPTH_RATIO = 0.45
"""Distance of the nose tip from the plane of the eyes, over the distance of the eyes: about 28 of 63 mm."""

TURNED_AWAY_DEGREES = 25.0
"""Yaw from which predictions are unreliable. Accuracy on 764 labelled photos is 0.73 below it and 0.48 from
it on (29 faces) with mien's own detector, 0.75 and 0.53 (79) with YuNet, while the mean confidence hardly falls (0.80
and 0.76)."""

ROLLED_DEGREES = 45.0
"""Roll from which predictions are unreliable: of rotated faces, some are not found the right way up (docs/model.md)."""

BLURRED, ROLLED = "blurred", "rolled"
QUALITY_ISSUES = ("small", BLURRED, "dark", ROLLED)
"""Problems of a face and its crop that make a prediction unreliable."""

TURNED, AMBIGUOUS = "turned away", "ambiguous"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the original frame; right and bottom are exclusive.

    It may reach outside the frame: at the border a face is cut, its box is not.

    Raises:
        UsageError: an edge is not finite, or the box is empty.

    Example:
        >>> Box(0, 0, 10, 10).iou(Box(5, 0, 15, 10))
        0.3333333333333333
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
        """Pixels of the longer side; the size of a face."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        return float(box_iou(self.xyxy, other.xyxy))

    def intersection(self, other: Box) -> float:
        """Area of the intersection with another box, in square pixels."""
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
    """Five points of a face. Sides are the subject's: the right eye is on the left of the image."""

    right_eye: Point
    left_eye: Point
    nose: Point
    right_mouth: Point
    left_mouth: Point

    @property
    def roll(self) -> float:
        """In-plane rotation of the head in degrees, positive clockwise."""
        return math.degrees(math.atan2(self.left_eye.y - self.right_eye.y, self.left_eye.x - self.right_eye.x))

    @property
    def yaw(self) -> float:
        """Rough horizontal rotation of the head in degrees: 0 facing the camera, positive to the right of the image.

        The nose moves along the line of the eyes with the sine, the distance of the eyes shrinks with the cosine.
        """
        across, down = self.left_eye.x - self.right_eye.x, self.left_eye.y - self.right_eye.y
        eye_distance = math.hypot(across, down)
        x = self.nose.x - (self.left_eye.x + self.right_eye.x) / 2
        y = self.nose.y - (self.left_eye.y + self.right_eye.y) / 2
        offset = (x * across + y * down) / eye_distance if eye_distance else x
        return math.degrees(math.atan2(offset, NOSE_DEPTH_RATIO * eye_distance))


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face.

    Attributes:
        box: tight around the face from brow to chin, as YuNet frames it; every detector follows this convention.
        landmarks: five points; None from a detector without landmarks.
        confidence: 0 to 1, the detector's own; comparable within one detector only.

    Raises:
        UsageError: the confidence is out of range.
    """

    box: Box
    landmarks: Landmarks | None = None
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise UsageError(f"expected a confidence from 0 to 1; received {self.confidence}")

    @property
    def turned_away(self) -> bool:
        """Whether the yaw is too large for a reliable prediction; False without landmarks."""
        return self.landmarks is not None and abs(self.landmarks.yaw) >= TURNED_AWAY_DEGREES

    @property
    def rolled(self) -> bool:
        """Whether the roll is too large for a reliable prediction; False without landmarks."""
        return self.landmarks is not None and abs(self.landmarks.roll) >= ROLLED_DEGREES


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted expression of one face.

    Attributes:
        face: the detected face.
        labels: names of the expressions, in the order of ``probabilities``.
        probabilities: calibrated, sum to 1, never rounded.
        unsure_below: the model's threshold: a lower probability means "unsure".
        track: number of the face, constant over the frames of a video; None for photos.
        quality_issues: what may make the prediction unreliable: "small", "blurred", "dark",
            "rolled".
        stable_label: in videos, the expression kept by label hysteresis until another is clearly more probable, so
            that ``emotion`` does not flicker; None: the most probable one.

    Raises:
        UsageError: the probabilities do not fit the labels or do not sum to 1.
    """

    face: Face
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    unsure_below: float = 0.0
    track: int | None = None
    quality_issues: tuple[str, ...] = ()
    stable_label: str | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.probabilities) or not self.labels:
            raise UsageError(
                f"expected a probability for each label; received {len(self.labels)} labels "
                f"and {len(self.probabilities)} probabilities"
            )
        if not abs(sum(self.probabilities) - 1.0) <= 1e-3:  # so that NaN is refused too
            raise UsageError(f"expected probabilities that sum to 1; received a sum of {sum(self.probabilities)}")
        if self.stable_label is not None and self.stable_label not in self.labels:
            raise UsageError(f"expected a stable label among {self.labels}; received {self.stable_label!r}")

    @property
    def probability(self) -> float:
        """The probability of ``emotion``."""
        return self.probability_of(self.emotion)

    @property
    def emotion(self) -> str:
        """The predicted expression: the most probable label, or the stable one; an ``Emotion`` or a class of yours."""
        return self.stable_label or self.labels[self.probabilities.index(max(self.probabilities))]

    @property
    def unsure(self) -> bool:
        """Whether the prediction is unreliable: a low probability, or a face turned away, blurred or rolled."""
        unreliable = self.face.turned_away or BLURRED in self.quality_issues or ROLLED in self.quality_issues
        return unreliable or self.probability < self.unsure_below

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the prediction is unsure: "turned away" and the quality issues, or else "ambiguous"."""
        if not self.unsure:
            return ()
        return (*([TURNED] if self.face.turned_away else []), *self.quality_issues) or (AMBIGUOUS,)

    def probability_of(self, label: str) -> float:
        """The probability of a label; 0.0 if the model does not have it."""
        return self.probabilities[self.labels.index(label)] if label in self.labels else 0.0


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The faces and predictions of one image or video frame; notebooks show it as a table.

    Attributes:
        source: path or name of the image or video.
        index: number of the frame in its source, 0 for a photo.
        seconds: time of the frame in its video; None for a photo.
        predictions: one per face, largest face first; empty if no face was found.
        error: why the image could not be read; None if it could.
    """

    source: str
    index: int = 0
    seconds: float | None = None
    predictions: tuple[Prediction, ...] = field(default=())
    error: str | None = None

    def _repr_html_(self) -> str:
        """A table for notebooks: expression, probability as a bar, and box of each face."""
        title = html.escape(self.source) + ("" if self.seconds is None else f" @ {self.seconds:.2f} s")
        if self.error is not None or not self.predictions:
            return f"<p>{title}: {html.escape(self.error or 'no face found')}</p>"
        rows = "".join(map(_html_row, self.predictions))
        return f"<table><caption>{title}</caption><tr><th>expression<th>probability<th>box<th>notes</tr>{rows}</table>"


def _html_row(prediction: Prediction) -> str:
    """A row of the table: the bar has the colour of the expression, grey where the prediction is unsure."""
    grey = (176, 182, 192)
    colour = grey if prediction.unsure else COLOURS.get(prediction.emotion, grey)
    box = prediction.face.box
    edges = ", ".join(f"{edge:.0f}" for edge in (box.left, box.top, box.right, box.bottom))
    bar = (
        f'<div style="width: {100 * prediction.probability:.0f}px; height: 0.8em; '
        f'display: inline-block; background: rgb{colour}"></div>'
    )
    cells = (
        html.escape(prediction.emotion),
        f"{bar} {prediction.probability:.0%}",
        edges,
        html.escape(", ".join(prediction.reasons)),
    )
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"
