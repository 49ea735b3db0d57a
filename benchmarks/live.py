"""Frames per second and latency of the live window, compared with the single-threaded loop of tutorials."""

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

from mien.apps.desktop.layout import Choices
from mien.apps.desktop.window import LiveWindow
from mien.classification.classifier import Classifier
from mien.detection import find_detector
from mien.media.image import read
from mien.media.video import VideoFrame
from mien.recognizer import Recognizer
from mien.visualization.avatar.styles import DrawnAvatar

if TYPE_CHECKING:
    from collections.abc import Callable

    from setting import Setting

    from mien.live import LiveResult
    from mien.structures import Frame

SIZE = (640, 480)
PORTRAIT_HEIGHT = 0.75
"""Height of the portrait over that of the frame; its face is then about 150 pixels high."""

CAMERA_FPS = 120.0
"""Frame rate of the simulated camera: more than any window shows."""

SECONDS = 4.0
TUTORIAL_LOOP = "the tutorial's loop: detectMultiScale and model.predict in the thread of the window"


class Shown(NamedTuple):
    """Measurements of one run of a window.

    Attributes:
        fps: frames shown per second.
        detection: milliseconds per frame.
        classification: milliseconds per frame.
        painting: milliseconds per frame, in the thread of the window.
        latency: milliseconds from capture to screen, the median.
        latency_p95: the 95th percentile of that.
    """

    fps: float
    detection: float
    classification: float
    painting: float
    latency: float
    latency_p95: float


class Moving:
    """A simulated camera that shows a moving portrait."""

    live = True

    def __init__(self, frames: list[Frame]) -> None:
        self._frames, self._started, self._number = frames, time.monotonic(), -1

    def read(self) -> VideoFrame:
        """The next frame, in real time."""
        self._number += 1
        time.sleep(max(self._started + self._number / CAMERA_FPS - time.monotonic(), 0.0))
        image = self._frames[self._number % len(self._frames)]
        return VideoFrame(self._number, time.monotonic() - self._started, image)

    def close(self) -> None:
        """Does nothing."""


class Timed(LiveWindow):
    """The window, which measures its painting."""

    painting = 0.0
    count = 0

    def _show(self, latest: LiveResult) -> None:
        started = time.perf_counter()
        super()._show(latest)
        self.root.update_idletasks()
        self.painting += time.perf_counter() - started
        self.count += 1


def live(setting: Setting) -> Section:
    """Frame rate, time per stage and latency of the window with each installed detector, and of the tutorial's loop."""
    if not os.environ.get("DISPLAY"):
        raise SystemExit(
            "the live window needs a display: xvfb-run -s '-screen 0 1280x900x24' python benchmarks/speed.py"
        )
    frames = _frames(read(setting.photo))
    classifier = Classifier(setting.store.load(setting.model), 1)
    names = ("auto", *setting.detectors)
    tasks: dict[str, Callable[[], Shown]] = {
        name: partial(_collected, _window, Recognizer(find_detector(name, setting.store), classifier), frames)
        for name in dict.fromkeys(names)
    }
    tasks[TUTORIAL_LOOP] = partial(_collected, _tutorial_loop, frames, _tutorial_network())
    results = interleaved(tasks, setting.rounds)
    rows = [[name, *_cells(runs)] for name, runs in results.items()]
    header = [
        "detector",
        "fps",
        "detection ms",
        "classification ms",
        "painting ms",
        "latency ms",
        "95th percentile",
    ]
    note = (
        f"{SIZE[0]}x{SIZE[1]}, one face, {setting.rounds} rounds of {SECONDS:.0f} s. Detection and classification "
        "share one thread, painting has another; the latency of a frame includes its waiting for both. The tutorial's "
        "loop shows a frame when all stages are done."
    )
    return Section(
        f"{table(header, rows)}\n\n{note}", {name: [run._asdict() for run in runs] for name, runs in results.items()}
    )


def _cells(runs: tuple[Shown, ...]) -> list[str]:
    columns = [Sample(tuple(getattr(run, field) for run in runs)) for field in Shown._fields]
    return [column.text(1) for column in columns]


def _frames(portrait: Frame) -> list[Frame]:
    scale = PORTRAIT_HEIGHT * SIZE[1] / portrait.shape[0]
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
    """Run the window for some seconds, after one second of warm-up."""
    root = tk.Tk()
    window = Timed(Choices(theme="light"), lambda *_: recognizer, DrawnAvatar(), root, ())
    window.toolbar.opener = lambda: lambda: Moving(frames)  # type: ignore[method-assign]
    window.start()
    _run_for(root, 1.0)
    window.count, window.painting, window.latencies = 0, 0.0, []
    stages: list[LiveResult] = []
    started = time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        root.update()
        if window.shown is not None and (not stages or stages[-1] is not window.shown):
            stages.append(window.shown)
        time.sleep(0.0005)
    took = time.perf_counter() - started
    latencies = np.array(window.latencies) * 1000
    shown = Shown(
        window.count / took,
        float(np.mean([result.detection_ms for result in stages])),
        float(np.mean([result.classification_ms for result in stages])),
        1000 * window.painting / window.count,
        float(np.median(latencies)),
        float(np.percentile(latencies, 95)),
    )
    window.close()
    return shown


def _collected(run: Callable[..., Shown], *arguments: object) -> Shown:
    """Run, then collect garbage in this thread: Tcl aborts the process if a window is freed in another."""
    shown = run(*arguments)
    gc.collect()
    return shown


def _run_for(root: tk.Tk, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        root.update()
        time.sleep(0.0005)


def _tutorial_network() -> Any:
    """The network of the tutorial with random weights, which cost the same."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training import architectures
    from mien.training.architectures.blocks import NetworkShape

    return architectures.build("two-conv", NetworkShape(48, 1, (("classes", 7),)))


def _tutorial_loop(frames: list[Frame], network: Any) -> Shown:
    """Read, detect, classify and show in one callback of the window, as many tutorials do."""
    root = tk.Tk()
    label = tk.Label(root)
    label.pack()
    finder = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    camera = Moving(frames)
    times: dict[str, list[float]] = {"detection": [], "classification": [], "painting": [], "latency": []}

    def step() -> None:
        frame = camera.read()
        started = time.perf_counter()
        grey = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        faces = finder.detectMultiScale(grey, scaleFactor=1.3, minNeighbors=5)
        detected = time.perf_counter()
        for x, y, wide, high in faces:
            crop = cv2.resize(grey[y : y + high, x : x + wide], (48, 48))[None, ..., None]
            network.predict(crop, verbose=0)
        classified = time.perf_counter()
        photo = ImageTk.PhotoImage(Image.fromarray(frame.image))
        label.configure(image=photo)
        label.image = photo  # type: ignore[attr-defined]
        root.update_idletasks()
        done = time.perf_counter()
        for name, seconds in zip(
            times, (detected - started, classified - detected, done - classified, done - started), strict=True
        ):
            times[name].append(1000 * seconds)
        root.after(10, step)

    step()
    _run_for(root, 1.0)
    for values in times.values():
        values.clear()
    started = time.perf_counter()
    _run_for(root, SECONDS)
    took = time.perf_counter() - started
    root.destroy()
    latencies = np.array(times["latency"])
    means = [float(np.mean(times[name])) for name in ("detection", "classification", "painting")]
    return Shown(len(latencies) / took, *means, float(np.median(latencies)), float(np.percentile(latencies, 95)))
