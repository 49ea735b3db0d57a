"""What stands beside the image: the avatar, a bar for each expression, and the strip of the last half minute."""

from __future__ import annotations

import tkinter as tk
from tkinter import font
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.apps.desktop.photo import CanvasImage
from mien.visualization.annotate import colour_of
from mien.visualization.avatar.outlines import hex_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.apps.desktop.theme import Palette
    from mien.structures import Prediction
    from mien.visualization.avatar.styles import AvatarKind

    Colours = npt.NDArray[np.uint8]

SECONDS = 30.0
"""What the strip shows."""

COLUMNS = 300
"""Of the strip: one for each tenth of a second."""


SEEN = 0.005
"""The least change of a probability for which the avatar is painted anew."""

BRIDGED = 5
"""Columns between two readings that are filled: slow reading is no gap."""


class AvatarPanel(tk.Canvas):
    """The avatar of one face.

    Args:
        parent: the widget that it stands in.
        colours: of the window.
        side: in pixels.
        kind: what the avatar looks like.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, side: int, kind: AvatarKind) -> None:
        super().__init__(parent, width=side, height=side, background=colours.ground, highlightthickness=0)
        self._kind = kind
        self._image = CanvasImage(self, "center")
        self._last: tuple[int, tuple[str, ...], npt.NDArray[np.float64]] | None = None

    def show(self, labels: Sequence[str], probabilities: Sequence[float]) -> None:
        """Shows the avatar of these probabilities, unless it would look the same."""
        side = max(min(self.winfo_width(), self.winfo_height()), 16)
        wanted = side, tuple(labels), np.array(probabilities)
        if self._same(*wanted):
            return
        self._last = wanted
        painted = self._kind.image(labels, probabilities, side)
        self._image.paint(painted, self.winfo_width() / 2, self.winfo_height() / 2)

    def _same(self, side: int, labels: tuple[str, ...], probabilities: npt.NDArray[np.float64]) -> bool:
        if self._last is None or self._last[:2] != (side, labels):
            return False
        return bool(np.abs(self._last[2] - probabilities).max() < SEEN)


class BarsPanel(tk.Canvas):
    """A bar for each expression.

    Args:
        parent: the widget that it stands in.
        colours: of the window.
        density: pixels of the screen for each that a size here means.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float) -> None:
        self._row, self._colours, self._density = round(24 * density), colours, density
        super().__init__(parent, height=7 * self._row, background=colours.ground, highlightthickness=0)
        self._labels: tuple[str, ...] = ()
        self._items: list[tuple[int, int, int]] = []

    def show(self, labels: Sequence[str], probabilities: Sequence[float]) -> None:
        """Shows these probabilities."""
        if tuple(labels) != self._labels:
            self._begin(tuple(labels))
        left, right = self._reach
        for row, (items, probability) in enumerate(zip(self._items, probabilities, strict=True)):
            ground, bar, text = items
            top = (row + 0.28) * self._row
            self.coords(ground, left, top, right, top + 0.44 * self._row)
            self.coords(bar, left, top, left + (right - left) * probability, top + 0.44 * self._row)
            self.coords(text, right + 6 * self._density, (row + 0.5) * self._row)
            self.itemconfigure(text, text=f"{100 * probability:.0f} %")

    @property
    def _reach(self) -> tuple[float, float]:
        return 84 * self._density, max(self.winfo_width() - 48 * self._density, 90 * self._density)

    def _begin(self, labels: tuple[str, ...]) -> None:
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
    """The probabilities of one face over the last half minute, stacked; empty where no face was.

    Args:
        parent: the widget that it stands in.
        colours: of the window.
        height: in pixels.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, height: int) -> None:
        super().__init__(parent, height=height, background=colours.panel, highlightthickness=0)
        self._ground = np.array([round(part / 257) for part in self.winfo_rgb(colours.panel)], np.uint8)
        self._image = CanvasImage(self)
        self.history = History()

    def redraw(self) -> None:
        """Paints the strip anew."""
        size = max(self.winfo_width(), 2), max(self.winfo_height(), 2)
        painted = cv2.resize(self.history.painted(size[1], self._ground), size, interpolation=cv2.INTER_NEAREST)
        self._image.paint(np.asarray(painted, np.uint8))


class History:
    """The probabilities of the last half minute, one row for each tenth of a second."""

    def __init__(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._rows = np.zeros((COLUMNS, 0), np.float32)
        self._last = 0

    def add(self, prediction: Prediction | None, seconds: float) -> None:
        """Takes what a face shows at a time; None, or a time before the last, leaves the place empty."""
        if prediction is not None and prediction.labels != self._labels:
            self._labels = prediction.labels
            self._rows = np.zeros((COLUMNS, len(self._labels)), np.float32)
        now = int(seconds * COLUMNS / SECONDS)
        passed = COLUMNS if now < self._last else min(now - self._last, COLUMNS)
        before = self._rows[-1].copy()
        if passed:
            self._rows = np.roll(self._rows, -passed, axis=0)
            self._rows[COLUMNS - passed :] = 0
        self._last = now
        if prediction is not None:
            # between two readings not far apart the face was there
            self._rows[-(max(passed, 1) if before.any() and passed <= BRIDGED else 1) :] = prediction.probabilities

    def painted(self, height: int, ground: Colours) -> Colours:
        """The strip, uint8 (height, columns, 3): the newest at the right, expressions from the top in their order."""
        colours = np.array([colour_of(label) for label in self._labels] + [ground.tolist()], np.uint8)
        ends = self._rows.cumsum(axis=1)
        at = (np.arange(height, dtype=np.float32) + 0.5) / height
        # after the last label comes the ground, where no face was
        places = (at[:, None, None] >= ends[None]).sum(axis=2)
        full = ends[:, -1] > 0 if len(self._labels) else np.zeros(COLUMNS, np.bool_)
        places = np.where(full[None], np.minimum(places, max(len(self._labels) - 1, 0)), len(self._labels))
        painted: Colours = colours[places]
        return painted
