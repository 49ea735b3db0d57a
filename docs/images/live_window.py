"""Takes docs/images/live.png and live-anonymized.png: the live window with a public-domain portrait as its camera.

Run from the root, on a screen or under Xvfb: ``xvfb-run -s '-screen 0 1280x900x24' python docs/images/live_window.py``;
needs scikit-image. The portrait sways a little, so that tracking and the strip show something.
"""

from __future__ import annotations

import time
import tkinter as tk
from pathlib import Path

import numpy as np
from PIL import ImageGrab
from skimage.data import astronaut

from mien.apps.desktop.layout import Choices
from mien.apps.desktop.window import LiveWindow
from mien.media.camera import Camera
from mien.media.video import VideoFrame
from mien.recognizer import Recognizer
from mien.visualization.avatar.styles import find_avatar

HERE = Path(__file__).parent
SECONDS = 12.0


class Swaying:
    """The swaying portrait as a camera, thirty frames per second."""

    live = True

    def __init__(self) -> None:
        self._begun, self._number = time.monotonic(), -1

    def read(self) -> VideoFrame:
        """The next frame."""
        time.sleep(1 / 30)
        self._number += 1
        seconds = time.monotonic() - self._begun
        x = round(40 + 40 * np.sin(1.3 * seconds))
        y = round(12 + 10 * np.sin(2.1 * seconds))
        dark = 1 - 0.55 * max(0.0, np.sin(0.9 * seconds))
        return VideoFrame(self._number, seconds, (astronaut()[y : y + 300, x : x + 400] * dark).astype(np.uint8))

    def close(self) -> None:
        """Does nothing."""


def take(theme: str, name: str, *, anonymized: bool) -> None:
    """One image of the window."""
    root = tk.Tk()
    choices = Choices(theme=theme, models=("compact",), detectors=("auto", "haar"))
    window = LiveWindow(choices, Recognizer.load, find_avatar("drawn"), root, (Camera(0, "Integrated Camera"),))
    window.toolbar.opener = lambda: Swaying  # type: ignore[method-assign]
    window.toolbar.anonymized.set(anonymized)
    root.update()
    window.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        root.update()
        time.sleep(0.002)
    left, top = root.winfo_rootx(), root.winfo_rooty()
    box = (left, top, left + root.winfo_width(), top + root.winfo_height())
    ImageGrab.grab(box).quantize(255).save(HERE / name, optimize=True)
    window.close()


if __name__ == "__main__":
    take("dark", "live.png", anonymized=False)
    take("light", "live-anonymized.png", anonymized=True)
