"""TIFF: a directory of its own, since Pillow reads all tags, however many values they claim."""

from __future__ import annotations

import ctypes
import io
import struct
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import TiffImagePlugin, _imaging

from mien.errors import ImageError
from mien.media.header import MAX_PARTS, Header, directory_of, lower_bytes, number_in, orientation_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TILE_PIXELS = 4_000_000
"""Pixels in a tile of a TIFF: it is unpacked whole, however small the image."""

_SCALAR_TAGS = frozenset({254, 256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323})
_ARRAY_TAGS = frozenset({258, 273, 279, 320, 324, 325, 338, 339})
_TYPE_SIZES: Mapping[int, int] = MappingProxyType({1: 1, 3: 2, 4: 4})
_PLAIN, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773


def open_tiff(content: bytes) -> Header:
    """Open a TIFF without decoding it.

    Raises:
        ImageError: a compression that is not read, or the preview that a raw photo begins with.
        ValueError, LookupError, OSError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    _silence_libtiff()
    order, tags = directory_of(content)
    kept = {tag: tags[tag] for tag in sorted(tags.keys() & (_SCALAR_TAGS | _ARRAY_TAGS))}
    for tag, entry in kept.items():
        kind, count, at = struct.unpack_from(order + "HII", entry, 2)
        size = _TYPE_SIZES[kind] * count
        if (size > 4 and at + size > len(content)) or (tag in _SCALAR_TAGS and count != 1):
            raise ValueError(f"tag {tag} has {count} values")
        if tag in {273, 279, 324, 325} and count > MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS} strips or tiles")
    value = {tag: number_in(order, entry) for tag, entry in kept.items() if tag in _SCALAR_TAGS}
    if value.get(254, 0) & 1:
        raise ImageError(
            "expected a TIFF whose first image is the whole one; received a reduced copy first, as in raw photos of "
            "cameras (NEF, ARW, DNG). Save the photo as JPEG"
        )
    if value.get(259, _PLAIN) not in {_PLAIN, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS}:
        raise ImageError(
            f"expected a TIFF that is plain, LZW, Deflate or PackBits; received compression {value[259]}. "
            "Save the image as PNG"
        )
    if value.get(277, 1) > 6 or not kept.keys() & {273, 324}:
        raise ValueError("no strips or tiles, or more than 6 samples a pixel")
    if value.get(322, 1) * value.get(323, 1) > MAX_TILE_PIXELS:
        raise ValueError(f"tiles of more than {MAX_TILE_PIXELS} pixels")
    # a directory of its own at the end, so that further pages, thumbnails and private tags are out of reach
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept.values()) + bytes(4)
    essentials = content[:4] + struct.pack(order + "I", len(content)) + content[8:] + directory
    image, again = (TiffImagePlugin.TiffImageFile(io.BytesIO(essentials)) for _ in range(2))
    return Header(image, orientation_of(content), len(essentials), lower=lower_bytes(again))


@cache
def _silence_libtiff() -> None:
    """Keep Pillow's libtiff from printing on stderr what is wrong with a file: the error is raised as well."""
    with suppress(AttributeError, OSError):  # no such names where Pillow holds libtiff within itself
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
