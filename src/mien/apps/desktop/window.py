"""The live window: it starts and stops the engine, shows its latest result, and handles all commands."""

from __future__ import annotations

import time
import tkinter as tk
from collections import deque
from pathlib import Path
from tkinter import filedialog, messagebox
from typing import TYPE_CHECKING

from mien.apps.desktop.layout import KEYS, NO_CAMERA, WELCOME, WindowLayout
from mien.apps.desktop.recording import Recorder
from mien.apps.desktop.toolbar import RESTART, START, STOP
from mien.live.engine import Engine, State
from mien.media.camera import cameras
from mien.visualization.annotate import draw
from mien.visualization.anonymize import Anonymizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.apps.desktop.layout import Choices
    from mien.live.engine import LiveResult
    from mien.media.camera import Camera
    from mien.recognizer import Recognizer
    from mien.structures import Frame, Prediction
    from mien.visualization.avatar.styles import AvatarKind

    Load = Callable[[str, str], Recognizer]

POLL_MS = 8
"""Interval at which the window polls the engine; it adds at most this much latency."""

SLOW_UPDATE_SECONDS = 0.1
"""Interval of updates that need not follow every frame: strip, messages, frame rate."""

LATENCY_FRAMES = 50
"""Frames over which the median latency is shown."""


