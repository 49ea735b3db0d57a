"""Decodes the video stream of a file with PyAV: every frame that decodes, its timestamp, a record of what is damaged.

PyAV's wheels bring FFmpeg. It reads local files alone: no address, no playlist, no file that another one names.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mien.errors import VideoError
from mien.media.damage import Damage
from mien.media.header import MAX_PIXELS
from mien.media.shown_frame import DecodedFrame, display_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,mxf,gxf,h261,h263,h264,hevc,vvc,m4v,dv,rm,wtv,nut,"
    "ivf,mjpeg,obu,av1,vc1,dirac,yuv4mpegpipe,gif,apng,nsv,nuv,amv,pva,dhav,kux"
)
"""FFmpeg's demuxers that may open a file: none of playlists, image sequences, network sessions or devices."""

DEFAULT_FPS = 25.0
"""Frame rate of a file that states none."""

SMALLEST_STEP = 1e-4
"""Seconds between two frames to which a file gives the same timestamp: times rise, and stay right to a millisecond."""

JUMP_SECONDS = 1.0
"""Seconds by which timestamps go back where they begin anew, as in recordings that were joined."""

FIRST_FIELDS = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
"""The field shown first by FFmpeg's field order, where that is an interlaced one."""


def open_container(path: Path) -> Any:
    """Open a local video file with PyAV.

    Raises:
        VideoError: the file is no video of a kind in ``FORMATS``.
    """
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(MAX_PIXELS)}
    try:
        return av.open(f"file:{os.fspath(path)}", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError, RuntimeError) as error:
        if not os.access(path, os.R_OK):
            raise VideoError(f"expected a video at {path} that may be read; received one without permission") from error
        raise VideoError(
            f"expected a video at {path}; received a file that holds none, is cut short, or is of an unknown kind"
        ) from error


def packets_of(container: Any, *streams: Any) -> Iterator[Any]:
    """The packets of some of a container's streams, or of all, in the order of the file."""
    with suppress(IndexError):  # PyAV's at the end, where streams appeared that were not there at the start
        yield from container.demux(*streams)


