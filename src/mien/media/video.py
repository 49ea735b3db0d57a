"""Frames and their timestamps from a video file or an image; ``camera`` has the same interface for a webcam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from mien.errors import ImageError, UsageError, VideoError
from mien.media.header import MAX_PIXELS
from mien.media.image import IMAGE_SUFFIXES, read

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from mien.structures import Frame

    OpenCapture = Callable[..., Any]

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".3gp"})
"""Suffixes of the files in a folder that count as videos; a file named on its own may have any suffix."""

TIME_TOLERANCE = 1e-6
"""Seconds by which two equal timestamps may differ."""

DEFAULT_FPS = 25.0
"""Frame rate of a file that states none."""


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
    """Reads a video file frame by frame, each with its own timestamp.

    Args:
        path: of the file.
        open_capture: OpenCV's ``VideoCapture``, or a fake of it.

    Raises:
        VideoError: there is no such file, or it is no readable video.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str], open_capture: OpenCapture = cv2.VideoCapture) -> None:
        path = Path(path)
        if not path.is_file():
            raise VideoError(f"expected a video at {path}; there is none")
        self._path = path
        self._capture = open_capture(str(path))
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(f"expected a video at {path}; received a file that holds none, or one of an unknown kind")
        width, height = (self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            self._capture.release()
            raise VideoError(
                f"expected frames of at most {MAX_PIXELS:,} pixels in {path}; received {width:.0f}x{height:.0f}"
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._frame_seconds = 1.0 / (fps if fps and math.isfinite(fps) and fps > 0 else DEFAULT_FPS)
        self._index, self._seconds = 0, -math.inf

    @property
    def length(self) -> float | None:
        """Duration in seconds as the file states it; None where it does not."""
        seconds = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) * self._frame_seconds
        return seconds if math.isfinite(seconds) and seconds > 0 else None

    def progress(self, seconds: float, sampling: Sampling) -> float | None:
        """The share of the sampled part that lies before a timestamp, 0 to 1; None where the duration is unknown."""
        end = min(filter(None, (self.length, sampling.end)), default=None)
        if end is None:
            return None
        return min(max((seconds - sampling.start) / max(end - sampling.start, 1e-9), 0.0), 1.0)

    @property
    def fps(self) -> float:
        """Frame rate as the file states it."""
        return 1.0 / self._frame_seconds

    def read(self) -> VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            VideoError: not a single frame can be read.
        """
        seconds = self._advance()
        return None if seconds is None else VideoFrame(self._index - 1, seconds, self._image())

    def frames(self, sampling: Sampling) -> Iterator[VideoFrame]:
        """The sampled frames in their order; the others are skipped without being converted.

        Raises:
            VideoError: not a single frame can be read.
        """
        due = sampling.start
        while (seconds := self._advance()) is not None:
            if sampling.end is not None and seconds > sampling.end + TIME_TOLERANCE:
                return
            if seconds < due - TIME_TOLERANCE or (self._index - 1) % sampling.stride:
                continue
            if sampling.every:
                due += sampling.every * (1 + (seconds + TIME_TOLERANCE - due) // sampling.every)
            yield VideoFrame(self._index - 1, seconds, self._image())

    def _advance(self) -> float | None:
        """Move to the next frame and return its timestamp; None at the end.

        Raises:
            VideoError: not a single frame can be read.
        """
        if not self._capture.grab():
            if self._index == 0:
                raise VideoError(f"expected a video at {self._path}; received a file without a frame that can be read")
            return None
        seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if not seconds > self._seconds:  # some files have no timestamps, or the same one twice
            seconds = max(self._seconds, -self._frame_seconds) + self._frame_seconds
        self._seconds = seconds
        self._index += 1
        return seconds

    def _image(self) -> Frame:
        good, image = self._capture.retrieve()
        if not good:
            raise VideoError(f"frame {self._index - 1} of {self._path} can't be decoded")
        return rgb_of(image)

    def close(self) -> None:
        """Release the file."""
        self._capture.release()


class ImageSource:
    """An image as a video of one frame.

    Args:
        path: of the image.

    Raises:
        VideoError: the file is no readable image.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
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


def open_file(path: str | os.PathLike[str]) -> Source:
    """Open an image (by its suffix) or a video as a source of frames.

    Raises:
        VideoError: it is neither.
    """
    path = Path(path)
    return ImageSource(path) if path.suffix.lower() in IMAGE_SUFFIXES else FileSource(path)


def rgb_of(image: Any) -> Frame:
    """Convert OpenCV's BGR or grey image to RGB."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
