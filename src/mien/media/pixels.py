"""From an open image to its pixels: uint8 RGB from any of Pillow's modes, and what was lost or altered on the way.

An image is converted strip by strip: the steps between take four times the memory of what they convert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mien.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.media.header import Header
    from mien.structures import Frame

STRIP_PIXELS = 1 << 18
"""Pixels converted at a time."""

CAMERA_BITS = (8, 10, 12, 16)
"""Depths that are stored in 16 bits. 14 is not among them: its images are a quarter as bright, which is still seen."""

MISSING_GREY = 128
"""The value that libjpeg gives all components of pixels whose bytes are missing."""

MAX_MISSING = 0.02
"""Share of a JPEG's pixels that may be missing at its end: more, and a face could be among them."""


def decode(header: Header) -> tuple[Frame, tuple[str, ...]]:
    """Decode an image to an upright RGB frame.

    Returns:
        uint8 (height, width, 3), RGB, writable, and a sentence for each thing that was lost or altered.

    Raises:
        ImageError: floating-point pixels, or whole numbers that are no grey of 16 bits.
        ValueError: a part of the image is missing.
        Exception: whatever a decoder raises where the file is damaged.
    """
    with header.image as image:
        image.load()
        missing = _missing_share(image, header.cut_rows) if header.cut_rows else 0.0
        if missing > MAX_MISSING:
            raise ValueError(f"{missing:.0%} of the pixels are missing at the end")
        bits, lower = _depth_of(header)
        frame = np.empty((image.height, image.width, 3), np.uint8)
        for area in _strips(image):
            strip, rows = image.crop(area), frame[area[1] : area[3]]
            if lower is not None:
                deep = np.asarray(strip).astype(np.uint16) << 8 | np.asarray(lower.crop(area))
                rows[:] = _to_8_bits(deep, bits, header.white)
            elif header.white is not None:
                rows[:] = _to_8_bits(np.asarray(strip), bits, header.white)
            else:
                rows[:] = to_rgb(_opaque(strip) if header.opaque else strip, bits)
    return upright(frame, header.orientation), tuple(_warnings(header, missing, bits))


def _warnings(header: Header, missing: float, bits: int) -> Iterator[str]:
    if header.full_size is not None:
        width, height = header.full_size
        yield (
            f"the image of {width} x {height} pixels was decoded at 1/{header.scale} of its "
            "width and height; boxes are in pixels of the file"
        )
    if header.cut_rows:
        lost = f"{missing:.1%} of the pixels are missing there" if missing else "no pixel is missing"
        yield f"the file has no end mark, so it may have been cut short; {lost}"
    if bits < 16 and header.white is None:
        yield depth_warning(bits)


def depth_warning(bits: int) -> str:
    """The warning for an image of 16 bits that was read as one of fewer."""
    return (
        f"the brightest of its 16-bit pixels needs {bits} bits, as many cameras have: read as an image of {bits} bits"
    )


def to_rgb(image: Image.Image, bits: int = 16) -> Frame:
    """Convert a loaded image of any of Pillow's modes to uint8 (height, width, 3), RGB.

    Transparent pixels are blended with white, CMYK is converted without a profile.

    Args:
        image: loaded.
        bits: that grey of more than 8 bits uses; the upper 8 of them are kept.

    Raises:
        ImageError: floating-point pixels, or whole numbers that are no grey of 16 bits.
    """
    if image.mode.startswith("I"):
        return _to_8_bits(_grey_of(image), bits)
    if image.mode == "F":
        raise ImageError(
            "expected pixels of 8 or 16 bits; received floating point, which has no agreed white. Scale the values "
            "to 0 to 255 and save the image as 8-bit PNG"
        )
    if image.has_transparency_data:
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def bits_of(image: Image.Image) -> int:
    """The depth that the brightest of a grey image's pixels needs: 8, 10, 12 or 16 bits; 16 for any other image.

    Cameras of 10 and 12 bits store them in the lower part of 16, so the upper 8 bits are black or nearly so. A dark
    image of 16 bits is brightened by the same factor for all pixels at most, and never beyond white.
    """
    if not image.mode.startswith("I"):
        return 16
    return _camera_bits(max(int(_grey_of(image.crop(area)).max()) for area in _strips(image)))


def _camera_bits(brightest: int) -> int:
    return next(bits for bits in CAMERA_BITS if brightest < 1 << bits)


def _depth_of(header: Header) -> tuple[int, Image.Image | None]:
    """The bits that the pixels need, and the image of the lower 8 bits of 16-bit colour where they are needed."""
    image, lower = header.image, header.lower
    if lower is None:
        return 16 if header.white is not None else bits_of(image), None
    brightest = max(int(np.asarray(image.crop(area)).max()) for area in _strips(image))
    bits = _camera_bits(brightest << 8 | 255)
    if bits == 16 and header.white is None:
        return bits, None
    lower.load()
    if brightest == 0:
        bits = _camera_bits(max(int(np.asarray(lower.crop(area)).max()) for area in _strips(lower)))
    return bits, lower


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Areas of whole rows, from top to bottom: left, top, right, bottom."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _grey_of(image: Image.Image) -> np.ndarray[Any, Any]:
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 65_535:
        raise ImageError(
            f"expected pixels of 8 or 16 bits; received values from {grey.min()} to {grey.max()}. "
            "Scale them to 0 to 255 and save the image as 8-bit PNG"
        )
    return grey


def _to_8_bits(values: np.ndarray[Any, Any], bits: int, white: int | None = None) -> Frame:
    """Grey (height, width) or colour (height, width, 3) of more than 8 bits, or of another white, as RGB."""
    upper = values >> (bits - 8) if white is None else np.minimum(values.astype(np.uint32) * 255 // white, 255)
    rgb = upper.astype(np.uint8)
    return rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2)


def _opaque(image: Image.Image) -> Image.Image:
    """Without its alpha channel."""
    return image.convert({"RGBA": "RGB", "LA": "L"}.get(image.mode, image.mode))


def _missing_share(image: Image.Image, cut_rows: int) -> float:
    """The share of a cut JPEG's pixels that its decoder painted grey, from the end backwards, 0 to 1.

    Of rows that are coded together the last one decides: into the others colour is smoothed from above.
    """
    missing = 0
    for top in reversed(range(0, image.height, cut_rows)):
        bottom = min(top + cut_rows, image.height)
        row = np.asarray(image.crop((0, bottom - 1, image.width, bottom))).reshape(image.width, -1)
        seen = (row != MISSING_GREY).any(axis=1)[::-1]
        columns = int(seen.argmax()) if seen.any() else image.width
        missing += columns * (bottom - top)
        if columns < image.width:
            break
    return missing / (image.width * image.height)


def upright(frame: Frame, orientation: int) -> Frame:
    """Undo the rotation and mirroring of EXIF's orientation 1 to 8 (CIPA DC-008, tag 274)."""
    if orientation >= 5:
        frame = frame.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        frame = frame[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        frame = frame[::-1]
    return np.ascontiguousarray(frame)
