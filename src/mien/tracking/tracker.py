"""The same face over the frames of a video: a number that stays, probabilities without flicker, a word that holds.

Probabilities are smoothed as logits, by an exponential mean with a time constant in seconds, so that the frame rate
does not matter. The word changes when another expression is likelier by a margin, not at every draw.
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

LEAST_ALIKE = 0.3
"""Likeness from which two boxes may be one face."""

LEAST = 1e-3
"""Probabilities below count as this: what one frame rules out should not outweigh seconds of others."""

REACH = 1.0
"""How far a face moves between frames at most, in its own sides."""

MOST_GROWN = 2.0
"""How many times larger or smaller it becomes between frames at most."""


@dataclass(frozen=True)
class TrackerConfig:
    """How steady what is told of a face is.

    Attributes:
        seconds: time constant of the mean of logits; 0: none is taken.
        gap: seconds that a face may be out of sight and keep its number.
        margin: by how much more probable another expression must be before the word changes.
        sureness: by how much the probability must fall under the threshold before a sure answer becomes unsure.
        certain: confidence of the detector from which a face has a number at once.
        settled: seconds that a fainter one must have been in sight before it has one, so that what a detector takes
            for a face in a frame or two is nobody (as ByteTrack: Zhang et al. 2022, only sure ones begin a track).
    """

    seconds: float = 0.5
    gap: float = 1.0
    margin: float = 0.1
    sureness: float = 0.05
    certain: float = 0.6
    settled: float = 0.25


@dataclass
class _Track:
    """A face that is followed, as it was when it was last seen; without a number until it is sure to be one."""

    box: Box
    began: float
    seen: float
    logits: Logits
    number: int | None = None
    word: str = ""
    sure: bool = False


class Tracker:
    """Follows faces from frame to frame; one for each video, not for several threads.

    Args:
        tracker config: how steady what is told is.
    """

    def __init__(self, steadiness: TrackerConfig | None = None) -> None:
        self.steadiness = steadiness or TrackerConfig()
        self._tracks: list[_Track] = []
        self._numbers = 0
        self._now = -math.inf

    def follow(self, predictions: Sequence[Prediction], seconds: float) -> tuple[Prediction, ...]:
        """The predictions of the next frame, in their order, steadied, with the number of its face or None.

        Args:
            predictions: of one frame.
            seconds: the frame's time; one earlier than the last begins anew, as after a jump back.
        """
        if seconds < self._now:
            self.forget()
        self._now = seconds
        self._tracks = [track for track in self._tracks if seconds - track.seen <= self.steadiness.gap]
        known = _matched([track.box for track in self._tracks], [one.face.box for one in predictions])
        pairs = [(one, self._tracks[known[row]] if row in known else None) for row, one in enumerate(predictions)]
        return tuple(self._steadied(one, track) for one, track in pairs)

    def forget(self) -> None:
        """Every face that comes from now on is a new one; numbers are not used again."""
        self._tracks = []
        self._now = -math.inf

    def _steadied(self, prediction: Prediction, track: _Track | None) -> Prediction:
        logits = logits_of(prediction)
        if track is None or track.logits.shape != logits.shape:
            track = _Track(prediction.face.box, self._now, self._now, logits)
            self._tracks.append(track)
        self._number(track, prediction.face.confidence)
        kept = _kept(self._now - track.seen, self.steadiness.seconds)
        track.logits = kept * track.logits + (1 - kept) * logits
        track.box, track.seen = prediction.face.box, self._now
        return self._held(prediction, track)

    def _number(self, track: _Track, confidence: float) -> None:
        """Gives a face its number as soon as it is sure to be one."""
        sure = confidence >= self.steadiness.certain or self._now - track.began >= self.steadiness.settled
        if track.number is None and sure:
            self._numbers += 1
            track.number = self._numbers

    def _held(self, prediction: Prediction, track: _Track) -> Prediction:
        """The steadied prediction, and what it is held by the next time."""
        below = max(prediction.unsure_below - (self.steadiness.sureness if track.sure else 0.0), 0.0)
        row = softmax(track.logits[None])[0].astype(float)
        told = dataclasses.replace(
            prediction, probabilities=tuple((row / row.sum()).tolist()), unsure_below=below, track=track.number
        )
        if track.word and told.probability - told.probability_of(track.word) <= self.steadiness.margin:
            told = dataclasses.replace(told, held=track.word)
        track.word, track.sure = told.emotion, not told.unsure
        return told


def logits_of(prediction: Prediction) -> Logits:
    """The logarithms of the probabilities less their mean, float32 (labels,)."""
    logits = np.log(np.maximum(np.array(prediction.probabilities, np.float32), np.float32(LEAST)))
    centred: Logits = logits - logits.mean()
    return centred


def _kept(passed: float, constant: float) -> float:
    """The share of a mean that is left after some seconds."""
    return math.exp(-passed / constant) if constant > 0 else 0.0


def _matched(tracks: Sequence[Box], boxes: Sequence[Box]) -> dict[int, int]:
    """The row of the track that each box continues, the likest pairs first."""
    alike = {
        (box, track): _likeness(tracks[track], boxes[box]) for box in range(len(boxes)) for track in range(len(tracks))
    }
    found: dict[int, int] = {}
    for box, track in sorted(alike, key=lambda pair: -alike[pair]):
        if alike[box, track] >= LEAST_ALIKE and box not in found and track not in found.values():
            found[box] = track
    return found


def _likeness(before: Box, now: Box) -> float:
    """How likely two boxes are one face, 0 to 2: their overlap, and how near their middles are for their size."""
    side = math.sqrt(max(before.area, now.area))
    if max(before.area, now.area) > MOST_GROWN**2 * min(before.area, now.area):
        return 0.0
    distance = math.dist(before.centre, now.centre) / side
    return before.iou(now) + max(0.0, 1.0 - distance / REACH)
