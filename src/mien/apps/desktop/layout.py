"""The layout of the live window: its widgets, their places, and its keys."""

from __future__ import annotations

import tkinter as tk
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mien.apps.desktop.image_view import ImageView
from mien.apps.desktop.panels import SidePanel, StripPanel
from mien.apps.desktop.theme import density, dress, palette
from mien.apps.desktop.toolbar import Commands, StatusBar, Toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.media.camera import Camera
    from mien.visualization.avatar.styles import AvatarKind

WELCOME = "Choose a camera, or open a video or an image, and press Start."
NO_CAMERA = "No camera was found. Plug one in, or open a video or an image."
KEYS = """space\tstart, stop
o\topen a video or an image
m\tmirror the camera
c\tanonymize faces: cover them with their avatars
b\tbaseline: predictions relative to your face at rest
r\trecord a CSV
s\ttake a snapshot
n\tfollow the next face
f\tfull screen
q\tquit"""


@dataclass(frozen=True)
class Choices:
    """The settings that the window starts with.

    Attributes:
        source: the number of a camera from 0, the path of a video or image, or None to wait for Start.
        model: name or path of a model.
        detector: name or path of a detector.
        models: names to choose from.
        detectors: names to choose from.
        mirrored: whether cameras are mirrored.
        theme: "auto", "light" or "dark".
        folder: for snapshots and recordings.
    """

    source: int | Path | None = None
    model: str = "compact"
    detector: str = "auto"
    models: tuple[str, ...] = ("compact",)
    detectors: tuple[str, ...] = ("auto", "haar")
    mirrored: bool = True
    theme: str = "auto"
    folder: Path = field(default_factory=Path)


class WindowCommands(Commands, Protocol):
    """Callbacks of the controls and keys of the window."""

    def restart(self) -> None:
        """Start again with another model or detector, if running."""

    def follow(self, track: int) -> None:
        """Show the avatar of this face."""

    def follow_next(self) -> None:
        """Follow the next face."""

    def show_keys(self) -> None:
        """Show the list of keys."""

    def close(self) -> None:
        """Quit."""


class WindowLayout:
    """Creates the widgets and binds the keys.

    Args:
        root: the Tk window.
        choices: settings.
        kind: of the avatar.
        cameras: to choose from.
        commands: what controls and keys do.
    """

    def __init__(
        self, root: tk.Tk, choices: Choices, kind: AvatarKind, cameras: tuple[Camera, ...], commands: WindowCommands
    ) -> None:
        self._root = root
        root.title("mien")
        colours = palette(choices.theme)
        dress(root, colours)
        scale = density(root)
        gap = round(8 * scale)
        self.model = tk.StringVar(root, value=choices.model)
        self.detector = tk.StringVar(root, value=choices.detector)
        self.toolbar = Toolbar(root, gap, cameras, choices.source, mirrored=choices.mirrored, commands=commands)
        self.view = ImageView(root, colours, scale, commands.follow)
        self.side = SidePanel(root, colours, scale, kind)
        self.side.add_choice("Model", self.model, choices.models, commands.restart)
        self.side.add_choice("Detector", self.detector, choices.detectors, commands.restart)
        self.strip = StripPanel(root, colours, round(52 * scale))
        self.status = StatusBar(root, gap, commands.show_keys)
        self._arrange(gap, scale)
        self._bind_keys(commands)
        root.protocol("WM_DELETE_WINDOW", commands.close)
        root.update_idletasks()

    def toggle_full_screen(self) -> None:
        """Enter or leave full screen."""
        self._root.attributes("-fullscreen", not self._root.attributes("-fullscreen"))

    def _arrange(self, gap: int, scale: float) -> None:
        root = self._root
        height = min(round(740 * scale), root.winfo_screenheight() - round(90 * scale))
        root.geometry(f"{round(1080 * scale)}x{height}")
        root.minsize(round(820 * scale), round(600 * scale))
        root.columnconfigure(0, weight=1)
        root.rowconfigure(1, weight=1)
        self.toolbar.grid(row=0, column=0, columnspan=2, sticky="ew", padx=gap, pady=(gap, 0))
        self.view.grid(row=1, column=0, sticky="nsew", padx=(gap, 0), pady=gap)
        self.side.grid(row=1, column=1, sticky="ns", padx=gap, pady=gap)
        self.strip.grid(row=2, column=0, columnspan=2, sticky="ew", padx=gap)
        self.status.grid(row=3, column=0, columnspan=2, sticky="ew", padx=gap, pady=gap // 2)

    def _bind_keys(self, commands: WindowCommands) -> None:
        toolbar = self.toolbar
        for key, command in (
            ("<space>", commands.toggle),
            ("o", commands.choose_file),
            ("m", lambda: toolbar.flip(toolbar.mirrored)),
            ("c", lambda: toolbar.flip(toolbar.anonymized)),
            ("b", lambda: toolbar.flip(toolbar.baseline)),
            ("r", lambda: toolbar.flip(toolbar.recording)),
            ("s", commands.snapshot),
            ("n", commands.follow_next),
            ("f", self.toggle_full_screen),
            ("<F11>", self.toggle_full_screen),
            ("<Escape>", lambda: self._root.attributes("-fullscreen", 0)),
            ("<F1>", commands.show_keys),
            ("q", commands.close),
            ("<Control-w>", commands.close),
        ):
            self._root.bind(key, lambda event, run=command: _on_key(event, run))  # type: ignore[misc]  # the default binds it


def _on_key(event: tk.Event[tk.Misc], run: Callable[[], object]) -> str | None:
    # a focused control handles the space bar itself
    if event.keysym == "space" and event.widget.winfo_class() in ("TButton", "TCheckbutton", "TCombobox"):
        return None
    run()
    return "break"
