"""Clips that tests draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.data import astronaut

if TYPE_CHECKING:
    from pathlib import Path


def write_frames(path: Path, frames: list[np.ndarray], rate: float = 25.0) -> Path:
    """RGB frames as a clip of Motion JPEG."""
    high, wide = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (wide, high))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


def swaying_face(count: int = 50) -> list[np.ndarray]:
    """A face that sways."""
    places = [60 + round(30 * np.sin(number / 6)) for number in range(count)]
    return [astronaut()[20:260, x : x + 320] for x in places]
