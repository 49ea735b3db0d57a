"""The foot of the window: whether analysis is on, how fast, and words that come and go."""

from __future__ import annotations

import time
from tkinter import ttk
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tkinter as tk
    from collections.abc import Callable

TOLD = 6.0
"""Seconds that words stay."""

ON = "Expression analysis is on. Images stay on this machine."
OFF = "Nothing is read until you start. Images stay on this machine."


class Foot(ttk.Frame):
    """Two lines of words.

    Args:
        parent: the widget that it stands in.
        gap: between its parts, in pixels.
        keys: what the button that tells the keys does.
    """

    def __init__(self, parent: tk.Misc, gap: int, keys: Callable[[], None]) -> None:
        super().__init__(parent)
        self._until = 0.0
        first = ttk.Frame(self)
        first.pack(fill="x", pady=(0, gap // 2))
        self._note = ttk.Label(first)
        self._note.pack(side="left")
        ttk.Button(first, text="Keys", width=5, command=keys).pack(side="right")
        self._rate = ttk.Label(first, style="Dim.TLabel")
        self._rate.pack(side="right", padx=gap)
        self._words = ttk.Label(self, style="Dim.TLabel")
        self._words.pack(fill="x")

    def note(self, *, on: bool) -> None:
        """Says whether faces are read."""
        self._note.configure(text=ON if on else OFF)

    def tell_rate(self, words: str) -> None:
        """Says how fast they are."""
        self._rate.configure(text=words)

    def say(self, words: str) -> None:
        """Words that stay for a while."""
        self._until = time.monotonic() + TOLD
        self._words.configure(text=words, style="Dim.TLabel")

    def alarm(self, words: str) -> None:
        """Words that something is wrong, in place of any others."""
        self._words.configure(text=words, style="Alarm.TLabel")

    def ask(self, words: str) -> None:
        """What the person is to do now, in place of any others."""
        self._words.configure(text=words, style="TLabel")

    def rest(self, words: str = "") -> None:
        """What stands there when nothing else is to be said."""
        if time.monotonic() > self._until:
            self._words.configure(text=words, style="Dim.TLabel")
