"""The values that pass between the stages: boxes, faces, predictions, the result of a frame, and four array types."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from mien.emotions import COLOURS, emotion_named
from mien.errors import UsageError
from mien.structures.arrays import (
    Crops,
    Frame,
    Probabilities,
    Targets,
    check_crops,
    check_distribution,
    check_frame,
    describe,
)
from mien.structures.geometry import Box, Landmarks, Point, box_iou

__all__ = [
    "BLURRED",
    "QUALITY_ISSUES",
    "Box",
    "Crops",
    "Face",
    "Frame",
    "FrameResult",
    "Landmarks",
    "Point",
    "Prediction",
    "Probabilities",
    "Targets",
    "box_iou",
    "check_crops",
    "check_distribution",
    "check_frame",
    "describe",
]

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

    def scaled(self, factor: float) -> Face:
        """The face in an image that is this many times as wide and high; itself where it is the same."""
        if factor == 1:
            return self
        landmarks = None if self.landmarks is None else self.landmarks.scaled(factor)
        return replace(self, box=self.box.scaled(factor), landmarks=landmarks)

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

    def scaled(self, factor: float) -> Prediction:
        """The prediction in an image that is this many times as wide and high."""
        return replace(self, face=self.face.scaled(factor))

    def probability_of(self, label: str) -> float:
        """The probability of a label, in any case; synonyms of an expression ("happiness", "joy") count as it.

        An expression that the model does not have, such as "contempt" in FER2013's seven, has 0.0.

        Raises:
            UsageError: the label is neither the model's nor an expression.
        """
        if label in self.labels:
            return self.probabilities[self.labels.index(label)]
        wanted = label.strip().casefold() if isinstance(label, str) else ""
        emotion = emotion_named(wanted)
        for own, probability in zip(self.labels, self.probabilities, strict=True):
            if own.casefold() == wanted or own == emotion:
                return probability
        if emotion is None:
            raise UsageError(f"expected one of the labels {', '.join(self.labels)}; received {label!r}")
        return 0.0

    def to_dict(self) -> dict[str, Any]:
        """The prediction in plain types, as an entry of "faces" in ``mien predict --json``."""
        faces: list[dict[str, Any]] = FrameResult("", predictions=(self,)).to_dict()["faces"]
        return faces[0]


@dataclass(frozen=True, slots=True)
class FrameResult:
    """The faces and predictions of one image or video frame; notebooks show it as a table.

    Attributes:
        source: path or name of the image or video.
        index: number of the frame in its source, 0 for a photo.
        seconds: time of the frame in its video; None for a photo.
        predictions: one per face, largest face first; empty if no face was found.
        error: why the image could not be read; None if it could.
        warnings: what of the image was lost or altered while it was read, one sentence each.
    """

    source: str
    index: int = 0
    seconds: float | None = None
    predictions: tuple[Prediction, ...] = field(default=())
    error: str | None = None
    warnings: tuple[str, ...] = ()

    def scaled(self, factor: float) -> FrameResult:
        """The result with boxes in an image that is this many times as wide and high; itself where it is the same."""
        if factor == 1:
            return self
        return replace(self, predictions=tuple(prediction.scaled(factor) for prediction in self.predictions))

    def to_dict(self) -> dict[str, Any]:
        """The result in plain types, as a line of ``mien predict --json``: ``mien.outputs.to_dict``."""
        # by its name, since the schema is in a layer above: this is its shorthand on the value
        values: dict[str, Any] = import_module("mien.outputs.schema").to_dict(self)
        return values

    def _repr_html_(self) -> str:
        """A table for notebooks: expression, probability as a bar, and box of each face; warnings below it."""
        title = html.escape(self.source) + ("" if self.seconds is None else f" @ {self.seconds:.2f} s")
        warnings = "".join(f"<p>Warning: {html.escape(warning)}</p>" for warning in self.warnings)
        if self.error is not None or not self.predictions:
            return f"<p>{title}: {html.escape(self.error or 'no face found')}</p>{warnings}"
        rows = "".join(map(_html_row, self.predictions))
        head = f"<caption>{title}</caption><tr><th>expression<th>probability<th>box<th>notes</tr>"
        return f"<table>{head}{rows}</table>{warnings}"


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