class LiveWindow:
    """The live window. It runs in the thread that creates it; capture and inference run in the engine's threads.

    Args:
        choices: settings.
        load: makes a recognizer from the names of a model and a detector.
        kind: of the avatar.
        root: the Tk window; created if None.
        available: the cameras to choose from; those of the system if None.
    """

    def __init__(
        self,
        choices: Choices,
        load: Load,
        kind: AvatarKind,
        root: tk.Tk | None = None,
        available: tuple[Camera, ...] | None = None,
    ) -> None:
        self.root = root or tk.Tk(className="mien")
        self._load, self._anonymizer = load, Anonymizer(kind)
        self.engine: Engine | None = None
        self.shown: LiveResult | None = None
        self.latencies: deque[float] = deque(maxlen=1000)
        self._followed: int | None = None
        self._last_slow_update = 0.0
        self.layout = WindowLayout(self.root, choices, kind, cameras() if available is None else available, self)
        self.toolbar, self.view, self.side = self.layout.toolbar, self.layout.view, self.layout.side
        self._strip, self._status = self.layout.strip, self.layout.status
        self._recorder = Recorder(choices.folder, self._status.notify)
        self._reset()
        if choices.source is not None:
            self.start()
        self._next = self.root.after(POLL_MS, self._poll)

    # -- starting and stopping

    def start(self) -> None:
        """Stop what is running, open the selected source and analyze it."""
        self.stop()
        opener = self.toolbar.opener()
        if opener is None:
            self.view.show_message(NO_CAMERA)
            return
        model, detector = self.layout.model.get(), self.layout.detector.get()
        self.engine = Engine(lambda: self._load(model, detector), opener)
        self.engine.start()
        if self.toolbar.baseline.get():
            self.engine.begin_baseline()
        self.toolbar.label_start(STOP)
        self._status.show_analysis(on=True)

    def stop(self) -> None:
        """Stop analysis and close the source."""
        engine, self.engine = self.engine, None
        if engine is not None and not engine.stop():
            self._status.notify("The camera is not responding; it is closed as soon as it does")
        self._end_recording()
        self._reset()

    def toggle(self) -> None:
        """Start or stop; a source that has ended starts again."""
        if self.engine is None or self.engine.status.state in (State.ENDED, State.FAILED):
            self.start()
        else:
            self.stop()

    def restart(self) -> None:
        """Start again, if running."""
        if self.engine is not None:
            self.start()

    def close(self) -> None:
        """Stop and close the window."""
        self.root.after_cancel(self._next)
        self.stop()
        self.root.destroy()

    def choose_file(self) -> None:
        """Show the dialog to open a video or an image."""
        chosen = filedialog.askopenfilename(parent=self.root, title="Open a video or an image")
        if chosen:
            self.open(Path(chosen))

    def open(self, path: Path) -> None:
        """Start with a video or image."""
        self.toolbar.select_file(path)
        self.start()

    def _reset(self) -> None:
        """The window while nothing is analyzed."""
        self.shown = self._followed = None
        self.toolbar.label_start(START)
        self._status.show_analysis(on=False)
        self._status.show_fps("")
        self._status.idle()
        self.view.show_message(WELCOME if self.toolbar.has_source else NO_CAMERA)
        self.side.reset()

    # -- showing results

    def _poll(self) -> None:
        """Show the latest result, if it is new."""
        engine = self.engine
        if engine is not None:
            latest = engine.latest()
            if latest is not None and latest is not self.shown:
                self._show(latest)
            if time.monotonic() - self._last_slow_update > SLOW_UPDATE_SECONDS:
                self._last_slow_update = time.monotonic()
                self._update_status(engine)
        self._next = self.root.after(POLL_MS, self._poll)

    def _show(self, latest: LiveResult) -> None:
        self.shown = latest
        face = self._followed_face(latest.predictions)
        self._followed = face.track if face else self._followed
        self.repaint()
        if face is None:
            self.side.show_no_face()
        else:
            self.side.show(face)
        self._strip.history.add(face, latest.frame.seconds)
        self._recorder.add(latest.result)
        self.latencies.append(time.monotonic() - latest.captured_at)

    def repaint(self) -> None:
        """Show the latest frame, with boxes or with anonymized faces."""
        if self.shown is None:
            return
        predictions = () if self.toolbar.anonymized.get() else self.shown.predictions
        mirrored = self.toolbar.mirrored.get() and self.toolbar.file is None
        self.view.show(self._image(self.shown), predictions, mirrored=mirrored, followed=self._followed)

    def _image(self, latest: LiveResult) -> Frame:
        """The frame of a result, anonymized if requested."""
        frame = latest.frame
        if not self.toolbar.anonymized.get():
            return frame.image
        return self._anonymizer.anonymize(frame.image, latest.predictions, frame.seconds)

    def _followed_face(self, predictions: Sequence[Prediction]) -> Prediction | None:
        """The followed face, else the largest."""
        followed = [prediction for prediction in predictions if prediction.track == self._followed]
        return next(iter([*followed, *predictions]), None)

    def _update_status(self, engine: Engine) -> None:
        self._strip.redraw()
        if self.shown is not None and engine.fps:
            self._status.show_fps(_fps_text(engine.fps, self.shown, list(self.latencies)[-LATENCY_FRAMES:]))
        status = engine.status
        if status.state in (State.ENDED, State.FAILED):
            self.toolbar.label_start(RESTART)
        if status.state is State.FAILED:
            self.view.show_message(status.message)
        if status.state is State.OPENING and self.shown is None:
            self.view.show_message("Opening…")
        progress = engine.baseline_progress
        if status.state in (State.LOST, State.SILENT):
            self._status.warn(status.message)
        elif progress is not None and progress < 1:
            self._status.instruct(f"Look at the camera with a neutral face: {100 * progress:.0f} %")
        else:
            self._status.idle("Relative to your neutral face" if progress else "")

    # -- commands

    def show_keys(self) -> None:
        """Show the list of keys."""
        messagebox.showinfo("Keys", KEYS, parent=self.root)

    def follow(self, track: int) -> None:
        """Show the avatar of this face from now on."""
        self._followed = track
        self.repaint()

    def follow_next(self) -> None:
        """Follow the next face, in order of size."""
        tracks = [face.track for face in self.shown.predictions if face.track is not None] if self.shown else []
        if tracks:
            position = tracks.index(self._followed) + 1 if self._followed in tracks else 0
            self.follow(tracks[position % len(tracks)])

    def snapshot(self) -> None:
        """Save the image shown: with boxes and avatars, or with anonymized faces."""
        if self.shown is None:
            self._status.notify("There is no image yet")
            return
        image = self._image(self.shown)
        self._recorder.snapshot(image if self.toolbar.anonymized.get() else draw(image, self.shown.predictions))

    def switch_baseline(self) -> None:
        """Begin or end a baseline, as the switch says."""
        if self.engine is not None and self.toolbar.baseline.get():
            self.engine.begin_baseline()
        elif self.engine is not None:
            self.engine.end_baseline()
            self._status.notify("The baseline is off")

    def switch_recording(self) -> None:
        """Begin or end a recording, as the switch says."""
        if not self.toolbar.recording.get():
            self._end_recording()
        elif self.shown is None or not self.shown.predictions:
            self.toolbar.recording.set(False)
            self._status.notify("A recording can begin when a face is visible")
        else:
            self._recorder.begin(self.shown.predictions[0].labels)
            self.toolbar.recording.set(self._recorder.recording)

    def _end_recording(self) -> None:
        self.toolbar.recording.set(False)
        self._recorder.end()


def _fps_text(fps: float, latest: LiveResult, latencies: list[float]) -> str:
    median = 1000 * sorted(latencies)[len(latencies) // 2] if latencies else 0.0
    return (
        f"{fps:.0f} fps, latency {median:.0f} ms "
        f"(detection {latest.detection_ms:.0f} ms, classification {latest.classification_ms:.0f} ms)"
    )
