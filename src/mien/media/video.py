"""Frames with their times, from a camera, a video file or an image: every source is opened, read and closed alike."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from mien.errors import ImageError, UsageError, VideoError
from mien.media.header import MAX_PIXELS
from mien.media.image import IMAGE_SUFFIXES, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.structures import Frame

    OpenCapture = Callable[..., Any]

LINUX_CAMERAS = Path("/sys/class/video4linux")
DEVICES = Path("/dev")
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".3gp"})
"""What is taken for a video in a folder; a file named on its own may have any suffix."""

NEAR = 1e-6
"""Seconds within which two times are one."""

UNNAMED = 2
"""Cameras offered where the system does not say which there are: asking would switch each one's light on."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One image of a source.

    Attributes:
        index: its number, from 0.
        seconds: its time since the first.
        image: uint8 (height, width, 3), RGB.
    """

    index: int
    seconds: float
    image: Frame


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are wanted.

    Attributes:
        every: seconds from one to the next, at least; None: all.
        stride: every so many-th frame.
        start: seconds from which.
        end: seconds to which; None: to the end.
    """

    every: float | None = None
    stride: int = 1
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.stride < 1 or not self.start >= 0 or (self.every is not None and not 0 < self.every < math.inf):
            raise UsageError(
                "expected a stride of at least 1, a start of 0 or more, and frames every so many seconds; "
                f"received {self.stride}, {self.start} and {self.every}"
            )
        if self.end is not None and not self.end >= self.start:
            raise UsageError(f"expected an end after the start; received {self.start} to {self.end} seconds")


