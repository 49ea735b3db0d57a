"""Clips that tests draw, and a fake of OpenCV's capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.data import astronaut

if TYPE_CHECKING:
    from pathlib import Path


def write_frames(path: Path, frames: list[np.ndarray], fps: float = 25.0) -> Path:
    """Writes RGB frames as a Motion JPEG clip."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, (width, height))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def swaying_face(count: int = 50) -> list[np.ndarray]:
    """Frames of a face that moves from side to side."""
    offsets = [60 + round(30 * np.sin(number / 6)) for number in range(count)]
    return [astronaut()[20:260, x : x + 320] for x in offsets]


class Capture:
    """A fake of OpenCV's ``VideoCapture``: some frames, then the end."""

    def __init__(self, frames=3, opens=True, known=()):
        self.frames, self.opens, self.released, self.known = frames, opens, False, dict(known)

    def __call__(self, source):
        self.source = source
        return self

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self.opens

    def set(self, *_):
        return True

    def get(self, what):
        return self.known.get(what, 0.0)

    def read(self):
        self.frames -= 1
        return (True, np.full((4, 6, 3), (1, 2, 3), np.uint8)) if self.frames >= 0 else (False, None)

    def grab(self):
        self.frames -= 1
        return self.frames >= 0

    def retrieve(self):
        return True, np.full((4, 6, 3), (1, 2, 3), np.uint8)

    def release(self):
        self.released = True
