"""What tests of the page need of a browser: a camera that shows an image, and packages of npm."""

from __future__ import annotations

import subprocess
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.data import astronaut

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
RUNTIME, AXE = "onnxruntime-web@1.30.0", "axe-core@4.14.1"
QUIET = ("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def write_camera(path: Path, frames: list[np.ndarray], rate: int = 30) -> Path:
    """RGB frames of even sides as what Chromium's fake camera plays over and over: raw YUV (y4m)."""
    high, wide = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{wide} H{high} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def swaying(count: int = 24, size: tuple[int, int] = (640, 480), reach: int = 14) -> list[np.ndarray]:
    """The astronaut, swaying: there and back."""
    wide, high = size
    places = [round(reach * np.sin(2 * np.pi * number / count)) for number in range(count)]
    whole = astronaut()
    return [cv2.resize(whole[0:330, 20 + x : 460 + x], (wide, high), interpolation=cv2.INTER_LINEAR) for x in places]


def npm_package(name: str, folder: Path) -> Path:
    """The unpacked folder of a package of npm, NAME@VERSION, kept in ``folder`` beside its archive for the next time.

    Raises:
        FileNotFoundError: npm is not there.
        CalledProcessError: npm can't get it.
    """
    unpacked = folder / name / "package"
    if not unpacked.is_dir():
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", name], cwd=unpacked.parent, check=True, capture_output=True)
        (packed,) = unpacked.parent.glob("*.tgz")
        with tarfile.open(packed) as file:
            file.extractall(unpacked.parent, filter="data")
    return unpacked


@contextmanager
def saved(page, selector):
    """The text of what is saved when something is pressed."""
    with page.expect_download() as waiting:
        page.click(selector)
    yield waiting.value.path().read_text(encoding="utf-8")
