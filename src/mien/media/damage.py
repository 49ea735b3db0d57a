"""What is missing of a video: what its container and packets promise against the frames that were decoded."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LENGTH_IN_HEADER = frozenset({"mov", "matroska", "avi", "flv", "asf", "mxf", "gxf"})
"""Containers whose header states a length; for others FFmpeg estimates one."""

CONTIGUOUS = frozenset({"matroska", "avi", "flv", "ogg", "asf"})
"""Containers whose packets lie one behind the other, so that a gap of bytes between two is a loss."""

MAX_OVERHEAD = 600
"""Bytes of headers between two packets; more are a gap."""

AFTER_GAP = 3
"""Packets after a gap of bytes among which timestamps may jump."""

MIN_IMAGE_BYTES = 20
"""Smaller packets repeat the frame before: no frame has to come of them."""

GAP = 1.75
"""Distances between two frames from which on one is missing between them; film shown at 60 Hz has steps of 1.5."""

MAX_LISTED = 4
"""Stretches that a message lists."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a video that is damaged.

    Attributes:
        start: its first timestamp, in seconds.
        end: the timestamp of the next good frame, or of the end.
        missing: whether frames are missing; otherwise all were decoded, some with errors.
    """

    start: float
    end: float
    missing: bool


class Damage:
    """The record of one video's damage, kept while it is decoded.

    A frame that is lost damages those predicted from it: a stretch lasts to the next good key frame. What comes before
    the first key frame does not count: a recording that begins in the middle has no start to decode those from.

    Args:
        container: first name of the format, as FFmpeg has it.
        time_base: seconds per tick of the packets' timestamps.
        frame_seconds: duration of a frame by the stated frame rate.
    """

    def __init__(self, container: str, time_base: float, frame_seconds: float) -> None:
        self._container, self._time_base, self._frame_seconds = container, time_base, frame_seconds
        self._distances: deque[float] = deque(maxlen=25)
        self._promised: set[int] = set()
        self._first_key: int | None = None
        self._zero: int | None = None
        self._last: float | None = None
        self._newest_packet: int | None = None
        self._byte_start, self._byte_end, self._after_gap = -1, 0, 0
        self._gaps: list[float] = []
        self._stretches: list[Stretch] = []
        self._open: tuple[float, bool] | None = None
        self._shown_until = 0.0
        self.packets = 0

    def passed(self, packet: Any) -> None:
        """Note a packet of any stream, in the order of the file."""
        if self._container in CONTIGUOUS and packet.pos is not None and packet.pos >= 0:
            if packet.pos != self._byte_start:  # those of one page have one position
                if 0 < self._byte_end < packet.pos - MAX_OVERHEAD:
                    self._after_gap = AFTER_GAP
                self._byte_start = self._byte_end = packet.pos
            self._byte_end += packet.size

    def sent(self, packet: Any) -> None:
        """Note a video packet that goes to the decoder."""
        self.packets += 1
        at = packet.pts if packet.pts is not None else packet.dts
        if self._first_key is None and packet.is_keyframe:
            self._first_key = at if at is not None else -(1 << 62)
        if at is None:
            return
        if self._after_gap and self._newest_packet is not None:
            behind = self._seconds(self._newest_packet) + self._distance
            if self._after_gap == AFTER_GAP:
                self._gaps.append(behind)
            self._after_gap -= 1
            if self._seconds(at) > behind + (GAP - 1) * self._distance:
                self._damaged(behind, missing=True)
        self._newest_packet = at if self._newest_packet is None else max(self._newest_packet, at)
        if not self._counts(at):
            return
        if packet.pts is not None and not packet.is_discard and packet.size >= MIN_IMAGE_BYTES:
            self._promised.add(packet.pts)
        if packet.is_corrupt:  # bytes are missing around it: not in it, where recordings were joined
            self._after_gap = AFTER_GAP

    def failed(self, packet: Any) -> None:
        """Note that the decoder refused a packet."""
        times = () if packet is None else (packet.pts, packet.dts)
        at = next((time for time in times if time is not None), None)
        if self._first_key is None or not (at is None or self._counts(at)):
            return
        self._promised -= {at}
        if packet is None or packet.size >= MIN_IMAGE_BYTES:
            self._damaged(self._shown_until if at is None else self._seconds(at), missing=True)

    def shown(self, frame: Any, clock: int | None, seconds: float) -> None:
        """Note a decoded frame.

        Args:
            frame: PyAV's.
            clock: its timestamp in ticks, as far as it is known.
            seconds: its timestamp from the first frame.
        """
        if self._zero is None and clock is not None:
            self._zero = clock - round(seconds / self._time_base)
        if frame.pts is not None:
            late = {promised for promised in self._promised if promised < frame.pts}
            self._promised -= {*late, frame.pts}
            if late and self._last is not None and seconds - self._last > GAP * self._distance:
                self._damaged(self._seconds(min(late)), missing=True)
        if frame.is_corrupt and (frame.pts is None or self._counts(frame.pts)):
            self._damaged(seconds, missing=False)
        elif self._open and frame.key_frame and seconds > self._open[0]:
            self._close(seconds)
        if self._last is not None:
            self._distances.append(seconds - self._last)
        self._last, self._shown_until = seconds, seconds + self._distance

    def lost(self, seconds: float) -> None:
        """Note a frame that was decoded and can't be shown."""
        self._stretches.append(Stretch(seconds, seconds + self._distance, missing=True))

    def jumped(self) -> None:
        """Note that timestamps begin anew: nothing that was promised before can be checked."""
        self._promised.clear()
        self._zero = self._newest_packet = None

    def ended(self, frames: int, length: float | None, reached: float, *, broken: bool) -> None:
        """Note the end of the file.

        Args:
            frames: that the header states; 0 where it states no number.
            length: seconds from the first frame to the end that the header states; None where it states none.
            reached: seconds from the first frame to the end of the last packet.
            broken: whether the file could not be read to its end.
        """
        rest = [at for at in map(self._seconds, self._promised) if at > (self._last or 0.0) + GAP / 2 * self._distance]
        if rest:
            self._damaged(min(rest), missing=True)
        fewer = 0 < self.packets < frames and self._container == "avi"
        if fewer:
            length = max(length or 0.0, frames * self._frame_seconds)
        if fewer and self._gaps and not any(stretch.missing for stretch in self._stretches):
            self._damaged(self._gaps[0], missing=True)
        stated = length if self._container in LENGTH_IN_HEADER else None
        if broken or (stated is not None and stated - reached > GAP * self._distance):
            self._damaged(min(reached, self._shown_until), missing=True)
        self.length = max(stated or 0.0, self._shown_until)
        if self._open:
            self._close(max(self.length, self._open[0]))

    length = 0.0
    """Seconds from the first frame to the end, as stated or as decoded, once the end is reached."""

    def stretches(self, start: float, end: float | None) -> list[Stretch]:
        """What is damaged between two timestamps, in order."""
        found = [*self._stretches, *([Stretch(self._open[0], self._shown_until, self._open[1])] if self._open else [])]
        last = max((stretch.end for stretch in found), default=0.0) if end is None else end
        clipped = (
            Stretch(max(stretch.start, start), min(stretch.end, last), stretch.missing)
            for stretch in sorted(found, key=lambda stretch: stretch.start)
            if stretch.start <= last and stretch.end > start
        )
        return _joined(clipped)

    @property
    def _distance(self) -> float:
        """Seconds from one frame to the next, lately."""
        return statistics.median(self._distances) if self._distances else self._frame_seconds

    def _counts(self, pts: int) -> bool:
        return self._first_key is not None and pts >= self._first_key

    def _seconds(self, pts: int) -> float:
        zero = self._zero if self._zero is not None else self._first_key or 0
        return max((pts - zero) * self._time_base, 0.0)

    def _damaged(self, seconds: float, *, missing: bool) -> None:
        """Begin a stretch, unless one is open; where frames are missing, one of them."""
        start, known = self._open or (seconds, missing)
        if missing and not known and start < seconds:
            self._close(seconds)
            start = seconds
        self._open = min(start, seconds), known or missing

    def _close(self, seconds: float) -> None:
        if self._open:
            self._stretches.append(Stretch(self._open[0], seconds, self._open[1]))
        self._open = None


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The stretches with those that touch made one."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.start <= joined[-1].end and stretch.missing == joined[-1].missing:
            last = joined.pop()
            stretch = Stretch(last.start, max(last.end, stretch.end), last.missing)  # noqa: PLW2901
        joined.append(stretch)
    return joined


def sentence(stretches: list[Stretch], length: float) -> str:
    """What is damaged, in words: "frames are missing from 0.7 s to 2.0 s of 2.0 s"."""
    states = []
    for state, missing in (("missing", True), ("damaged", False)):
        found = [stretch for stretch in stretches if stretch.missing is missing]
        parts = [_span(stretch) for stretch in found[:MAX_LISTED]]
        if len(found) > MAX_LISTED:
            parts.append(f"in {len(found) - MAX_LISTED} more stretches")
        if parts:
            states.append(f"{state} {', '.join(parts)}")
    return f"frames are {' and '.join(states)} of {length:.1f} s"


def _span(stretch: Stretch) -> str:
    digits = 1 if f"{stretch.start:.1f}" != f"{stretch.end:.1f}" else 2
    return f"from {stretch.start:.{digits}f} s to {stretch.end:.{digits}f} s"
