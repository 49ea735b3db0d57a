"""The panels next to and below the image: avatar, label, probability bars, and the strip of the last half minute."""

from __future__ import annotations

import tkinter as tk
from tkinter import font, ttk
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.apps.desktop.image_view import CanvasImage
from mien.emotions import FER2013, Emotion
from mien.visualization.annotate import colour_of
from mien.visualization.avatar.outlines import hex_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.apps.desktop.theme import Palette
    from mien.structures import Prediction
    from mien.visualization.avatar.styles import AvatarKind

    Pixels = npt.NDArray[np.uint8]

STRIP_SECONDS = 30.0
"""Time span of the strip."""

STRIP_COLUMNS = 300
"""Columns of the strip: one per tenth of a second."""

MIN_CHANGE = 0.005
"""Smallest change of a probability for which the avatar is painted again."""

MAX_BRIDGED_COLUMNS = 5
"""Gap between two predictions that is filled: slow inference is no absence."""

NEUTRAL = (tuple(map(str, FER2013)), tuple(float(label is Emotion.NEUTRAL) for label in FER2013))
"""Labels and probabilities of a neutral face."""


class SidePanel(ttk.Frame):
    """The expression of one face: avatar, label, reasons for being unsure, bars; below, selections.

    Args:
        parent: the window.
        colours: of the window.
        density: screen pixels per size unit.
        kind: of the avatar.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float, kind: AvatarKind) -> None:
        super().__init__(parent)
        self._avatar = AvatarPanel(self, colours, round(260 * density), kind)
        self._label = ttk.Label(self, style="Large.TLabel", anchor="center")
        self._reasons = ttk.Label(self, style="Dim.TLabel", anchor="center", text=" ")
        self._bars = BarsPanel(self, colours, density)
        self.columnconfigure(0, weight=1)
        self.rowconfigure(0, weight=1)  # on a small screen the avatar shrinks first
        for row, part in enumerate((self._avatar, self._label, self._reasons, self._bars)):
            part.grid(row=row, column=0, sticky="nsew")

    def add_choice(self, text: str, value: tk.StringVar, names: Sequence[str], on_change: Callable[[], None]) -> None:
        """Add a drop-down list at the bottom."""
        row = ttk.Frame(self)
        row.grid(column=0, sticky="ew", pady=(6, 0))
        ttk.Label(row, text=text, style="Dim.TLabel", width=9).pack(side="left")
        options = list(dict.fromkeys([value.get(), *names]))
        box = ttk.Combobox(row, state="readonly", textvariable=value, values=options)
        box.pack(side="left", fill="x", expand=True)

        def selected(_: object) -> None:
            box.selection_clear()
            on_change()

        box.bind("<<ComboboxSelected>>", selected)

    def show(self, face: Prediction) -> None:
        """Show a face."""
        self._avatar.show(face.labels, face.probabilities)
        self._bars.show(face.labels, face.probabilities)
        self._label.configure(text=f"{face.emotion}?" if face.unsure else face.emotion)
        self._reasons.configure(text=f"unsure: {', '.join(face.reasons)}" if face.unsure else " ")

    def show_no_face(self) -> None:
        """Keep the last avatar and show that there is no face."""
        self._label.configure(text="no face")
        self._reasons.configure(text=" ")

    def reset(self) -> None:
        """Show a neutral avatar."""
        self._avatar.show(*NEUTRAL)
        self._bars.show(NEUTRAL[0], (0.0,) * len(NEUTRAL[0]))
        self._label.configure(text="")
        self._reasons.configure(text=" ")


class AvatarPanel(tk.Canvas):
    """The avatar of one face.

    Args:
        parent: the parent widget.
        colours: of the window.
        side: in pixels.
        kind: of the avatar.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, side: int, kind: AvatarKind) -> None:
        super().__init__(parent, width=side, height=side, background=colours.ground, highlightthickness=0)
        self._kind = kind
        self._image = CanvasImage(self, "center")
        self._last: tuple[int, tuple[str, ...], npt.NDArray[np.float64]] | None = None

    def show(self, labels: Sequence[str], probabilities: Sequence[float]) -> None:
        """Show the avatar of these probabilities, unless it would look the same."""
        side = max(min(self.winfo_width(), self.winfo_height()), 16)
        shown = side, tuple(labels), np.array(probabilities)
        if self._is_current(*shown):
            return
        self._last = shown
        painted = self._kind.image(labels, probabilities, side)
        self._image.paint(painted, self.winfo_width() / 2, self.winfo_height() / 2)

    def _is_current(self, side: int, labels: tuple[str, ...], probabilities: npt.NDArray[np.float64]) -> bool:
        if self._last is None or self._last[:2] != (side, labels):
            return False
        return bool(np.abs(self._last[2] - probabilities).max() < MIN_CHANGE)