class Source(Protocol):
    """Where frames come from; for one thread at a time."""

    @property
    def live(self) -> bool:
        """Whether its frames come as things happen, as a camera's do; those of a file wait until they are read."""

    def read(self) -> VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            VideoError: it stopped giving frames before its end.
        """

    def close(self) -> None:
        """Lets go of the camera or file; a second time does nothing."""


@dataclass(frozen=True)
class Camera:
    """A camera that the system knows.

    Attributes:
        number: by which it is opened.
        name: for people.
    """

    number: int
    name: str


def cameras(listing: Path = LINUX_CAMERAS) -> tuple[Camera, ...]:
    """The cameras that can be asked for, without opening one.

    Linux says which there are; elsewhere the first two numbers are offered.

    Args:
        listing: the system's folder of video devices, on Linux.
    """
    if not sys.platform.startswith("linux"):
        return tuple(Camera(number, f"Camera {number + 1}") for number in range(UNNAMED))
    found = []
    for device in sorted(listing.glob("video*"), key=lambda path: int(path.name.removeprefix("video"))):
        try:
            # a camera has several devices, of which the first gives images
            if (device / "index").read_text().strip() == "0":
                found.append(Camera(int(device.name.removeprefix("video")), (device / "name").read_text().strip()))
        except OSError:
            continue
    return tuple(found)


class CameraSource:
    """The frames of a camera, as they come; their time is that of their arrival.

    Args:
        number: of the camera.
        size: width and height asked for in pixels; the camera may give others.
        open_capture: OpenCV's ``VideoCapture``, or a fake of it.
        devices: the folder where Linux has its devices.

    Raises:
        VideoError: there is no such camera, it may not be used, or another program has it.
    """

    live = True

    def __init__(
        self,
        number: int,
        size: tuple[int, int] = (640, 480),
        open_capture: OpenCapture = cv2.VideoCapture,
        devices: Path = DEVICES,
    ) -> None:
        self._name = f"camera {number + 1}"
        trouble = _trouble(number, self._name, devices)
        if trouble:
            raise VideoError(trouble)
        self._capture = open_capture(number)
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest, not the oldest
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(
                f"{self._name} can't be opened: another program may be using it. Close that, then start again"
            )
        self._begun: float | None = None
        self._index = 0

    def read(self) -> VideoFrame | None:
        """The next frame.

        Raises:
            VideoError: the camera stopped giving images.
        """
        good, image = self._capture.read()
        if not good:
            raise VideoError(f"{self._name} stopped giving images: it was pulled out, or another program took it")
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        frame = VideoFrame(self._index, now - self._begun, _rgb(image))
        self._index += 1
        return frame

    def close(self) -> None:
        """Lets go of the camera."""
        self._capture.release()


class FileSource:
    """The frames of a video file in their order, each with the time that the file gives it.

    Args:
        path: of the file.
        open_capture: OpenCV's ``VideoCapture``, or a fake of it.

    Raises:
        VideoError: it is no video that can be read.
    """

    live = False

    def __init__(self, path: Path, open_capture: OpenCapture = cv2.VideoCapture) -> None:
        if not path.is_file():
            raise VideoError(f"expected a video at {path}; there is none")
        self._path = path
        self._capture = open_capture(str(path))
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(f"expected a video at {path}; received a file that holds none, or one of an unknown kind")
        wide, high = (self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if wide * high > MAX_PIXELS:
            self._capture.release()
            raise VideoError(
                f"expected frames of at most {MAX_PIXELS:,} pixels in {path}; received {wide:.0f}x{high:.0f}"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._every = 1.0 / rate if rate and math.isfinite(rate) and rate > 0 else 1.0 / 25
        self._index, self._seconds = 0, -math.inf

    @property
    def length(self) -> float | None:
        """Seconds that the file says it lasts; None where it does not say."""
        seconds = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) * self._every
        return seconds if math.isfinite(seconds) and seconds > 0 else None

    def share(self, seconds: float, sampling: Sampling) -> float | None:
        """How much of what is wanted lies before a time, 0 to 1; None where the file does not say how long it lasts."""
        end = min(filter(None, (self.length, sampling.end)), default=None)
        if end is None:
            return None
        return min(max((seconds - sampling.start) / max(end - sampling.start, 1e-9), 0.0), 1.0)

    @property
    def rate(self) -> float:
        """Frames a second that the file says it has."""
        return 1.0 / self._every

    def read(self) -> VideoFrame | None:
        """The next frame; None at the end.

        Raises:
            VideoError: no frame at all can be read.
        """
        seconds = self.go_on()
        return None if seconds is None else VideoFrame(self._index - 1, seconds, self._image())

    def frames(self, sampling: Sampling) -> Iterator[VideoFrame]:
        """Those of the frames that are wanted, in their order; the others are not turned into images.

        Raises:
            VideoError: no frame at all can be read.
        """
        due = sampling.start
        while (seconds := self.go_on()) is not None:
            if sampling.end is not None and seconds > sampling.end + NEAR:
                return
            wanted = seconds >= due - NEAR and (self._index - 1) % sampling.stride == 0
            if not wanted:
                continue
            if sampling.every:
                due += sampling.every * (1 + (seconds + NEAR - due) // sampling.every)
            yield VideoFrame(self._index - 1, seconds, self._image())

    def go_on(self) -> float | None:
        """Goes on to the next frame; its time, None at the end.

        Raises:
            VideoError: no frame at all can be read.
        """
        if not self._capture.grab():
            if self._index == 0:
                raise VideoError(f"expected a video at {self._path}; received a file without a frame that can be read")
            return None
        seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if not seconds > self._seconds:  # some files tell no times, or the same one twice
            seconds = max(self._seconds, -self._every) + self._every
        self._seconds = seconds
        self._index += 1
        return seconds

    def _image(self) -> Frame:
        good, image = self._capture.retrieve()
        if not good:
            raise VideoError(f"frame {self._index - 1} of {self._path} can't be turned into an image")
        return _rgb(image)

    def close(self) -> None:
        """Lets go of the file."""
        self._capture.release()


class ImageSource:
    """An image as a video of one frame.

    Args:
        path: of the image.

    Raises:
        VideoError: it is no image that can be read.
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
        """Nothing is held."""


def open_file(path: Path) -> Source:
    """The source that a file is: an image by its suffix, else a video.

    Raises:
        VideoError: it is neither.
    """
    return ImageSource(path) if path.suffix.lower() in IMAGE_SUFFIXES else FileSource(path)


def _trouble(number: int, name: str, devices: Path) -> str:
    """Why a camera can't be opened, as far as the system tells beforehand; "" if it does not."""
    if not sys.platform.startswith("linux"):
        return ""
    device = devices / f"video{number}"
    if not device.exists():
        return f"there is no {name}: plug one in, or open a video or an image"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{name} may not be used: add yourself to the group video (sudo usermod -aG video $USER) and log in anew"
    return ""


def _rgb(image: Any) -> Frame:
    """OpenCV's blue-first image, or a grey one, as RGB."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
