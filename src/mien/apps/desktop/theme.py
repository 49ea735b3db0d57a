"""Colours and sizes of the window, light and dark, on screens of any density."""

from __future__ import annotations

import subprocess
import sys
import tkinter as tk
from dataclasses import dataclass
from tkinter import font, ttk

THEMES = ("auto", "light", "dark")
ASKED = 1.0
"""Seconds that the system may take to say which it prefers."""

PREFERENCES = {
    "linux": (["gsettings", "get", "org.gnome.desktop.interface", "color-scheme"], "dark"),
    "darwin": (["defaults", "read", "-g", "AppleInterfaceStyle"], "Dark"),
    "win32": (
        [
            "reg",
            "query",
            r"HKCU\Software\Microsoft\Windows\CurrentVersion\Themes\Personalize",
            "/v",
            "AppsUseLightTheme",
        ],
        "0x0",
    ),
}
"""The command that tells whether dark is preferred, and the word in its answer that means it."""


@dataclass(frozen=True)
class Palette:
    """Colours as Tk takes them.

    Attributes:
        ground: of the window.
        panel: of what lies on it.
        stage: around the image.
        text: words.
        dim: words that matter less.
        line: edges, and the empty part of bars.
        accent: what is chosen or running.
        alarm: words about trouble.
    """

    ground: str
    panel: str
    stage: str
    text: str
    dim: str
    line: str
    accent: str
    alarm: str


LIGHT = Palette("#f4f5f7", "#ffffff", "#e6e8ec", "#1c2026", "#5c6470", "#d5d9df", "#2563c4", "#b3261e")
DARK = Palette("#171a1f", "#20242b", "#0f1114", "#eceff3", "#9aa3b0", "#3a414c", "#7fb0ff", "#ff9a8f")


def palette(theme: str) -> Palette:
    """The colours of "light", "dark", or "auto", which is what the system prefers."""
    dark = prefers_dark() if theme == "auto" else theme == "dark"
    return DARK if dark else LIGHT


def prefers_dark() -> bool:
    """Whether the desktop says that it prefers dark windows; False where it says nothing."""
    command, word = PREFERENCES.get(sys.platform, ([], ""))
    if not command:
        return False
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ASKED, check=False)  # noqa: S603 - from the table above
    except (OSError, subprocess.TimeoutExpired):
        return False
    return word in told.stdout


def sharpen() -> None:
    """Asks Windows for real pixels: before the first window, or it would be enlarged and blurred."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.shcore.SetProcessDpiAwareness(1)


def density(root: tk.Misc) -> float:
    """Pixels of the screen for each that a size here means: 1.0 at 96 to the inch."""
    return max(1.0, root.winfo_fpixels("1i") / 96)


def dress(root: tk.Tk, colours: Palette) -> None:
    """Gives every widget of the window its colours."""
    root.configure(background=colours.ground)
    family = font.nametofont("TkDefaultFont").actual("family")
    root.option_add("*TCombobox*Listbox.background", colours.panel)
    root.option_add("*TCombobox*Listbox.foreground", colours.text)
    root.option_add("*TCombobox*Listbox.selectBackground", colours.accent)
    style = ttk.Style(root)
    style.theme_use("clam")
    style.configure(
        ".", background=colours.ground, foreground=colours.text, bordercolor=colours.line, lightcolor=colours.line,
        darkcolor=colours.line, troughcolor=colours.line, focuscolor=colours.accent, font=(family, 10),
    )  # fmt: skip
    style.configure("TLabel", background=colours.ground)
    style.configure("Dim.TLabel", foreground=colours.dim)
    style.configure("Alarm.TLabel", foreground=colours.alarm)
    style.configure("Word.TLabel", font=(family, 20, "bold"))
    for kind in ("TButton", "Toolbutton", "TCombobox", "TMenubutton"):
        style.configure(kind, background=colours.panel, foreground=colours.text, padding=(9, 5))
        style.map(
            kind,
            background=[("disabled", colours.ground), ("active", colours.line)],
            foreground=[("disabled", colours.dim)],
        )
    style.map("Toolbutton", background=[("selected", colours.accent)], foreground=[("selected", colours.ground)])
    style.configure("TCombobox", fieldbackground=colours.panel, arrowcolor=colours.text)
    style.map("TCombobox", fieldbackground=[("readonly", colours.panel)], foreground=[("readonly", colours.text)])
    style.configure("Go.TButton", background=colours.accent, foreground=colours.ground, font=(family, 10, "bold"))
    style.map(
        "Go.TButton",
        background=[("disabled", colours.line), ("active", colours.text)],
        foreground=[("disabled", colours.dim), ("active", colours.ground)],
    )
