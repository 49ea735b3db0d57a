"""Webcams: the list of them, and their frames."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError, VideoError
from mien.media.image_input import ADDRESS
from mien.media.shown_frame import Converter, DecodedFrame
from mien.media.video import FileSource, VideoFrame
from mien.structures import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.media.video import Source

    OpenDevice = Callable[[int, tuple[int, int]], Any]

LINUX_CAMERAS = Path("/sys/class/video4linux")
DEVICES = Path("/dev")

GUESSED_CAMERAS = 2
"""Cameras offered where the system has no list of them: probing would switch on the light of each."""

OPEN_SECONDS, READ_SECONDS, CLOSE_SECONDS = 10.0, 5.0, 1.0
"""How long a camera may take to open, to give an image, and to close; one that hangs is left to its thread."""

RATE = "30"
"""Frame rate to ask for: macOS offers no camera without one."""


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

    Where the system has no list, the first two device numbers are returned.

    Args:
        listing: the system's folder of video devices, on Linux.
    """
    if not sys.platform.startswith("linux"):
        names = _listed_names() or [f"Camera {number + 1}" for number in range(GUESSED_CAMERAS)]
        return tuple(Camera(number, name) for number, name in enumerate(names))
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

    A thread takes every frame as it comes, so that ``read`` gives the newest one and never waits for a camera that
    hangs.

    Args:
        number: device number, from 0.
        size: requested width and height in pixels; the camera may deliver another size.
        open_device: opens the device with PyAV; tests open another one.
        devices: folder of the device files on Linux.

    Raises:
        VideoError: there is no such camera, no permission to use it, or another program uses it.

    Example:
        ::

            camera = CameraSource(0)
            frame = camera.read()
            camera.close()
    """

    live = True

    def __init__(
        self,
        number: int,
        size: tuple[int, int] = (640, 480),
        open_device: OpenDevice | None = None,
        devices: Path = DEVICES,
    ) -> None:
        self._name = f"camera {number + 1}"
        _check_device(number, self._name, devices)
        opened = open_device or _open_device
        self._capture = _Capture(lambda: opened(number, size))
        if not self._capture.opened.wait(OPEN_SECONDS) or self._capture.failed:
            self._capture.stop()
            raise VideoError(
                f"{self._name} can't be opened: another program may be using it. Close that, then start again"
            )
        self._start: float | None = None
        self._index = 0
        self._converter = Converter()

    def read(self) -> VideoFrame | None:
        """The newest frame that was not read yet; waits for the next one.

        Raises:
            VideoError: the camera stopped delivering images, or they can't be shown.
        """
        import av

        newest = self._capture.newest(READ_SECONDS)
        if newest is None:
            raise VideoError(f"{self._name} stopped giving images: it was unplugged, or another program took it over")
        frame, arrived = newest
        self._start = arrived if self._start is None else self._start
        decoded = DecodedFrame(self._index, arrived - self._start, frame)
        self._index += 1
        try:
            return VideoFrame(decoded.index, decoded.seconds, self._converter.rgb(decoded))
        except (av.FFmpegError, ValueError, RuntimeError) as error:
            raise VideoError(f"{self._name} gives images that can't be shown ({error}). Use another camera") from error

    def close(self) -> None:
        """Release the camera."""
        self._capture.stop()


class _Capture:
    """The thread that opens a device, takes its frames and closes it.

    Attributes:
        opened: set once the device is open, or can't be opened.
        failed: whether it can't be opened.
    """

    def __init__(self, open_device: Callable[[], Any]) -> None:
        self.opened, self.failed = threading.Event(), False
        self._open = open_device
        self._changed = threading.Condition()
        self._newest: tuple[Any, float] | None = None
        self._stopping, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="mien camera", daemon=True)
        self._thread.start()

    def newest(self, timeout: float) -> tuple[Any, float] | None:
        """The newest frame and the time of its arrival, once; None if no other comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._ended, timeout)
            newest, self._newest = self._newest, None
            return newest

    def stop(self) -> None:
        """End the thread; one that hangs is left to itself."""
        self._stopping.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # whatever a driver does, no more frames come
            try:
                container = self._open()
            except Exception:
                self.failed = True
                raise
            finally:
                self.opened.set()
            with container:
                self._take(container)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, container: Any) -> None:
        import av

        while not self._stopping.is_set():
            try:
                for frame in container.decode(video=0):
                    if self._stopping.is_set():
                        return
                    with self._changed:
                        self._newest = frame, time.monotonic()
                        self._changed.notify_all()
            except (BlockingIOError, av.InvalidDataError):  # no frame yet, or one that arrived damaged
                time.sleep(0.005)
            else:
                return


def _open_device(number: int, size: tuple[int, int]) -> Any:
    """Open a camera by PyAV's device for this system; the size is a wish."""
    import av

    kind, name = _address(number)
    rate: dict[str, str] = {"framerate": RATE}
    for wish in ({"video_size": f"{size[0]}x{size[1]}", **rate}, rate):
        with contextlib.suppress(av.FFmpegError, ValueError):
            return av.open(name, format=kind, options=wish, timeout=(OPEN_SECONDS, READ_SECONDS))
    return av.open(name, format=kind, timeout=(OPEN_SECONDS, READ_SECONDS))


def _address(number: int) -> tuple[str, str]:
    """FFmpeg's device for cameras of this system, and the address of one."""
    system: str = sys.platform
    if system == "darwin":
        return "avfoundation", f"{number}:none"
    if system == "win32":
        return "dshow", f"video={_listed_names()[number]}"
    return "v4l2", str(DEVICES / f"video{number}")


def _listed_names() -> list[str]:
    """The names of the cameras on macOS and Windows, in the order of their numbers; none where PyAV lists none."""
    import av

    try:
        found = av.enumerate_input_devices("avfoundation" if sys.platform == "darwin" else "dshow")
    except (AttributeError, av.FFmpegError, ValueError):
        return []
    names = [device.description or device.name for device in found if "video" in device.media_types]
    return [name for name in names if not name.startswith("Capture screen")]


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


def open_stream(video: Any) -> tuple[FileSource | Source, str]:
    """A video or a camera, and its name in results."""
    if isinstance(video, int):
        return CameraSource(video), f"camera {video + 1}"
    if not isinstance(video, str | os.PathLike):
        raise UsageError(
            f"expected the path of a video, or the number of a camera; received {describe(video)}. Save the video as a "
            "file first; frames that you have go to predict or predict_many"
        )
    name = os.fspath(video)
    if ADDRESS.match(name):
        raise UsageError(
            f"expected the path of a video, or the number of a camera; received the address {name[:200]!r}. mien "
            "fetches nothing: download the file first"
        )
    return FileSource(Path(video)), name
