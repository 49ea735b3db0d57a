"""The image area of a window: fitted, mirrored if requested, with a box and a label for each face."""

from __future__ import annotations

import tkinter as tk
from tkinter import font
from typing import TYPE_CHECKING

from PIL import Image, ImageTk

from mien.media.resampling import resize
from mien.visualization.annotate import UNSURE_COLOUR, caption, colour_of, text_colour_on
from mien.visualization.avatar.outlines import hex_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.apps.desktop.theme import Palette
    from mien.structures import Box, Frame, Prediction

    Edges = tuple[float, float, float, float]

FACES_TAG = "faces"


class CanvasImage:
    """A frequently changing image on a canvas. Images of the same size share one Tk image: a new one each time leaks.

    Args:
        canvas: the canvas.
        anchor: the point of the image that is placed.
    """

    def __init__(self, canvas: tk.Canvas, anchor: str = "nw") -> None:
        self._canvas = canvas
        self._item = canvas.create_image(0, 0, anchor=anchor)
        self._photo: ImageTk.PhotoImage | None = None

    def paint(self, pixels: npt.NDArray[np.uint8], x: float = 0, y: float = 0) -> None:
        """Show pixels, uint8 (height, width, 3 or 4), at a position of the canvas."""
        image = Image.fromarray(pixels)
        if self._photo is None or (self._photo.width(), self._photo.height()) != image.size:
            self._photo = ImageTk.PhotoImage(image, master=self._canvas)
            self._canvas.itemconfigure(self._item, image=self._photo)
        else:
            self._photo.paste(image)
        self._canvas.coords(self._item, x, y)

    def clear(self) -> None:
        """Remove the image."""
        self._canvas.itemconfigure(self._item, image="")
        self._photo = None


class ImageView(tk.Canvas):
    """Shows frames and their predictions, or a message.

    Args:
        parent: the parent widget.
        colours: of the window.
        density: screen pixels per size unit.
        on_face_click: called with the track number of a clicked face.
    """

    def __init__(self, parent: tk.Misc, colours: Palette, density: float, on_face_click: Callable[[int], None]) -> None:
        super().__init__(parent, background=colours.stage, highlightthickness=0, takefocus=False)
        self._colours, self._density, self._on_face_click = colours, density, on_face_click
        self._image = CanvasImage(self)
        self._message = self.create_text(
            0, 0, fill=colours.dim, justify="center", font=(font.nametofont("TkDefaultFont").actual("family"), 13)
        )
        self._boxes: list[tuple[int, Edges]] = []
        self._placement: tuple[float, Sequence[float], int | None] = (1.0, (0.0, 0.0), None)
        self.bind("<Button-1>", self._clicked)
        self.bind("<Configure>", lambda _: self._centre_message())

    def show(self, frame: Frame, predictions: Sequence[Prediction], *, mirrored: bool, followed: int | None) -> None:
        """Show a frame.

        Args:
            frame: uint8 (height, width, 3), RGB.
            predictions: of the faces to draw boxes for.
            mirrored: flip the image horizontally.
            followed: track number of the face with the thick box.
        """
        width, height = max(self.winfo_width(), 2), max(self.winfo_height(), 2)
        scale = min(width / frame.shape[1], height / frame.shape[0])
        size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
        shown = resize(frame, size)
        if mirrored:
            shown = shown[:, ::-1]
        corner = (width - size[0]) // 2, (height - size[1]) // 2
        self._image.paint(shown, *corner)
        self._placement = scale, corner, size[0] if mirrored else None
        self.itemconfigure(self._message, state="hidden")
        self._clear_faces()
        for prediction in predictions:
            edges = _on_canvas(prediction.face.box, *self._placement)
            self._draw(prediction, edges, thick=prediction.track == followed)
            self._boxes.append((prediction.track or 0, edges))

    def outline_faces(self, boxes: Sequence[Box]) -> None:
        """Draw boxes without labels."""
        for box in boxes:
            edges = _on_canvas(box, *self._placement)
            self.create_rectangle(*edges, outline=self._colours.accent, width=2 * self._density, tags=FACES_TAG)

    def show_message(self, text: str) -> None:
        """Show a message in place of an image."""
        self._image.clear()
        self._clear_faces()
        self.itemconfigure(self._message, text=text, state="normal")
        self._centre_message()

    def _clear_faces(self) -> None:
        self.delete(FACES_TAG)
        self._boxes = []

    def _centre_message(self) -> None:
        width, height = self.winfo_width(), self.winfo_height()
        self.coords(self._message, width / 2, height / 2)
        self.itemconfigure(self._message, width=max(width * 0.7, 100))

    def _draw(self, prediction: Prediction, edges: Edges, *, thick: bool) -> None:
        ground = UNSURE_COLOUR if prediction.unsure else colour_of(prediction.emotion)
        colour = hex_of(ground)
        self.create_rectangle(*edges, outline=colour, width=(3 if thick else 1.5) * self._density, tags=FACES_TAG)
        text = self.create_text(
            edges[0] + 6 * self._density, edges[1] - 4 * self._density, anchor="sw", text=caption(prediction),
            tags=FACES_TAG, fill=hex_of(text_colour_on(ground)), font=("TkDefaultFont", 10, "bold"),
        )  # fmt: skip
        left, top, right, bottom = self.bbox(text)
        pad = 4 * self._density
        plate = self.create_rectangle(
            left - pad, top - pad / 2, right + pad, bottom + pad / 2, fill=colour, width=0, tags=FACES_TAG
        )
        self.tag_raise(text, plate)

    def _clicked(self, event: tk.Event[tk.Misc]) -> None:
        for number, (left, top, right, bottom) in self._boxes:
            if left <= event.x <= right and top <= event.y <= bottom:
                self._on_face_click(number)
                return


def _on_canvas(box: Box, scale: float, corner: Sequence[float], mirrored_width: int | None) -> Edges:
    """A face box in canvas coordinates; ``mirrored_width`` is the width of the shown image if it is mirrored."""
    left, right = box.left * scale, box.right * scale
    if mirrored_width is not None:
        left, right = mirrored_width - right, mirrored_width - left
    return left + corner[0], box.top * scale + corner[1], right + corner[0], box.bottom * scale + corner[1]
