"""The timeline of a video: a track for each face, with a segment for each stretch of one expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mien.structures import FrameResult, Prediction

UNSURE = "unsure"
"""Name of a segment whose predictions are unsure."""

MAX_GAP_SECONDS = 1.0
"""Time without a prediction after which a face counts as absent."""


FRAME_SECONDS = 1 / 25
"""Duration of a frame, where it is not known."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which a face showed one expression.

    Attributes:
        track: number of the track.
        emotion: the expression, or "unsure".
        start: seconds from the beginning of the video.
        end: seconds, where the next segment begins or the face was last seen.
        probability: of this expression, the mean over the frames.
        frames: number of analysed frames.
    """

    track: int
    emotion: str
    start: float
    end: float
    probability: float
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.end - self.start


@dataclass(frozen=True)
class Track:
    """One face over a video.

    Attributes:
        number: the number that its predictions have as ``track``.
        segments: in order of time; the face was out of sight between two that do not touch.
    """

    number: int
    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> float:
        """How long the face was visible."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def totals(self) -> dict[str, float]:
        """Seconds of each expression, the longest first."""
        total: dict[str, float] = {}
        for segment in self.segments:
            total[segment.emotion] = total.get(segment.emotion, 0.0) + segment.seconds
        return dict(sorted(total.items(), key=lambda pair: -pair[1]))

    @property
    def shares(self) -> dict[str, float]:
        """Share of each expression in the visible time, 0 to 1, the largest first."""
        return {emotion: seconds / self.seconds if self.seconds else 0.0 for emotion, seconds in self.totals.items()}

    @property
    def changes_per_minute(self) -> float:
        """Change of expression per visible minute; an unsure segment in between is no change."""
        sure = [segment for segment in self.segments if segment.emotion != UNSURE]
        changes = sum(
            1
            for before, after in pairwise(sure)
            if before.emotion != after.emotion and after.start - before.end <= MAX_GAP_SECONDS
        )
        return 60 * changes / self.seconds if self.seconds else 0.0


@dataclass
class _OpenSegment:
    """A segment that may still grow."""

    emotion: str
    start: float
    last: float
    probability_sum: float
    frames: int


@dataclass
class _Face:
    """The segments of one face so far."""

    closed: list[Segment] = field(default_factory=list)
    open: _OpenSegment | None = None


class Timeline:
    """Accumulates results in the order of their times; its memory grows with the segments, not with the frames.

    Args:
        frame_seconds: duration of a frame, which is that of a face seen in one frame alone; above 0.

    Attributes:
        frames: number of results so far.
    """

    def __init__(self, frame_seconds: float = FRAME_SECONDS) -> None:
        self._faces: dict[int, _Face] = {}
        self._now: float | None = None
        self._interval = frame_seconds
        self.frames = 0

    def add(self, result: FrameResult) -> None:
        """Add the next frame; predictions without a track number are ignored.

        Raises:
            UsageError: the result has no time, or is not later than the last one.
        """
        now = result.seconds
        if now is None or (self._now is not None and now <= self._now):
            raise UsageError(f"expected results in the order of their times; received {now} s after {self._now} s")
        if self._now is not None:
            self._interval = now - self._now
        self._now = now
        self.frames += 1
        for prediction in result.predictions:
            if prediction.track is not None:
                self._add(self._faces.setdefault(prediction.track, _Face()), prediction, prediction.track, now)

    def tracks(self) -> tuple[Track, ...]:
        """The tracks so far, in order of appearance."""
        tracks = []
        for number, face in self._faces.items():
            last = () if face.open is None else (self._close(number, face.open, None),)
            tracks.append(Track(number, (*face.closed, *last)))
        return tuple(tracks)

    def _add(self, face: _Face, prediction: Prediction, number: int, now: float) -> None:
        emotion = UNSURE if prediction.unsure else prediction.emotion
        segment = face.open
        lost = segment is not None and now - segment.last > max(MAX_GAP_SECONDS, 2 * self._interval)
        if segment is not None and (lost or segment.emotion != emotion):
            face.closed.append(self._close(number, segment, None if lost else now))
            segment = None
        if segment is None:
            segment = face.open = _OpenSegment(emotion, now, now, 0.0, 0)
        segment.last = now
        segment.probability_sum += prediction.probability
        segment.frames += 1

    def _close(self, number: int, segment: _OpenSegment, end: float | None) -> Segment:
        """The finished segment; without an end it lasts one frame interval after its last prediction."""
        end = segment.last + self._interval if end is None else end
        probability = segment.probability_sum / segment.frames
        return Segment(number, segment.emotion, segment.start, end, probability, segment.frames)


def timeline(results: Iterable[FrameResult], frame_seconds: float = FRAME_SECONDS) -> tuple[Track, ...]:
    """The tracks of a video: when each face showed which expression.

    Args:
        results: in the order of their times.
        frame_seconds: duration of a frame, which is that of a face seen in one frame alone; above 0.

    Example:
        >>> from mien.structures import Box, Face, FrameResult, Prediction
        >>> happy = Prediction(Face(Box(0, 0, 9, 9)), ("happy", "sad"), (0.9, 0.1), track=1)
        >>> (track,) = timeline(FrameResult("a.mp4", n, n / 10, (happy,)) for n in range(11))
        >>> [(segment.emotion, round(segment.end, 1)) for segment in track.segments]
        [('happy', 1.1)]
    """
    collected = Timeline(frame_seconds)
    for result in results:
        collected.add(result)
    return collected.tracks()
