"""An image on a Tk canvas that changes often: painted over where its size stays, since a new one each time leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageTk

if TYPE_CHECKING:
    import tkinter as tk

    import numpy as np
    import numpy.typing as npt


class CanvasImage:
    """An image on a canvas.

    Args:
        canvas: that it lies on.
        anchor: which of its points lies where it is put.
    """

    def __init__(self, canvas: tk.Canvas, anchor: str = "nw") -> None:
        self._canvas = canvas
        self._item = canvas.create_image(0, 0, anchor=anchor)
        self._photo: ImageTk.PhotoImage | None = None

    def paint(self, pixels: npt.NDArray[np.uint8], x: float = 0, y: float = 0) -> None:
        """Shows pixels, uint8 (height, width, 3 or 4), at a place of the canvas."""
        image = Image.fromarray(pixels)
        if self._photo is None or (self._photo.width(), self._photo.height()) != image.size:
            self._photo = ImageTk.PhotoImage(image, master=self._canvas)
            self._canvas.itemconfigure(self._item, image=self._photo)
        else:
            self._photo.paste(image)
        self._canvas.coords(self._item, x, y)

    def clear(self) -> None:
        """Shows nothing."""
        self._canvas.itemconfigure(self._item, image="")
        self._photo = None
