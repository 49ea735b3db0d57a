"""Webcams: the list of them, and their frames."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from mien.errors import VideoError
from mien.media.video import VideoFrame, rgb_of

if TYPE_CHECKING:
    from mien.media.video import OpenCapture

LINUX_CAMERAS = Path("/sys/class/video4linux")
DEVICES = Path("/dev")

GUESSED_CAMERAS = 2
"""Cameras offered where the system has no list of them: probing would switch on the light of each."""


@dataclass(frozen=True)
class Camera:
    """A camera that the system lists.

    Attributes:
        number: device number, from 0; ``CameraSource`` opens the camera by it.
        name: as shown to users.
    """

    number: int
    name: str


def cameras(listing: Path = LINUX_CAMERAS) -> tuple[Camera, ...]:
    """List the cameras without opening any.

    Linux lists them; on other systems the first two device numbers are returned.

    Args:
        listing: the system's folder of video devices, on Linux.
    """
    if not sys.platform.startswith("linux"):
        return tuple(Camera(number, f"Camera {number + 1}") for number in range(GUESSED_CAMERAS))
    listed = []
    for device in sorted(listing.glob("video*"), key=lambda path: int(path.name.removeprefix("video"))):
        try:
            # a camera has several devices; the first one delivers images
            if (device / "index").read_text().strip() == "0":
                listed.append(Camera(int(device.name.removeprefix("video")), (device / "name").read_text().strip()))
        except OSError:
            continue
    return tuple(listed)


class CameraSource:
    """Reads frames from a camera; a frame's timestamp is the time of its arrival.

    Args:
        number: device number, from 0.
        size: requested width and height in pixels; the camera may deliver another size.
        open_capture: OpenCV's ``VideoCapture``, or a fake of it.
        devices: folder of the device files on Linux.

    Raises:
        VideoError: there is no such camera, no permission to use it, or another program uses it.
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
        _check_device(number, self._name, devices)
        self._capture = open_capture(number)
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(
                f"{self._name} can't be opened: another program may be using it. Close that, then start again"
            )
        self._start: float | None = None
        self._index = 0

    def read(self) -> VideoFrame | None:
        """The next frame.

        Raises:
            VideoError: the camera stopped delivering images.
        """
        good, image = self._capture.read()
        if not good:
            raise VideoError(f"{self._name} stopped giving images: it was unplugged, or another program took it over")
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        frame = VideoFrame(self._index, now - self._start, rgb_of(image))
        self._index += 1
        return frame

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def _check_device(number: int, name: str, devices: Path) -> None:
    """Check on Linux, before the camera is opened, that its device exists and may be used."""
    if not sys.platform.startswith("linux"):
        return
    device = devices / f"video{number}"
    if not device.exists():
        raise VideoError(f"there is no {name}: plug one in, or open a video or an image")
    if not os.access(device, os.R_OK | os.W_OK):
        raise VideoError(
            f"{name} may not be used: add yourself to the group video (sudo usermod -aG video $USER) and log in anew"
        )
