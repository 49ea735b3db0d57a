"""Tools for tests of the page in a browser: a fake camera, packages of npm, downloads."""

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
CHROMIUM_ARGS = ("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def write_camera(path: Path, frames: list[np.ndarray], rate: int = 30) -> Path:
    """Writes RGB frames of even sides as a raw YUV file (y4m), which Chromium's fake camera plays in a loop."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def swaying_astronaut(count: int = 24, size: tuple[int, int] = (640, 480), reach: int = 14) -> list[np.ndarray]:
    """The astronaut, moving sideways by ``reach`` pixels and back."""
    offsets = [round(reach * np.sin(2 * np.pi * number / count)) for number in range(count)]
    image = astronaut()
    return [cv2.resize(image[0:330, 20 + x : 460 + x], size, interpolation=cv2.INTER_LINEAR) for x in offsets]


def npm_package(name: str, folder: Path) -> Path:
    """The unpacked folder of an npm package, NAME@VERSION; it is cached in ``folder`` together with its archive.

    Raises:
        FileNotFoundError: npm is not installed.
        CalledProcessError: npm can't download the package.
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
def downloaded_text(page, selector):
    """The text of the file that a click downloads."""
    with page.expect_download() as download:
        page.click(selector)
    yield download.value.path().read_text(encoding="utf-8")
