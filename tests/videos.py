"""Videos that tests write."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from skimage.data import astronaut

if TYPE_CHECKING:
    from pathlib import Path


def write_frames(
    path: Path,
    frames: list[np.ndarray],
    fps: float = 25.0,
    codec: str = "mjpeg",
    pixels: str = "yuvj420p",
    *,
    muxer: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Writes RGB frames as a video of one codec, Motion JPEG by default, with options of the muxer and the encoder."""
    with av.open(str(path), "w", options=muxer) as target:
        stream = target.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.options = {"qmin": "2", "qmax": "2", **options} if codec == "mjpeg" else options
        for frame in frames:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        target.mux(stream.encode())
    return path


def swaying_face(count: int = 50) -> list[np.ndarray]:
    """Frames of a face that moves from side to side."""
    offsets = [60 + round(30 * np.sin(number / 6)) for number in range(count)]
    return [astronaut()[20:260, x : x + 320] for x in offsets]
