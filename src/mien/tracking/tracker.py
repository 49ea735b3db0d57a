"""Multi-face tracking over the frames of a video: track numbers, smoothed probabilities, label hysteresis.

Probabilities are smoothed as logits, by an exponential moving average with a time constant in seconds, so that the
frame rate does not matter. The label changes only when another expression is more probable by a margin.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.probabilities import softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mien.structures import Box, Prediction

    Logits = npt.NDArray[np.float32]

MIN_SIMILARITY = 0.3
"""Similarity (0 to 2: IoU plus proximity) from which two boxes may be the same face."""

MIN_PROBABILITY = 1e-3
"""Floor of probabilities before the logarithm: one frame that excludes an expression must not outweigh seconds."""

MAX_SHIFT_SIDES = 1.0
"""Largest movement of a face between two frames, in sides of its box."""

MAX_SCALE_RATIO = 2.0
"""Largest change of a face's side between two frames, as a factor."""


@dataclass(frozen=True)
class TrackerConfig:
    """Settings of a ``Tracker``.

    Attributes:
        smoothing_seconds: time constant of the moving average of logits; 0 turns smoothing off.
        max_gap_seconds: how long a face may be out of sight and keep its track number.
        label_margin: label hysteresis: by how much more probable another expression must be before the label changes.
        unsure_margin: how far the probability must fall below the threshold before a sure prediction becomes unsure.
        instant_confidence: detector confidence from which a face gets a track number at once.
        min_age_seconds: how long a face of lower confidence must be tracked before it gets a number, so that false
            positives of one or two frames get none (as in ByteTrack, Zhang et al. 2022: only confident detections
            start a track).
    """

    smoothing_seconds: float = 0.5
    max_gap_seconds: float = 1.0
    label_margin: float = 0.1
    unsure_margin: float = 0.05
    instant_confidence: float = 0.6
    min_age_seconds: float = 0.25


@dataclass
class _TrackState:
    """A tracked face at its last detection; it has no number until it is confirmed."""

    box: Box
    first_seen: float
    last_seen: float
    logits: Logits
    number: int | None = None
    label: str = ""
    sure: bool = False


class Tracker:
    """Tracks faces from frame to frame. Use one tracker per video; it is not thread-safe.

    Args:
        config: smoothing, hysteresis and when a track starts and ends.

    Example:
        >>> from mien.structures import Box, Face, Prediction
        >>> tracker = Tracker()
        >>> for seconds in (0.0, 0.1):
        ...     face = Face(Box(100 + 30 * seconds, 50, 160 + 30 * seconds, 120))
        ...     (tracked,) = tracker.follow([Prediction(face, ("happy", "sad"), (0.9, 0.1))], seconds)
        >>> tracked.track
        1
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._tracks: list[_TrackState] = []
        self._last_number = 0
        self._now = -math.inf

    def follow(self, predictions: Sequence[Prediction], seconds: float) -> tuple[Prediction, ...]:
        """The predictions of the next frame in the same order, smoothed, each with its track number or None.

        Args:
            predictions: of one frame.
            seconds: time of the frame; if it is earlier than the last one, as after seeking, all tracks are reset.
        """
        if seconds < self._now:
            self.reset()
        self._now = seconds
        self._tracks = [track for track in self._tracks if seconds - track.last_seen <= self.config.max_gap_seconds]
        matches = _matches([track.box for track in self._tracks], [prediction.face.box for prediction in predictions])
        pairs = [
            (prediction, self._tracks[matches[row]] if row in matches else None)
            for row, prediction in enumerate(predictions)
        ]
        return tuple(self._updated(prediction, track) for prediction, track in pairs)

    def reset(self) -> None:
        """End all tracks; their numbers are not used again."""
        self._tracks = []
        self._now = -math.inf

    def _updated(self, prediction: Prediction, track: _TrackState | None) -> Prediction:
        logits = logits_of(prediction)
        if track is None or track.logits.shape != logits.shape:
            track = _TrackState(prediction.face.box, self._now, self._now, logits)
            self._tracks.append(track)
        self._confirm(track, prediction.face.confidence)
        decay = _decay(self._now - track.last_seen, self.config.smoothing_seconds)
        track.logits = decay * track.logits + (1 - decay) * logits
        track.box, track.last_seen = prediction.face.box, self._now
        return self._with_hysteresis(prediction, track)

    def _confirm(self, track: _TrackState, confidence: float) -> None:
        """Give a track its number once the face is unlikely to be a false positive."""
        confident = confidence >= self.config.instant_confidence
        if track.number is None and (confident or self._now - track.first_seen >= self.config.min_age_seconds):
            self._last_number += 1
            track.number = self._last_number

    def _with_hysteresis(self, prediction: Prediction, track: _TrackState) -> Prediction:
        """The smoothed prediction, which keeps its label and its unsure state within the margins."""
        threshold = max(prediction.unsure_below - (self.config.unsure_margin if track.sure else 0.0), 0.0)
        row = softmax(track.logits[None])[0].astype(float)
        smoothed = dataclasses.replace(
            prediction, probabilities=tuple((row / row.sum()).tolist()), unsure_below=threshold, track=track.number
        )
        if track.label and smoothed.probability - smoothed.probability_of(track.label) <= self.config.label_margin:
            smoothed = dataclasses.replace(smoothed, stable_label=track.label)
        track.label, track.sure = smoothed.emotion, not smoothed.unsure
        return smoothed


def logits_of(prediction: Prediction) -> Logits:
    """The logarithms of the probabilities minus their mean, float32 (labels,)."""
    logits = np.log(np.maximum(np.array(prediction.probabilities, np.float32), np.float32(MIN_PROBABILITY)))
    centred: Logits = logits - logits.mean()
    return centred


def _decay(elapsed: float, time_constant: float) -> float:
    """The weight of the old average after some seconds."""
    return math.exp(-elapsed / time_constant) if time_constant > 0 else 0.0


def _matches(tracks: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """The index of the track that each box continues: greedy matching, the most similar pairs first."""
    similarity = {
        (row, at): _similarity(track, box) for row, box in enumerate(boxes) for at, track in enumerate(tracks)
    }
    matches: dict[int, int] = {}
    for row, at in sorted(similarity, key=lambda pair: -similarity[pair]):
        if similarity[row, at] >= MIN_SIMILARITY and row not in matches and at not in matches.values():
            matches[row] = at
    return matches


def _similarity(before: Box, now: Box) -> float:
    """Similarity of two boxes, 0 to 2: IoU plus proximity of the centres; 0 where one is far larger."""
    side = math.sqrt(max(before.area, now.area))
    if max(before.area, now.area) > MAX_SCALE_RATIO**2 * min(before.area, now.area):
        return 0.0
    distance = math.dist(before.centre, now.centre) / side
    return before.iou(now) + max(0.0, 1.0 - distance / MAX_SHIFT_SIDES)
