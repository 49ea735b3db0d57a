"""The toolbar above the image and the status bar below it."""

from __future__ import annotations

import time
import tkinter as tk
from pathlib import Path
from tkinter import ttk
from typing import TYPE_CHECKING, Protocol

from mien.media.camera import CameraSource
from mien.media.video import open_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.media.camera import Camera
    from mien.media.video import Source

START, STOP, RESTART = "Start", "Stop", "Restart"

MESSAGE_SECONDS = 6.0
"""How long a message stays in the status bar."""

ANALYSIS_ON = "Expression analysis is on. Images stay on this machine."
ANALYSIS_OFF = "Nothing is analyzed until you start. Images stay on this machine."


class Commands(Protocol):
    """Callbacks of the toolbar."""

    def toggle(self) -> None:
        """Start or stop."""

    def start(self) -> None:
        """Start with the selected source."""

    def choose_file(self) -> None:
        """Show the dialog to open a video or an image."""

    def repaint(self) -> None:
        """Show the same image with the current settings."""

    def switch_baseline(self) -> None:
        """Begin or end a baseline."""

    def switch_recording(self) -> None:
        """Begin or end a recording."""

    def snapshot(self) -> None:
        """Save the image shown."""


class Toolbar(ttk.Frame):
    """The source, start and stop, and switches.

    Args:
        parent: the window.
        gap: pixels between controls.
        cameras: to choose from.
        source: the camera number or file selected at first.
        mirrored: whether cameras are mirrored.
        commands: what the controls do.
    """

    def __init__(
        self,
        parent: tk.Misc,
        gap: int,
        cameras: tuple[Camera, ...],
        source: int | Path | None,
        *,
        mirrored: bool,
        commands: Commands,
    ) -> None:
        super().__init__(parent)
        self.mirrored = tk.BooleanVar(self, value=mirrored)
        self.anonymized = tk.BooleanVar(self, value=False)
        self.baseline = tk.BooleanVar(self, value=False)
        self.recording = tk.BooleanVar(self, value=False)
        self.file = source if isinstance(source, Path) else None
        self._numbers = {camera.name: camera.number for camera in cameras}
        if isinstance(source, int) and source not in self._numbers.values():
            self._numbers[f"Camera {source + 1}"] = source
        self._commands = commands
        self._source = ttk.Combobox(self, state="readonly", width=24, values=list(self._numbers))
        self._source.bind("<<ComboboxSelected>>", lambda _: self._camera_selected())
        first = next(iter(self._numbers), "no camera")
        self._source.set(next((name for name, number in self._numbers.items() if number == source), first))
        self._go = ttk.Button(self, text=START, width=8, style="Go.TButton", command=commands.toggle)
        self._source.pack(side="left")
        ttk.Button(self, text="Open…", width=8, command=commands.choose_file).pack(side="left", padx=gap)
        self._go.pack(side="left", padx=(0, 2 * gap))
        for text, value, command in (
            ("Mirror", self.mirrored, commands.repaint),
            ("Anonymize faces", self.anonymized, commands.repaint),
            ("Baseline", self.baseline, commands.switch_baseline),
            ("Record", self.recording, commands.switch_recording),
        ):
            switch = ttk.Checkbutton(self, text=text, style="Toolbutton", variable=value, command=command)
            switch.pack(side="left", padx=(0, gap // 2))
        ttk.Button(self, text="Snapshot", command=commands.snapshot).pack(side="left")
        self.select_file(self.file)

    @property
    def has_source(self) -> bool:
        """Whether there is a camera or a file to start."""
        return self.file is not None or bool(self._numbers)

    def select_file(self, path: Path | None) -> None:
        """Make a file the source."""
        self.file = path
        if path is not None:
            self._source.set(path.name)

    def opener(self) -> Callable[[], Source] | None:
        """A function that opens the selected source; None if there is none."""
        file = self.file
        if file is not None:
            return lambda: open_file(file)
        number = self._numbers.get(self._source.get())
        return None if number is None else lambda: CameraSource(number)

    def label_start(self, text: str) -> None:
        """Set the text of the button that starts and stops analysis."""
        self._go.configure(text=text)

    def flip(self, value: tk.BooleanVar) -> None:
        """Flip a switch, as a click on it does."""
        value.set(not value.get())
        if value is self.baseline:
            self._commands.switch_baseline()
        elif value is self.recording:
            self._commands.switch_recording()
        else:
            self._commands.repaint()

    def _camera_selected(self) -> None:
        self.file = None
        self._source.selection_clear()
        self._commands.start()


class StatusBar(ttk.Frame):
    """Whether analysis is on, its frame rate and latency, and messages.

    Args:
        parent: the parent widget.
        gap: between its parts, in pixels.
        show_keys: shows the list of keys.
    """

    def __init__(self, parent: tk.Misc, gap: int, show_keys: Callable[[], None]) -> None:
        super().__init__(parent)
        self._until = 0.0
        first = ttk.Frame(self)
        first.pack(fill="x", pady=(0, gap // 2))
        self._analysis = ttk.Label(first)
        self._analysis.pack(side="left")
        ttk.Button(first, text="Keys", width=5, command=show_keys).pack(side="right")
        self._fps = ttk.Label(first, style="Dim.TLabel")
        self._fps.pack(side="right", padx=gap)
        self._message = ttk.Label(self, style="Dim.TLabel")
        self._message.pack(fill="x")

    def show_analysis(self, *, on: bool) -> None:
        """Show whether faces are analyzed."""
        self._analysis.configure(text=ANALYSIS_ON if on else ANALYSIS_OFF)

    def show_fps(self, text: str) -> None:
        """Show frame rate and latency."""
        self._fps.configure(text=text)

    def notify(self, text: str) -> None:
        """Show a message for some seconds."""
        self._until = time.monotonic() + MESSAGE_SECONDS
        self._message.configure(text=text, style="Dim.TLabel")

    def warn(self, text: str) -> None:
        """Show a warning in place of any message."""
        self._message.configure(text=text, style="Alarm.TLabel")

    def instruct(self, text: str) -> None:
        """Show an instruction in place of any message."""
        self._message.configure(text=text, style="TLabel")

    def idle(self, text: str = "") -> None:
        """Show a default text when no message is due."""
        if time.monotonic() > self._until:
            self._message.configure(text=text, style="Dim.TLabel")
