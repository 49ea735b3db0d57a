"""The row of controls over the image."""

from __future__ import annotations

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

START, STOP, AGAIN = "Start", "Stop", "Again"


class Commands(Protocol):
    """What the controls ask of the window."""

    def toggle(self) -> None:
        """Start, or stop."""

    def start(self) -> None:
        """Start anew with what is chosen."""

    def ask_for_file(self) -> None:
        """Ask for a video or image."""

    def paint_again(self) -> None:
        """Show the same image in another way."""

    def switch_baseline(self) -> None:
        """Begin or end a baseline."""

    def switch_recording(self) -> None:
        """Begin or end a recording."""

    def snapshot(self) -> None:
        """Write what is shown."""


class Tools(ttk.Frame):
    """The source, start and stop, and switches.

    Args:
        parent: the window.
        gap: pixels between controls.
        cameras: to choose from.
        source: the number of a camera, or a file, chosen at the beginning.
        mirrored: whether cameras are shown as in a mirror.
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
        self.covered = tk.BooleanVar(self, value=False)
        self.relative = tk.BooleanVar(self, value=False)
        self.recording = tk.BooleanVar(self, value=False)
        self.file = source if isinstance(source, Path) else None
        self._numbers = {camera.name: camera.number for camera in cameras}
        if isinstance(source, int) and source not in self._numbers.values():
            self._numbers[f"Camera {source + 1}"] = source
        self._commands = commands
        self._source = ttk.Combobox(self, state="readonly", width=24, values=list(self._numbers))
        self._source.bind("<<ComboboxSelected>>", lambda _: self._choose_camera())
        self._source.set(next((name for name, number in self._numbers.items() if number == source), self._first))
        self._go = ttk.Button(self, text=START, width=8, style="Go.TButton", command=commands.toggle)
        self._source.pack(side="left")
        ttk.Button(self, text="Open…", width=8, command=commands.ask_for_file).pack(side="left", padx=gap)
        self._go.pack(side="left", padx=(0, 2 * gap))
        for words, value, command in (
            ("Mirror", self.mirrored, commands.paint_again),
            ("Cover faces", self.covered, commands.paint_again),
            ("Baseline", self.relative, commands.switch_baseline),
            ("Record", self.recording, commands.switch_recording),
        ):
            switch = ttk.Checkbutton(self, text=words, style="Toolbutton", variable=value, command=command)
            switch.pack(side="left", padx=(0, gap // 2))
        ttk.Button(self, text="Snapshot", command=commands.snapshot).pack(side="left")
        self.choose_file(self.file)

    @property
    def _first(self) -> str:
        return next(iter(self._numbers), "no camera")

    @property
    def anything(self) -> bool:
        """Whether there is a source to start."""
        return self.file is not None or bool(self._numbers)

    def choose_file(self, path: Path | None) -> None:
        """Makes a file the source."""
        self.file = path
        if path is not None:
            self._source.set(path.name)

    def opener(self) -> Callable[[], Source] | None:
        """What opens the source that is chosen; None where there is none."""
        file = self.file
        if file is not None:
            return lambda: open_file(file)
        number = self._numbers.get(self._source.get())
        return None if number is None else lambda: CameraSource(number)

    def name_go(self, words: str) -> None:
        """The words on the button that starts and stops."""
        self._go.configure(text=words)

    def flip(self, value: tk.BooleanVar) -> None:
        """Switches what a key stands for, as a click on its switch does."""
        value.set(not value.get())
        if value is self.relative:
            self._commands.switch_baseline()
        elif value is self.recording:
            self._commands.switch_recording()
        else:
            self._commands.paint_again()

    def _choose_camera(self) -> None:
        self.file = None
        self._source.selection_clear()
        self._commands.start()
