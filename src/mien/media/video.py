"""Frames and their timestamps from a video file or an image; ``camera`` has the same interface for a webcam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mien.errors import ImageError, IncompleteVideoError, UsageError, VideoError
from mien.media.damage import sentence
from mien.media.image import IMAGE_SUFFIXES, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mien.media.shown_frame import DecodedFrame
    from mien.structures import Frame

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".3gp"})
"""Suffixes of the files in a folder that count as videos; a file named on its own may have any suffix."""

TIME_TOLERANCE = 1e-6
"""Seconds by which two equal timestamps may differ."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A decoded frame of a video, camera or image.

    Attributes:
        index: frame number, from 0.
        seconds: timestamp, counted from the first frame.
        image: uint8 (height, width, 3), RGB.
    """

    index: int
    seconds: float
    image: Frame


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video to use; by default all.

    Attributes:
        every: minimum seconds between two frames; None sets no minimum.
        stride: use every n-th frame of the file.
        start: timestamp of the first frame, in seconds.
        end: timestamp of the last frame, in seconds; None: the end of the video.

    Raises:
        UsageError: the values select no frame.

    Example:
        >>> from mien.media.video import Sampling
        >>> two_a_second = Sampling(every=0.5, start=10.0)
    """

    every: float | None = None
    stride: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.stride < 1 or not self.start >= 0 or (self.every is not None and not 0 < self.every < math.inf):
            raise UsageError(
                "expected a stride of at least 1, a start of 0 or more and an interval above 0 seconds; "
                f"received {self.stride}, {self.start} and {self.every}"
            )
        if self.end is not None and not self.end >= self.start:
            raise UsageError(f"expected an end after the start; received {self.start} to {self.end} seconds")


class Source(Protocol):
    """A source of frames: a camera, a video file or an image. For one thread at a time."""

    @property
    def live(self) -> bool:
        """Whether frames arrive in real time, as a camera's do; those of a file wait until they are read."""

    def read(self) -> VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            VideoError: the source failed before its end.
        """

    def close(self) -> None:
        """Release the camera or file; a second call does nothing."""


class FileSource:
    """Reads a video file frame by frame, each with its own timestamp, as a player shows it.

    Interlaced frames are deinterlaced, pixels made square, rotations applied. A damaged or incomplete video gives every
    frame that decodes; then ``IncompleteVideoError`` names what is missing, with its times.

    Args:
        path: of the file.

    Raises:
        VideoError: there is no such file, or it is no readable video.

    Example:
        ::

            source = FileSource(Path("talk.mp4"))
            for frame in source.frames(Sampling(every=0.5)):
                print(frame.seconds, frame.image.shape)
            source.close()
    """

    live = False

    def __init__(self, path: Path) -> None:
        from mien.media.decoder import Decoder
        from mien.media.shown_frame import Converter

        if not path.is_file():
            raise VideoError(f"expected a video at {path}; there is none")
        self._path = path
        self._decoder = Decoder(path)
        self._converter = Converter()
        self._frames = self._shown()
        self._rest: Iterator[VideoFrame] | None = None

    @property
    def length(self) -> float | None:
        """Duration in seconds as the file states it; None where it does not."""
        return self._decoder.length

    def progress(self, seconds: float, sampling: Sampling) -> float | None:
        """The share of the sampled part that lies before a timestamp, 0 to 1; None where the duration is unknown."""
        end = min(filter(None, (self.length, sampling.end)), default=None)
        if end is None:
            return None
        return min(max((seconds - sampling.start) / max(end - sampling.start, 1e-9), 0.0), 1.0)

    @property
    def fps(self) -> float:
        """Frame rate as the file states it."""
        return self._decoder.fps

    def read(self) -> VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            VideoError: not a single frame can be read.
            IncompleteVideoError: at the end: frames are missing or damaged.
        """
        if self._rest is None:
            self._rest = self.frames(Sampling())
        return next(self._rest, None)

    def frames(self, sampling: Sampling) -> Iterator[VideoFrame]:
        """The sampled frames in their order; the others are skipped without being converted.

        Raises:
            VideoError: not a single frame can be read.
            IncompleteVideoError: after the last frame: others of the sampled part are missing or damaged.
        """
        due = sampling.start
        for decoded in self._frames:
            if sampling.end is not None and decoded.seconds > sampling.end + TIME_TOLERANCE:
                break
            if decoded.seconds < due - TIME_TOLERANCE or decoded.index % sampling.stride:
                continue
            if sampling.every:
                due += sampling.every * (1 + (decoded.seconds + TIME_TOLERANCE - due) // sampling.every)
            try:
                image = self._converter.rgb(decoded)
            except self._decoder.errors:  # of a size or kind that no filter takes
                self._decoder.damage.lost(decoded.seconds)
                continue
            yield VideoFrame(decoded.index, decoded.seconds, image)
        self._judge(sampling)

    def _shown(self) -> Iterator[DecodedFrame]:
        """The decoded frames without fields."""
        from mien.media.shown_frame import Deinterlacer

        deinterlacer = Deinterlacer(self._decoder.first_field, self._decoder.errors)
        for decoded in self._decoder.frames():
            yield from deinterlacer.push(decoded)
        yield from deinterlacer.flush()

    def _judge(self, sampling: Sampling) -> None:
        """Raise an error that names what is damaged in the sampled part."""
        damage = self._decoder.damage
        if stretches := damage.stretches(sampling.start, sampling.end):
            length = max(damage.length, stretches[-1].end)
            raise IncompleteVideoError(
                f"expected a whole video at {self._path}; {sentence(stretches, length)}. "
                "The file is damaged or cut short: all other frames are read"
            )

    def close(self) -> None:
        """Release the file."""
        self._decoder.close()


class ImageSource:
    """An image as a video of one frame.

    Args:
        path: of the image.

    Raises:
        VideoError: the file is no readable image.
    """

    live = False

    def __init__(self, path: Path) -> None:
        try:
            self._image: Frame | None = read(path)
        except ImageError as error:
            raise VideoError(str(error)) from error

    def read(self) -> VideoFrame | None:
        """The image, once."""
        image, self._image = self._image, None
        return None if image is None else VideoFrame(0, 0.0, image)

    def close(self) -> None:
        """Do nothing: the file is closed already."""


def open_file(path: Path) -> Source:
    """Open an image (by its suffix) or a video as a source of frames.

    Raises:
        VideoError: it is neither.
    """
    return ImageSource(path) if path.suffix.lower() in IMAGE_SUFFIXES else FileSource(path)
