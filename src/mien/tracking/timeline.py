"""Results over time become who showed what and when: segments for each face, totals, changes a minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mien.structures import FrameResult, Prediction

UNSURE = "unsure"
"""What a segment is called in which no answer can be relied on."""

GAP = 1.0
"""Seconds without a reading of a face after which it was not there."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which a face showed one expression.

    Attributes:
        track: number of the face.
        emotion: the expression, or "unsure".
        start: seconds from the beginning of the video.
        end: seconds; where the next one begins, or the face was last seen.
        probability: of the expression named, the mean over the readings.
        readings: how many frames it was read in.
    """

    track: int
    emotion: str
    start: float
    end: float
    probability: float
    readings: int

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.start


@dataclass(frozen=True)
class Person:
    """What one face showed over a video.

    Attributes:
        track: its number.
        segments: in their order; between two that do not touch it was not seen.
    """

    track: int
    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> float:
        """How long it was seen."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def totals(self) -> dict[str, float]:
        """Seconds of each expression, the longest first."""
        total: dict[str, float] = {}
        for segment in self.segments:
            total[segment.emotion] = total.get(segment.emotion, 0.0) + segment.seconds
        return dict(sorted(total.items(), key=lambda pair: -pair[1]))

    @property
    def changes_a_minute(self) -> float:
        """How often the expression changed while the face was seen; a while of unsureness is no change."""
        named = [one for one in self.segments if one.emotion != UNSURE]
        changes = sum(
            1 for one, other in pairwise(named) if one.emotion != other.emotion and other.start - one.end <= GAP
        )
        return 60 * changes / self.seconds if self.seconds else 0.0


@dataclass
class _Open:
    """A segment that may go on."""

    emotion: str
    start: float
    last: float
    sum: float
    readings: int


@dataclass
class _Face:
    """The segments of one face so far."""

    done: list[Segment] = field(default_factory=list)
    open: _Open | None = None


class Timeline:
    """Takes results in the order of their times; what it keeps grows with the segments, not with the frames."""

    def __init__(self) -> None:
        self._faces: dict[int, _Face] = {}
        self._now: float | None = None
        self._every = 0.0

    def add(self, result: FrameResult) -> None:
        """Takes what was read in the next frame; a face without a number is nobody's yet, and left out.

        Raises:
            UsageError: it has no time, or is not later than the last.
        """
        now = result.seconds
        if now is None or (self._now is not None and now <= self._now):
            raise UsageError(f"expected results in the order of their times; received {now} s after {self._now} s")
        if self._now is not None:
            self._every = now - self._now
        self._now = now
        for one in result.predictions:
            if one.track is not None:
                self._read(self._faces.setdefault(one.track, _Face()), one, one.track, now)

    def people(self) -> tuple[Person, ...]:
        """What each face showed so far, in the order in which they came."""
        found = []
        for track, face in self._faces.items():
            last = () if face.open is None else (self._ended(track, face.open, None),)
            found.append(Person(track, (*face.done, *last)))
        return tuple(found)

    def _read(self, face: _Face, one: Prediction, track: int, now: float) -> None:
        emotion = UNSURE if one.unsure else one.emotion
        open_ = face.open
        gone = open_ is not None and now - open_.last > max(GAP, 2 * self._every)
        if open_ is not None and (gone or open_.emotion != emotion):
            face.done.append(self._ended(track, open_, None if gone else now))
            open_ = None
        if open_ is None:
            open_ = face.open = _Open(emotion, now, now, 0.0, 0)
        open_.last = now
        open_.sum += one.probability
        open_.readings += 1

    def _ended(self, track: int, open_: _Open, end: float | None) -> Segment:
        """A segment to its end: a time, or for as long as a reading counts after the last."""
        end = open_.last + self._every if end is None else end
        return Segment(track, open_.emotion, open_.start, end, open_.sum / open_.readings, open_.readings)


def timeline(results: Iterable[FrameResult]) -> tuple[Person, ...]:
    """What each face of a video showed, and when."""
    taken = Timeline()
    for result in results:
        taken.add(result)
    return taken.people()


def milliseconds(seconds: float) -> int:
    """A time as subtitles and annotations write it."""
    return round(1000 * seconds)
