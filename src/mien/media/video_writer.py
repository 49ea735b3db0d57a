"""Videos written: frames that were drawn on, each at its time, with the sound of the video that they come from."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError, UsageError, VideoError
from mien.media.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mien.structures import Frame

KINDS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes of videos that can be written, and PyAV's name for each."""

TIMES = Fraction(1, 90_000)
"""Seconds that a time of a frame is counted in: fine enough for any frame rate."""

QUALITY = "20"
"""Of H.264 (its CRF): hardly to be told from the original."""


@contextmanager
def open_video(path: Path, sound_of: Path | None = None) -> Iterator[VideoWriter]:
    """A writer of a video, which is there when the block ends, whole.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        sound_of: a video whose sound is kept, as it is, where it has any.

    Raises:
        MissingExtraError: PyAV is not installed.
        UsageError: the name is of another kind.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("writing videos", "av", "video") from error
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"expected a video to write as {', '.join(KINDS)}; received {path.name}")
    with written_whole(path) as aside, av.open(str(aside), "w", format=kind) as target:
        writer = VideoWriter(target, sound_of)
        try:
            yield writer
            writer.end()
        finally:
            writer.let_go()


class VideoWriter:
    """Got from ``open_video``; frames come in the order of their times.

    Args:
        target: PyAV's container to write into.
        sound_of: a video whose sound is kept.
    """

    def __init__(self, target: Any, sound_of: Path | None) -> None:
        import av

        self._target, self._av = target, av
        self._stream: Any = None
        self._source = av.open(str(sound_of)) if sound_of is not None else None
        self._sound = self._copied_sound()
        self._next: Any = None

    def write(self, image: Frame, seconds: float) -> None:
        """Adds a frame.

        Args:
            image: uint8 (height, width, 3), RGB; all of one size.
            seconds: its time.
        """
        # H.264 halves its colours: odd edges lose a row or column
        image = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
        if self._stream is None:
            self._begin(image)
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = round(seconds / TIMES), TIMES
        self._copy_sound(seconds)
        self._put(frame)

    def end(self) -> None:
        """Writes what is still waiting, and the rest of the sound."""
        if self._stream is None:
            raise VideoError("expected frames to write; received none")
        self._put(None)
        self._copy_sound(None)

    def let_go(self) -> None:
        """Closes the video that the sound comes from."""
        if self._source is not None:
            self._source.close()

    def _begin(self, image: Frame) -> None:
        self._stream = self._target.add_stream("libx264", options={"crf": QUALITY, "preset": "veryfast"})
        self._stream.height, self._stream.width = image.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIMES
        if self._source is not None and self._source.streams.audio:
            self._sounding = self._target.add_stream_from_template(self._source.streams.audio[0])

    def _put(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._target.mux(packet)

    def _copied_sound(self) -> Iterator[Any]:
        """The packets of the sound."""
        if self._source is None or not self._source.streams.audio:
            return
        for packet in self._source.demux(self._source.streams.audio[0]):
            if packet.dts is not None:
                yield packet

    def _copy_sound(self, until: float | None) -> None:
        """Writes the sound up to a time; all of the rest if None."""
        while True:
            self._next = self._next or next(self._sound, None)
            if self._next is None or (until is not None and float(self._next.pts * self._next.time_base) > until):
                return
            self._next.stream = self._sounding
            self._target.mux(self._next)
            self._next = None
