"""A timeline as subtitles: SubRip (.srt) and WebVTT (.vtt), which players show over the video."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mien.tracking.timeline import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mien.tracking.timeline import Person, Segment


class _Cue(NamedTuple):
    """What is shown between two times, in milliseconds."""

    start: int
    end: int
    words: str


def to_srt(people: Iterable[Person]) -> str:
    """Subtitles as SubRip has them."""
    cues = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.words}\n"
        for number, cue in enumerate(_cues(people), start=1)
    )
    return "\n".join(cues)


def to_vtt(people: Iterable[Person]) -> str:
    """Subtitles as WebVTT has them (W3C)."""
    cues = (f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_plain(cue.words)}\n" for cue in _cues(people))
    return "\n".join(["WEBVTT\n", *cues])


def _cues(people: Iterable[Person]) -> Iterator[_Cue]:
    """The segments of all faces, cut where any of them changes: one cue tells what all show."""
    several = list(people)
    named = len(several) > 1
    segments = [segment for person in several for segment in person.segments]
    edges = sorted({milliseconds(edge) for segment in segments for edge in (segment.start, segment.end)})
    for start, end in pairwise(edges):
        shown = [one for one in segments if milliseconds(one.start) <= start and end <= milliseconds(one.end)]
        if shown:
            yield _Cue(start, end, "\n".join(_words(one, named=named) for one in shown))


def _words(segment: Segment, *, named: bool) -> str:
    words = f"{segment.emotion} {segment.probability:.0%}"
    return f"{segment.track}: {words}" if named else words


def _clock(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"


def _plain(words: str) -> str:
    """Words that WebVTT does not take for markup."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
