"""Frames a second of the live window and how late they are shown, beside the loop that lessons write."""

from __future__ import annotations

import gc
import os
import time
import tkinter as tk
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from page import Section, table
from PIL import Image, ImageTk
from timing import Sample, interleaved

from mien.apps.desktop.window import Choices, LiveWindow
from mien.classification.classifier import Classifier
from mien.media.image import read
from mien.media.video import VideoFrame
from mien.recognizer import Recognizer, find_detector
from mien.visualization.avatar.styles import DrawnAvatar

if TYPE_CHECKING:
    from collections.abc import Callable

    from setting import Setting

    from mien.live import Reading
    from mien.structures import Frame

SIZE = (640, 480)
FACE = 0.75
"""The portrait's height over the frame's: its face is then about 150 pixels high."""

RATE = 120.0
"""Frames a second of the camera: more than any window shows."""

SECONDS = 4.0
LESSON = "the lesson's loop: detectMultiScale and model.predict on the window's thread"


class Shown(NamedTuple):
    """What one run of a window came to.

    Attributes:
        rate: frames shown a second.
        detecting: milliseconds a frame.
        classifying: the same.
        painting: the same; on the window's thread.
        delay: milliseconds from the camera to the screen, the median.
        late: the 95th percentile of that.
    """

    rate: float
    detecting: float
    classifying: float
    painting: float
    delay: float
    late: float


class Moving:
    """A camera that shows a portrait that moves."""

    live = True

    def __init__(self, frames: list[Frame]) -> None:
        self._frames, self._begun, self._number = frames, time.monotonic(), -1

    def read(self) -> VideoFrame:
        """The next frame, at its time."""
        self._number += 1
        time.sleep(max(self._begun + self._number / RATE - time.monotonic(), 0.0))
        image = self._frames[self._number % len(self._frames)]
        return VideoFrame(self._number, time.monotonic() - self._begun, image)

    def close(self) -> None:
        """Nothing is held."""


class Timed(LiveWindow):
    """The window, with a clock on what it paints."""

    painting = 0.0
    count = 0

    def _show(self, reading: Reading) -> None:
        begun = time.perf_counter()
        super()._show(reading)
        self.root.update_idletasks()
        self.painting += time.perf_counter() - begun
        self.count += 1


def live(setting: Setting) -> Section:
    """Frames a second, each stage's share, and the delay, with every detector that is there; and of the lesson."""
    if not os.environ.get("DISPLAY"):
        raise SystemExit(
            "the live window needs a display: xvfb-run -s '-screen 0 1280x900x24' python benchmarks/speed.py"
        )
    frames = _frames(read(setting.photo))
    classifier = Classifier(setting.store.load(setting.model), 1)
    names = ("auto", *setting.detectors)
    tasks: dict[str, Callable[[], Shown]] = {
        name: partial(_tidily, _window, Recognizer(find_detector(name, setting.store), classifier), frames)
        for name in dict.fromkeys(names)
    }
    tasks[LESSON] = partial(_tidily, _lesson, frames, _lesson_network())
    found = interleaved(tasks, setting.rounds)
    rows = [[name, *_cells(shown)] for name, shown in found.items()]
    header = [
        "detector",
        "frames a second",
        "finding ms",
        "naming ms",
        "painting ms",
        "shown after ms",
        "95th percentile",
    ]
    note = (
        f"{SIZE[0]}x{SIZE[1]}, one face, {setting.rounds} rounds of {SECONDS:.0f} s. Finding and naming share one "
        "thread, painting has another; a frame is shown late by what it waits for both. The lesson's loop shows a "
        "frame when it is done with it."
    )
    return Section(
        f"{table(header, rows)}\n\n{note}", {name: [one._asdict() for one in shown] for name, shown in found.items()}
    )


def _cells(shown: tuple[Shown, ...]) -> list[str]:
    columns = [Sample(tuple(getattr(one, field) for one in shown)) for field in Shown._fields]
    return [column.text(1) for column in columns]


def _frames(portrait: Frame) -> list[Frame]:
    scale = FACE * SIZE[1] / portrait.shape[0]
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frames = []
    for number in range(60):
        frame = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        x = round((SIZE[0] - small.shape[1]) / 2 + 40 * np.sin(number / 60 * 2 * np.pi))
        y = round((SIZE[1] - small.shape[0]) / 2)
        frame[y : y + small.shape[0], x : x + small.shape[1]] = small
        frames.append(frame)
    return frames


def _window(recognizer: Recognizer, frames: list[Frame]) -> Shown:
    """The window for some seconds, after one that is not counted."""
    root = tk.Tk()
    window = Timed(Choices(theme="light"), lambda *_: recognizer, DrawnAvatar(), root, ())
    window.tools.opener = lambda: lambda: Moving(frames)  # type: ignore[method-assign]
    window.start()
    _live(root, 1.0)
    window.count, window.painting, window.delays = 0, 0.0, []
    stages: list[Reading] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        root.update()
        if window.shown is not None and (not stages or stages[-1] is not window.shown):
            stages.append(window.shown)
        time.sleep(0.0005)
    took = time.perf_counter() - begun
    delays = np.array(window.delays) * 1000
    shown = Shown(
        window.count / took,
        float(np.mean([one.detecting for one in stages])),
        float(np.mean([one.classifying for one in stages])),
        1000 * window.painting / window.count,
        float(np.median(delays)),
        float(np.percentile(delays, 95)),
    )
    window.close()
    return shown


def _tidily(run: Callable[..., Shown], *arguments: object) -> Shown:
    """A run whose window is forgotten in this thread: Tcl ends a process that forgets it in another."""
    shown = run(*arguments)
    gc.collect()
    return shown


def _live(root: tk.Tk, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        root.update()
        time.sleep(0.0005)


def _lesson_network() -> Any:
    """The network of the lesson, with weights by chance: they cost the same."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training import architectures
    from mien.training.architectures.blocks import NetworkShape

    return architectures.build("two-conv", NetworkShape(48, 1, (("classes", 7),)))


def _lesson(frames: list[Frame], network: Any) -> Shown:
    """Read, find, predict and show in one callback of the window, as the emoji project did."""
    root = tk.Tk()
    label = tk.Label(root)
    label.pack()
    finder = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    camera = Moving(frames)
    times: dict[str, list[float]] = {"finding": [], "naming": [], "painting": [], "delay": []}

    def step() -> None:
        frame = camera.read()
        begun = time.perf_counter()
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        faces = finder.detectMultiScale(grey, scaleFactor=1.3, minNeighbors=5)
        found = time.perf_counter()
        for x, y, wide, high in faces:
            crop = cv2.resize(grey[y : y + high, x : x + wide], (48, 48))[None, ..., None]
            network.predict(crop, verbose=0)
        named = time.perf_counter()
        photo = ImageTk.PhotoImage(Image.fromarray(frame.image))
        label.configure(image=photo)
        label.image = photo  # type: ignore[attr-defined]
        root.update_idletasks()
        done = time.perf_counter()
        for name, seconds in zip(times, (found - begun, named - found, done - named, done - begun), strict=True):
            times[name].append(1000 * seconds)
        root.after(10, step)

    step()
    _live(root, 1.0)
    for kept in times.values():
        kept.clear()
    begun = time.perf_counter()
    _live(root, SECONDS)
    took = time.perf_counter() - begun
    root.destroy()
    delays = np.array(times["delay"])
    means = [float(np.mean(times[name])) for name in ("finding", "naming", "painting")]
    return Shown(len(delays) / took, *means, float(np.median(delays)), float(np.percentile(delays, 95)))
