"""Decoding of videos by mien's source of frames, on PyAV, against OpenCV's ``VideoCapture``: ratios, side by side.

Needs OpenCV, which mien does not: ``python benchmarks/decoding.py FILE...``
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from timing import Sample, interleaved

from mien.media.video import FileSource, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7


def main(videos: list[Path]) -> None:
    """Print frames per second and the ratio, of all frames and of every tenth."""
    for video in videos:
        for stride in (1, 10):
            tasks: dict[str, Callable[[], float]] = {
                "PyAV": partial(_pyav_seconds, video, stride),
                "OpenCV": partial(_opencv_seconds, video, stride),
            }
            seconds = {name: Sample(values) for name, values in interleaved(tasks, ROUNDS).items()}
            frames = sum(1 for _ in FileSource(video).frames(Sampling()))
            rates = ", ".join(f"{name} {sample.into(frames).text()} fps" for name, sample in seconds.items())
            ratio = seconds["OpenCV"].over(seconds["PyAV"]).text(2)
            print(f"{video.name}, 1 of {stride} frames: {rates}; OpenCV's time / PyAV's {ratio}")


def _pyav_seconds(video: Path, stride: int) -> float:
    started = time.perf_counter()
    source = FileSource(video)
    for _ in source.frames(Sampling(stride=stride)):
        pass
    source.close()
    return time.perf_counter() - started


def _opencv_seconds(video: Path, stride: int) -> float:
    started, number = time.perf_counter(), 0
    capture = cv2.VideoCapture(str(video))
    while capture.grab():
        if number % stride == 0:
            cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
        number += 1
    capture.release()
    return time.perf_counter() - started


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
