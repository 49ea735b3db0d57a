"""Light and dark colours of the windows, widget styles, and scaling to the density of the screen."""

from __future__ import annotations

import subprocess
import sys
import tkinter as tk
from dataclasses import dataclass
from tkinter import font, ttk

THEMES = ("auto", "light", "dark")
PREFERENCE_TIMEOUT_SECONDS = 1.0
"""Timeout of the command that reads the preference of the desktop."""

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
"""By platform, the command that prints the preferred colour scheme, and the text in its output that means dark."""


@dataclass(frozen=True)
class Palette:
    """Colours in the notation of Tk.

    Attributes:
        ground: background of the window.
        panel: background of controls.
        stage: background of the image area.
        text: text.
        dim: secondary text.
        line: borders, and the empty part of bars.
        accent: what is selected or running.
        alarm: warnings.
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
    """The colours of "light", "dark", or "auto": the preference of the desktop."""
    dark = prefers_dark() if theme == "auto" else theme == "dark"
    return DARK if dark else LIGHT


def prefers_dark() -> bool:
    """Whether the desktop prefers dark windows; False if it has no such preference."""
    command, dark_text = PREFERENCES.get(sys.platform, ([], ""))
    if not command:
        return False
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PREFERENCE_TIMEOUT_SECONDS, check=False)  # noqa: S603 - from the table above
    except (OSError, subprocess.TimeoutExpired):
        return False
    return dark_text in ran.stdout


def sharpen() -> None:
    """Declare DPI awareness on Windows, before the first window; otherwise it would be scaled up and blurred."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.shcore.SetProcessDpiAwareness(1)


def density(root: tk.Misc) -> float:
    """Screen pixels per size unit: 1.0 at 96 dpi."""
    return max(1.0, root.winfo_fpixels("1i") / 96)


def dress(root: tk.Tk, colours: Palette) -> None:
    """Apply the colours to all widgets of the window."""
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
    style.configure("Large.TLabel", font=(family, 20, "bold"))
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
