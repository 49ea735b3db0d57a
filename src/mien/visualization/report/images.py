"""Images inside a page: PNG as data, so that no file stands beside it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.errors import ImageError
from mien.structures import describe
from mien.visualization.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable


def image(pixels: npt.NDArray[Any], words: str, width: int | None = None) -> Markup:
    """An image, in the page itself.

    Args:
        pixels: uint8 (height, width), (height, width, 1) or (height, width, 3) in RGB order.
        words: what it shows, for those who can't see it.
        width: CSS pixels across; None: as the image's own.

    Raises:
        ImageError: the array is anything else.
    """
    height, across = _checked(pixels).shape[:2]
    shown = across if width is None else width
    return tag("img", src=png_data(pixels), alt=words, width=shown, height=max(1, round(height * shown / across)))


def png_data(pixels: npt.NDArray[Any]) -> str:
    """The data URI of a PNG, of pixels as ``image`` takes them."""
    target = io.BytesIO()
    Image.fromarray(_checked(pixels)).save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def captioned(shown: Markup, *lines: object) -> Markup:
    """An image or plot with lines of text under it."""
    return tag("figure", shown, tag("figcaption", *(tag("span", line) for line in lines)))


def gallery(shown: Iterable[Markup]) -> Markup:
    """Captioned images in rows that fill the page's width."""
    return tag("div", *shown, class_="gallery")


def _checked(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    shaped = flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] == 3)
    if flat.dtype != np.uint8 or not shaped or 0 in flat.shape:
        raise ImageError(
            "expected an image as uint8 (height, width), or with a third axis of 1 or 3 (RGB); "
            f"received {describe(pixels)}"
        )
    return np.ascontiguousarray(flat)
