"""The column beside the image: the avatar of one face, its word, its probabilities, and the model that reads it."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import TYPE_CHECKING

from mien.apps.desktop.panels import AvatarPanel, BarsPanel
from mien.emotions import FER2013, Emotion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.apps.desktop.theme import Palette
    from mien.structures import Prediction
    from mien.visualization.avatar.styles import AvatarKind

CALM = (tuple(map(str, FER2013)), tuple(float(label is Emotion.NEUTRAL) for label in FER2013))


class SidePanel(ttk.Frame):
    """Shows what one face shows.

    Args:
        parent: the window.
        colours: of the window.
        density: pixels of the screen for each that a size here means.
        kind: what the avatar looks like.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float, kind: AvatarKind) -> None:
        super().__init__(parent)
        self._avatar = AvatarPanel(self, colours, round(260 * density), kind)
        self._word = ttk.Label(self, style="Word.TLabel", anchor="center")
        self._reasons = ttk.Label(self, style="Dim.TLabel", anchor="center", text=" ")
        self._bars = BarsPanel(self, colours, density)
        self.columnconfigure(0, weight=1)
        self.rowconfigure(0, weight=1)  # on a low screen the avatar is what gives way
        for row, part in enumerate((self._avatar, self._word, self._reasons, self._bars)):
            part.grid(row=row, column=0, sticky="nsew")

    def add_choice(self, words: str, value: tk.StringVar, names: Sequence[str], changed: Callable[[], None]) -> None:
        """Adds a choice at the foot."""
        row = ttk.Frame(self)
        row.grid(column=0, sticky="ew", pady=(6, 0))
        ttk.Label(row, text=words, style="Dim.TLabel", width=9).pack(side="left")
        shown = list(dict.fromkeys([value.get(), *names]))
        box = ttk.Combobox(row, state="readonly", textvariable=value, values=shown)
        box.pack(side="left", fill="x", expand=True)

        def chosen(_: object) -> None:
            box.selection_clear()
            changed()

        box.bind("<<ComboboxSelected>>", chosen)

    def show(self, face: Prediction) -> None:
        """Shows a face."""
        self._avatar.show(face.labels, face.probabilities)
        self._bars.show(face.labels, face.probabilities)
        self._word.configure(text=f"{face.emotion}?" if face.unsure else face.emotion)
        self._reasons.configure(text=f"unsure: {', '.join(face.reasons)}" if face.unsure else " ")

    def show_none(self) -> None:
        """Keeps what was shown last, and says that there is no face now."""
        self._word.configure(text="no face")
        self._reasons.configure(text=" ")

    def rest(self) -> None:
        """A calm face, while nothing is read."""
        self._avatar.show(*CALM)
        self._bars.show(CALM[0], (0.0,) * len(CALM[0]))
        self._word.configure(text="")
        self._reasons.configure(text=" ")
