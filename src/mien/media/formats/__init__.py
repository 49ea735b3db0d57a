"""The image formats that are read, each opened by the smallest code that keeps mien's limits on time and memory.

Pillow opens a file lazily: it reads the header, and its size and mode can be checked before ``load()``. Of most formats
Pillow's header readers do more than that, so the parts that no pixel needs are removed first.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.errors import ImageError
from mien.media.file_kind import format_of
from mien.media.formats.heif import open_avif, open_heic
from mien.media.formats.jpeg import open_jpeg
from mien.media.formats.raster import open_bmp, open_gif, open_png, open_pnm, open_tga, open_webp
from mien.media.formats.tiff import open_tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mien.media.header import Header

OPENERS: Mapping[str, Callable[[bytes], Header]] = MappingProxyType(
    {
        "JPEG": open_jpeg,
        "PNG": open_png,
        "WEBP": open_webp,
        "BMP": open_bmp,
        "GIF": open_gif,
        "TIFF": open_tiff,
        "AVIF": open_avif,
        "HEIC": open_heic,
        "TGA": open_tga,
        "PNM": open_pnm,
    }
)
"""What opens each format, by its name in ``mien.media.file_kind``. Cameras, phones, screenshots, the web and the data
sets of this field write these (JAFFE is TIFF); every further format is another decoder to trust."""


def read_header(content: bytes) -> Header:
    """Open an encoded image without decoding it.

    Args:
        content: a whole file of one of the formats in ``OPENERS``.

    Raises:
        ImageError: another format, or a header that claims too much.
        MissingExtraError: a HEIC, and pillow-heif is not installed.
        ValueError, LookupError, OSError, RuntimeError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    found = format_of(content)
    if found is None or found.name not in OPENERS:
        received = found.description if found else "bytes of an unknown kind"
        remedy = "Save the image as JPEG or PNG"
        if found and found.kind == "video":
            remedy = "Videos are for Recognizer.stream, mien predict and the server's /v1/video"
        raise ImageError(f"expected a JPEG, PNG or another image; received {received}. {remedy}")
    return OPENERS[found.name](content)
