"""Writes annotated frames to an H.264 video, each at its timestamp, with the sound of the source video."""

from __future__ import annotations

import io
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import UsageError, VideoError
from mien.media.decoder import JUMP_SECONDS, open_container, packets_of
from mien.media.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mien.structures import Frame

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes of videos that can be written, and PyAV's name of each container format."""

USUAL_RATE = 48_000
"""Samples a second of sound that is encoded anew from a rate that AAC does not have."""

TIME_BASE = Fraction(1, 90_000)
"""Seconds per tick of a frame's timestamp: fine enough for any frame rate."""

CRF = "20"
"""Constant rate factor of H.264: visually close to the original."""


@contextmanager
def open_video(path: Path, sound_of: Path | None = None, comment: str = "") -> Iterator[VideoWriter]:
    """Open a video for writing; the file appears when the block ends without error.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        sound_of: a video whose audio is copied, if it has any; its times stay right to the frames.
        comment: written into the metadata of the file.

    Raises:
        UsageError: another suffix.
        VideoError: no frame was written, or the container can't hold them.

    Example:
        ::

            with open_video(Path("out.mp4"), sound_of=Path("talk.mp4")) as writer:
                writer.write(image, seconds=0.0)
    """
    import av

    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise UsageError(f"expected a video to write as {', '.join(CONTAINERS)}; received {path.name}")
    try:
        with atomic_write(path) as temporary, av.open(f"file:{temporary}", "w", format=container) as target:
            if comment:
                target.metadata["comment"] = comment
            writer = VideoWriter(target, sound_of)
            try:
                yield writer
                writer.finish()
            finally:
                writer.close()
    except (av.InvalidDataError, av.ArgumentError, av.PatchWelcomeError) as error:
        raise VideoError(
            f"expected frames whose times and sizes fit into {path.name}; FFmpeg refuses them ({error.strerror})"
        ) from error


class VideoWriter:
    """Writes frames in the order of their timestamps; made by ``open_video``.

    Args:
        target: PyAV's output container.
        sound_of: a video whose audio is copied; encoded anew as AAC where the container can't hold it.
    """

    def __init__(self, target: Any, sound_of: Path | None) -> None:
        import av

        self._target, self._av = target, av
        self._stream: Any = None
        self._source = open_container(sound_of) if sound_of is not None else None
        streams = self._source.streams.audio if self._source is not None else ()
        known = (stream for stream in streams if stream.codec_context is not None and stream.rate and stream.channels)
        self._sound: Any = next(known, None)
        self._audio_packets = self._read_audio()
        self._next: Any = None
        damages = (av.InvalidDataError, av.ArgumentError, av.PatchWelcomeError)
        self._damages = damages if self._sound is not None else ()

    def write(self, image: Frame, seconds: float) -> None:
        """Append a frame.

        Args:
            image: uint8 (height, width, 3), RGB; others than the first are resized to its size.
            seconds: timestamp of the frame.
        """
        # H.264 subsamples colours by 2: the last row or column of an odd size is repeated
        image = np.pad(image, [(0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)], "edge")
        if self._stream is None:
            self._begin(image)
        frame = self._av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = round(seconds / TIME_BASE), TIME_BASE
        self._copy_audio(seconds)
        self._encode(frame)

    def finish(self) -> None:
        """Flush the encoder and copy the rest of the audio."""
        if self._stream is None:
            raise VideoError("expected frames to write; received none")
        self._encode(None)
        self._copy_audio(None)

    def close(self) -> None:
        """Close the source of the audio."""
        if self._source is not None:
            self._source.close()

    def _begin(self, image: Frame) -> None:
        self._stream = self._target.add_stream("libx264", options={"crf": CRF, "preset": "veryfast"})
        self._stream.height, self._stream.width = image.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        if self._sound is not None and self._holds(self._sound):
            self._audio_stream = self._target.add_stream_from_template(self._sound)
        elif self._sound is not None:
            rates = self._av.Codec("aac", "w").audio_rates or ()
            rate = self._sound.rate if self._sound.rate in rates else USUAL_RATE
            self._audio_stream = self._target.add_stream("aac", rate=rate)
        self._target.start_encoding()

    def _holds(self, sound: Any) -> bool:
        """Whether the container takes a sound as it is; FFmpeg lists codecs that it then refuses to write."""
        try:
            with self._av.open(io.BytesIO(), "w", format=self._target.format.name) as trial:
                trial.add_stream_from_template(sound)
                trial.start_encoding()
        except (self._av.FFmpegError, ValueError):
            return False
        return True

    def _encode(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        """Write a packet; a damaged one of sound is left out. FFmpeg may report it with a later one of any stream."""
        with suppress(*self._damages):
            self._target.mux(packet)

    def _read_audio(self) -> Iterator[Any]:
        """The audio packets of the source, counted from its first frame; their times rise."""
        if self._source is None or self._sound is None:
            return
        video = self._source.streams.best("video")
        begin = video.start_time * video.time_base if video is not None and video.start_time else 0
        first = offset = round(begin / self._sound.time_base)
        jump = round(JUMP_SECONDS / self._sound.time_base)
        last = end = -(1 << 62)
        try:
            for packet in packets_of(self._source, self._sound):
                if packet.dts is None or packet.pts is None or (first and packet.pts < first):
                    continue
                if packet.dts - offset < last - jump:  # recordings were joined
                    offset = packet.dts - end
                packet.pts -= offset
                packet.dts -= offset
                if packet.dts > last:
                    last, end = packet.dts, packet.dts + (packet.duration or 1)
                    yield packet
        except self._av.FFmpegError:  # the sound ends where the file is damaged
            return

    def _copy_audio(self, until: float | None) -> None:
        """Copy the audio up to a timestamp; all the rest if None."""
        while True:
            self._next = self._next or next(self._audio_packets, None)
            if self._next is None or (until is not None and float(self._next.pts * self._next.time_base) > until):
                break
            if self._audio_stream.codec_context.is_encoder:
                self._encode_audio(self._next)
            else:
                self._next.stream = self._audio_stream
                self._mux(self._next)
            self._next = None
        if until is None and self._sound is not None and self._audio_stream.codec_context.is_encoder:
            self._encode_audio(None)

    def _encode_audio(self, packet: Any) -> None:
        """Decode a packet of sound and encode it anew; None at the end."""
        frames: list[Any] = []
        with suppress(*self._damages):
            frames = self._sound.decode(packet)
        for frame in frames if packet is not None else [*frames, None]:
            for encoded in self._audio_stream.encode(frame):
                self._mux(encoded)
