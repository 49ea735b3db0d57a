"""An image's header, read before any pixel is decoded, and the limits that it has to keep."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import ImageFile

MAX_PIXELS = 40_000_000
"""Width times height of the largest image decoded: 160 MB in Pillow's four bytes a pixel."""

MAX_PARTS = 16_384
"""Segments, chunks or blocks that a file may have; 134 MB of PNG in libpng's 8 KB chunks."""


_OTHER_BYTE: Mapping[str, str] = MappingProxyType(
    {
        "RGB;16B": "RGB;16L",
        "RGB;16L": "RGB;16B",
        "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    }
)
"""Pillow's raw modes of 16-bit colour, which keep the upper byte, and those that keep the lower byte of the same."""


@dataclass(frozen=True, slots=True)
class Header:
    """An image file whose header was read and whose pixels were not.

    Attributes:
        image: Pillow's image, not loaded yet, without metadata that Pillow would unpack.
        orientation: 1 to 8, EXIF's tag 274; 1 where none is given.
        pixel_bytes: bytes of the file that describe pixels: without profiles, comments and thumbnails.
        scale: by how much width and height are divided while the image is decoded; 1 unless it is very large.
        full_size: width and height before that, as stored; None where it is the same.
        cut_rows: where a JPEG has no end mark, the rows that are coded together: its decoder paints missing ones grey;
            0 where nothing is missing.
        opaque: whether an alpha channel, if there is one, has no meaning.
        white: the value of white where the format states another one than 255 or 65,535.
        lower: Pillow's image of the lower 8 bits of 16-bit colour, of which ``image`` has the upper 8; not loaded.
    """

    image: ImageFile.ImageFile
    orientation: int
    pixel_bytes: int
    scale: int = 1
    full_size: tuple[int, int] | None = None
    cut_rows: int = 0
    opaque: bool = False
    white: int | None = None
    lower: ImageFile.ImageFile | None = None

    @property
    def width(self) -> int:
        """Pixels that will be decoded, as stored (before the orientation is applied)."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels that will be decoded, as stored."""
        return self.image.height


def orientation_of(exif: bytes) -> int:
    """Tag 274 of an EXIF or TIFF block, 1 to 8; 1 where it is absent or damaged: the pixels are good all the same."""
    try:
        order, tags = directory_of(exif.removeprefix(b"Exif\0\0"))
        value = number_in(order, tags[274])
    except (LookupError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def directory_of(tiff: bytes) -> tuple[str, dict[int, bytes]]:
    """Byte order and the 12-byte entries of the first directory, by tag (TIFF 6.0, section 2)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[tiff[:4]]
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, at)
    if at + 2 + 12 * count > len(tiff):
        raise struct.error("the directory reaches beyond the file")
    entries = [tiff[start : start + 12] for start in range(at + 2, at + 2 + 12 * count, 12)]
    return order, {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}


def number_in(order: str, entry: bytes) -> int:
    """The value of an entry that holds one whole number."""
    (kind,) = struct.unpack_from(order + "H", entry, 2)
    number: int = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], entry, 8)[0]
    return number


def lower_bytes(image: ImageFile.ImageFile) -> ImageFile.ImageFile | None:
    """Make an open image of 16-bit colour decode the lower 8 bits in place of the upper; None for any other image."""
    arguments = [(tile.args,) if isinstance(tile.args, str) else tile.args or ("",) for tile in image.tile]
    if image.mode != "RGB" or "transparency" in image.info or not all(mode in _OTHER_BYTE for mode, *_ in arguments):
        return None
    image.tile = [
        tile._replace(args=(_OTHER_BYTE[mode], *more))
        for tile, (mode, *more) in zip(image.tile, arguments, strict=True)
    ]
    return image