class Decoder:
    """The frames of a video file, in order.

    One thread decodes: FFmpeg's frame threads don't say reliably which frames are damaged. Another one may close the
    file meanwhile.

    Args:
        path: of the file.

    Attributes:
        damage: what is missing; complete after the last frame.
        fps: frame rate as the file states it.
        length: duration in seconds as the file states it; None where it does not.
        errors: what PyAV raises.

    Raises:
        VideoError: the file is no video that can be read.
    """

    def __init__(self, path: Path) -> None:
        import av

        self.errors: tuple[type[Exception], ...] = (av.FFmpegError, ValueError, RuntimeError)
        self._path, self._container = path, open_container(path)
        # timestamps that FFmpeg would make up are wrong where frames are reordered
        self._container.flags &= ~av.container.core.Flags.gen_pts.value
        try:
            self._stream = self._best_stream()
        except VideoError:
            self._container.close()
            raise
        rates = (self._stream.average_rate, self._stream.guessed_rate)
        self.fps = next((float(rate) for rate in rates if rate and rate > 0), DEFAULT_FPS)
        self._time_base = float(self._stream.time_base or Fraction(1, 1000))
        # read now: PyAV's streams have no memory of their own once their file is closed
        self.length, self._stated_end, self._stated_frames = self._length(), self._end(), self._stream.frames
        self._aspect, self._coded_aspect = self._stream.sample_aspect_ratio, self._codec.sample_aspect_ratio
        self.damage = Damage(self._container.format.name.split(",")[0], self._time_base, 1 / self.fps)
        self._index, self._seconds = 0, 0.0
        self._clock = _Clock()
        self._turn: tuple[int, tuple[int, ...]] | None = None
        self._zero: int | None = None
        self._reached, self._jumped = 0.0, False
        self._closed, self._lock = False, threading.Lock()

    def _best_stream(self) -> Any:
        """The video stream to read: FFmpeg's choice, but never cover art."""
        from av.stream import Disposition

        art = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [stream for stream in self._container.streams.video if not stream.disposition & art]
        if not streams:
            held = "sound without a video" if self._container.streams.audio else "a file without one"
            raise VideoError(f"expected a video at {self._path}; received {held}")
        best = self._container.streams.best("video")
        stream = best if best in streams else streams[0]
        if stream.codec_context is None:
            raise VideoError(f"expected a video at {self._path} of a codec that FFmpeg decodes; received another one")
        self._codec = stream.codec_context
        width, height = self._codec.width, self._codec.height
        if width * height > MAX_PIXELS:
            raise VideoError(
                f"expected frames of at most {MAX_PIXELS:,} pixels in {self._path}; received {width}x{height}"
            )
        self._codec.thread_count = 1
        self._codec.options = {"max_pixels": str(MAX_PIXELS)}
        return stream

    @property
    def first_field(self) -> str | None:
        """The field shown first, where only the container says that frames are interlaced; None elsewhere.

        Codecs without references between frames may leave that to the container; the others mark each frame.
        """
        order = getattr(self._codec, "field_order", 0)  # PyAV has it from 18.1 on
        return FIRST_FIELDS.get(order) if self._codec.codec.intra_only else None

    def _length(self) -> float | None:
        if self._stream.duration and self._stream.duration > 0:
            return float(self._stream.duration) * self._time_base
        duration = self._container.duration
        return duration / 1e6 if duration and duration > 0 else None

    def frames(self) -> Iterator[DecodedFrame]:
        """Every frame that decodes; after the last one, ``damage`` is complete.

        Raises:
            VideoError: not a single frame can be read, or the file is closed.
        """
        broken, packets = False, None
        while True:
            try:
                with self._lock:
                    self._check_open()
                    packets = packets or packets_of(self._container)
                    packet = next(packets, None)
            except self.errors:
                broken = True
                break
            if packet is None:
                break
            if not packet.size:  # a repeated frame, or PyAV's sign of the end
                continue
            self.damage.passed(packet)
            self._note_end(packet)
            if packet.stream is self._stream:
                self.damage.sent(packet)
                yield from self._decode(packet)
        yield from self._decode(None)
        if not self._index:
            raise VideoError(
                f"expected a video at {self._path}; received a file without a frame that can be read, or with frames "
                f"of more than {MAX_PIXELS:,} pixels"
            )
        start = (self._zero or 0) * self._time_base
        stated = None if self._jumped else self._stated_end
        self.damage.ended(
            self._stated_frames, None if stated is None else stated - start, self._reached - start, broken=broken
        )

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._closed = True
            self._container.close()

    def _check_open(self) -> None:
        """Refuse to go on with a closed file, where PyAV would crash the process."""
        if self._closed:
            raise VideoError(f"expected {self._path} to be open; it was closed before its end. Open it again")

    def _decode(self, packet: Any) -> Iterator[DecodedFrame]:
        """The frames that come out when a packet goes in; None at the end."""
        try:
            with self._lock:
                self._check_open()
                frames = self._stream.decode(packet)
        except self.errors:
            self.damage.failed(packet)
            return
        for frame in frames:
            clock = self._clock.of(frame)
            seconds = self._time_of(clock)
            self.damage.shown(frame, clock, seconds)
            yield DecodedFrame(self._index, seconds, frame, self._pixel_aspect(), self._matrix_of(frame))
            self._index += 1

    def _time_of(self, clock: int | None) -> float:
        """Seconds of a frame from the first one; they rise from frame to frame."""
        if self._zero is None:
            self._zero = clock
        before, next_one = self._seconds, self._seconds + 1 / self.fps
        if not self._index:
            seconds = 0.0
        elif clock is None or self._zero is None:
            seconds = next_one
        else:
            seconds = (clock - self._zero) * self._time_base
            if seconds < before - JUMP_SECONDS:
                seconds, self._jumped = next_one, True
                self._zero = clock - round(seconds / self._time_base)
                self.damage.jumped()
            seconds = max(seconds, before + SMALLEST_STEP)
        self._seconds = seconds
        return seconds

    def _matrix_of(self, frame: Any) -> tuple[int, ...]:
        """The display matrix, read anew where the rotation changes: PyAV keeps frames whose side data was read."""
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, display_matrix(frame)
        return self._turn[1]

    def _pixel_aspect(self) -> Fraction:
        """Of the container, if it states one of its own; otherwise of the codec, where it may change."""
        aspect = self._aspect if self._aspect != self._coded_aspect else self._codec.sample_aspect_ratio
        return aspect or Fraction(1)

    def _note_end(self, packet: Any) -> None:
        """Note how far the packets reach on the file's clock; those of all streams, if the stated length is theirs."""
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None and (packet.stream is self._stream or not self._stream.duration):
            self._reached = max(self._reached, float((at + (packet.duration or 0)) * packet.time_base))

    def _end(self) -> float | None:
        """Where the header says that the video ends, in seconds of the file's clock."""
        if self._stream.duration:
            return float((self._stream.start_time or 0) + self._stream.duration) * self._time_base
        duration, start = self._container.duration, self._container.start_time or 0
        return (duration + min(start, 0)) / 1e6 if duration and duration > 0 else None


class _Clock:
    """Chooses between a frame's own timestamp and its packet's as FFmpeg does: the kind that goes back less often.

    FFmpeg calls the result the best-effort timestamp; PyAV does not have it.
    """

    def __init__(self) -> None:
        self._faults = {"pts": 0, "dts": 0}
        self._last = {"pts": -(1 << 63), "dts": -(1 << 63)}

    def of(self, frame: Any) -> int | None:
        """The timestamp of the next frame in ticks; None if it has none."""
        pts: int | None = frame.pts
        dts: int | None = frame.dts
        for name, time, other in (("dts", dts, pts), ("pts", pts, dts)):
            if time is not None:
                self._faults[name] += time <= self._last[name]
                self._last[name] = time
            elif other is not None:
                self._last[name] = other
        trusted = self._faults["pts"] <= self._faults["dts"] or dts is None
        return pts if pts is not None and trusted else dts