class BarsPanel(tk.Canvas):
    """A probability bar for each expression.

    Args:
        parent: the parent widget.
        colours: of the window.
        density: screen pixels per size unit.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float) -> None:
        self._row, self._colours, self._density = round(24 * density), colours, density
        super().__init__(parent, height=7 * self._row, background=colours.ground, highlightthickness=0)
        self._labels: tuple[str, ...] = ()
        self._items: list[tuple[int, int, int]] = []

    def show(self, labels: Sequence[str], probabilities: Sequence[float]) -> None:
        """Show these probabilities."""
        if tuple(labels) != self._labels:
            self._create_items(tuple(labels))
        left, right = self._extent
        for row, (items, probability) in enumerate(zip(self._items, probabilities, strict=True)):
            ground, bar, text = items
            top = (row + 0.28) * self._row
            self.coords(ground, left, top, right, top + 0.44 * self._row)
            self.coords(bar, left, top, left + (right - left) * probability, top + 0.44 * self._row)
            self.coords(text, right + 6 * self._density, (row + 0.5) * self._row)
            self.itemconfigure(text, text=f"{100 * probability:.0f} %")

    @property
    def _extent(self) -> tuple[float, float]:
        return 84 * self._density, max(self.winfo_width() - 48 * self._density, 90 * self._density)

    def _create_items(self, labels: tuple[str, ...]) -> None:
        self.delete("all")
        self.configure(height=len(labels) * self._row)
        family = font.nametofont("TkDefaultFont").actual("family")
        self._labels, self._items = labels, []
        for row, label in enumerate(labels):
            middle = (row + 0.5) * self._row
            self.create_text(
                76 * self._density, middle, text=label, anchor="e", fill=self._colours.text, font=(family, 10)
            )
            ground = self.create_rectangle(0, 0, 0, 0, fill=self._colours.line, width=0)
            bar = self.create_rectangle(0, 0, 0, 0, fill=hex_of(colour_of(label)), width=0)
            text = self.create_text(0, middle, anchor="w", fill=self._colours.dim, font=(family, 9))
            self._items.append((ground, bar, text))


class StripPanel(tk.Canvas):
    """The probabilities of one face over the last half minute as stacked areas; empty while there was no face.

    Args:
        parent: the parent widget.
        colours: of the window.
        height: in pixels.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, height: int) -> None:
        super().__init__(parent, height=height, background=colours.panel, highlightthickness=0)
        self._ground = np.array([round(part / 257) for part in self.winfo_rgb(colours.panel)], np.uint8)
        self._image = CanvasImage(self)
        self.history = History()

    def redraw(self) -> None:
        """Paint the current history."""
        size = max(self.winfo_width(), 2), max(self.winfo_height(), 2)
        columns = np.arange(size[0]) * STRIP_COLUMNS // size[0]
        self._image.paint(self.history.painted(size[1], self._ground)[:, columns])


class History:
    """The probabilities of the last half minute, one row per tenth of a second."""

    def __init__(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._rows = np.zeros((STRIP_COLUMNS, 0), np.float32)
        self._last = 0

    def add(self, prediction: Prediction | None, seconds: float) -> None:
        """Add a prediction at a time; None leaves a gap, a time before the last one clears the history."""
        if prediction is not None and prediction.labels != self._labels:
            self._labels = prediction.labels
            self._rows = np.zeros((STRIP_COLUMNS, len(self._labels)), np.float32)
        now = int(seconds * STRIP_COLUMNS / STRIP_SECONDS)
        passed = STRIP_COLUMNS if now < self._last else min(now - self._last, STRIP_COLUMNS)
        before = self._rows[-1].copy()
        if passed:
            self._rows = np.roll(self._rows, -passed, axis=0)
            self._rows[STRIP_COLUMNS - passed :] = 0
        self._last = now
        if prediction is not None:
            bridged = before.any() and passed <= MAX_BRIDGED_COLUMNS
            self._rows[-(max(passed, 1) if bridged else 1) :] = prediction.probabilities

    def painted(self, height: int, ground: Pixels) -> Pixels:
        """The strip, uint8 (height, columns, 3): the latest at the right, labels stacked from the top in order."""
        colours = np.array([colour_of(label) for label in self._labels] + [ground.tolist()], np.uint8)
        ends = self._rows.cumsum(axis=1)
        at = (np.arange(height, dtype=np.float32) + 0.5) / height
        # the index after the last label stands for the ground
        places = (at[:, None, None] >= ends[None]).sum(axis=2)
        full = ends[:, -1] > 0 if len(self._labels) else np.zeros(STRIP_COLUMNS, np.bool_)
        places = np.where(full[None], np.minimum(places, max(len(self._labels) - 1, 0)), len(self._labels))
        painted: Pixels = colours[places]
        return painted
