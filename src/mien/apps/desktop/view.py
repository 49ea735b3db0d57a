"""The image in the window: as large as fits, mirrored if wanted, with a box and a word for each face."""

from __future__ import annotations

import tkinter as tk
from tkinter import font
from typing import TYPE_CHECKING, Any

import cv2

from mien.apps.desktop.photo import CanvasImage
from mien.visualization.annotate import UNSURE, caption, colour_of, ink_on
from mien.visualization.avatar.outlines import hex_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.apps.desktop.theme import Palette
    from mien.structures import Box, Frame, Prediction

FACES = "faces"


class ImageView(tk.Canvas):
    """Shows frames and what was read in them.

    Args:
        parent: the widget that it stands in.
        colours: of the window.
        density: pixels of the screen for each that a size here means.
        chosen: called with the number of a face that is clicked on.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float, chosen: Callable[[int], None]) -> None:
        super().__init__(parent, background=colours.stage, highlightthickness=0, takefocus=False)
        self._colours, self._density, self._chosen = colours, density, chosen
        self._image = CanvasImage(self)
        self._words = self.create_text(
            0, 0, fill=colours.dim, justify="center", font=(font.nametofont("TkDefaultFont").actual("family"), 13)
        )
        self._boxes: list[tuple[int, tuple[float, float, float, float]]] = []
        self._placing: tuple[float, Sequence[float], int | None] = (1.0, (0.0, 0.0), None)
        self.bind("<Button-1>", self._clicked)
        self.bind("<Configure>", lambda _: self._centre_words())

    def show(self, frame: Frame, predictions: Sequence[Prediction], *, mirrored: bool, followed: int | None) -> None:
        """Shows a frame.

        Args:
            frame: uint8 (height, width, 3), RGB.
            predictions: of its faces; none leaves boxes out.
            mirrored: right for left, as in a mirror.
            followed: the number of the face whose box is drawn strongest.
        """
        wide, high = max(self.winfo_width(), 2), max(self.winfo_height(), 2)
        scale = min(wide / frame.shape[1], high / frame.shape[0])
        size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
        shown: Any = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        if mirrored:
            shown = cv2.flip(shown, 1)
        corner = (wide - size[0]) // 2, (high - size[1]) // 2
        self._image.paint(shown, *corner)
        self._placing = scale, corner, size[0] if mirrored else None
        self.itemconfigure(self._words, state="hidden")
        self.delete(FACES)
        self._boxes = []
        for one in predictions:
            box = _placed(one.face.box, *self._placing)
            self._draw(one, box, strong=one.track == followed)
            self._boxes.append((one.track or 0, box))

    def frame_faces(self, boxes: Sequence[Box]) -> None:
        """Frames faces without a word of what they show."""
        for box in boxes:
            place = _placed(box, *self._placing)
            self.create_rectangle(*place, outline=self._colours.accent, width=2 * self._density, tags=FACES)

    def tell(self, words: str) -> None:
        """Words in place of an image."""
        self._image.clear()
        self.delete(FACES)
        self._boxes = []
        self.itemconfigure(self._words, text=words, state="normal")
        self._centre_words()

    def _centre_words(self) -> None:
        wide, high = self.winfo_width(), self.winfo_height()
        self.coords(self._words, wide / 2, high / 2)
        self.itemconfigure(self._words, width=max(wide * 0.7, 100))

    def _draw(self, one: Prediction, box: tuple[float, float, float, float], *, strong: bool) -> None:
        ground = UNSURE if one.unsure else colour_of(one.emotion)
        colour = hex_of(ground)
        self.create_rectangle(*box, outline=colour, width=(3 if strong else 1.5) * self._density, tags=FACES)
        text = self.create_text(
            box[0] + 6 * self._density, box[1] - 4 * self._density, anchor="sw", text=caption(one), tags=FACES,
            fill=hex_of(ink_on(ground)), font=("TkDefaultFont", 10, "bold"),
        )  # fmt: skip
        left, top, right, bottom = self.bbox(text)
        pad = 4 * self._density
        plate = self.create_rectangle(
            left - pad, top - pad / 2, right + pad, bottom + pad / 2, fill=colour, width=0, tags=FACES
        )
        self.tag_raise(text, plate)

    def _clicked(self, event: tk.Event[tk.Misc]) -> None:
        for number, (left, top, right, bottom) in self._boxes:
            if left <= event.x <= right and top <= event.y <= bottom:
                self._chosen(number)
                return


def _placed(box: Box, scale: float, corner: Sequence[float], width: int | None) -> tuple[float, float, float, float]:
    """A face's box on the canvas; ``width`` is that of the shown image where it is mirrored."""
    left, right = box.left * scale, box.right * scale
    if width is not None:
        left, right = width - right, width - left
    return left + corner[0], box.top * scale + corner[1], right + corner[0], box.bottom * scale + corner[1]
