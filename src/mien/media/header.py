"""An image's header, checked before any pixel is decoded.

Pillow opens a file lazily: it reads the header, and its size and mode can be checked before ``load()``. That is
enough for WebP and BMP. Of the other formats Pillow's header readers do more than that, so the parts that no pixel
needs are removed first, by the smallest code that keeps mien's limits on time and memory:

* JPEG: EXIF and MPF directories are parsed on opening, where 64 KB of overlapping tags cost hundreds of MB or print
  thousands of warnings, depending on Pillow's version. Segments and the scans of a progressive file have no limit.
* PNG: text is unpacked, up to 64 MB, and a large colour profile makes the image unreadable. Chunks have no limit.
* GIF: comments are joined block by block without a limit, and a large frame on a small screen prints a warning.
* TIFF: all tags are read, however many values they claim, and tiles are unpacked whole.

The orientation is read from EXIF here as well, since Pillow reads all tags to find one.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from mien.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PIL import ImageFile

MAX_PIXELS = 40_000_000
"""Width times height of the largest image read: 160 MB in Pillow's four bytes a pixel."""

MAX_PARTS = 16_384
"""Segments, chunks or blocks that a file may have; 134 MB of PNG in libpng's 8 KB chunks."""

MAX_SCANS = 64
"""Scans of a progressive JPEG; encoders write about 10, a bomb thousands."""

MAX_TILE_PIXELS = 4_000_000
"""Pixels in a tile of a TIFF: it is unpacked whole, however small the image."""

_SIGNATURES = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("WEBP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("BMP", re.compile(rb"BM")),
    ("TIFF", re.compile(rb"II\*\0|MM\0\*")),
)

_FOREIGN_SIGNATURES = (
    ("a HEIC or AVIF photo", re.compile(rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1|avif|avis)", re.DOTALL)),
    ("a video", re.compile(rb"....(ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xba\xb3]", re.DOTALL)),
    ("a PostScript (EPS) file", re.compile(rb"%!PS|\xc5\xd0\xd3\xc6")),
    ("a PDF", re.compile(rb"%PDF")),
    ("a Photoshop (PSD) file", re.compile(rb"8BPS")),
    ("a FITS file", re.compile(rb"SIMPLE  =")),
    ("a ZIP archive (or an office document)", re.compile(rb"PK[\x03\x05\x07]")),
    ("an SVG drawing", re.compile(rb"[^\0]{0,400}?<svg", re.IGNORECASE)),
    ("a web page", re.compile(rb"[^\0]{0,200}?<(!doctype html|html|head|body)", re.IGNORECASE)),
    ("a JPEG XL or JPEG 2000 file", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL |\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    ("a BigTIFF file", re.compile(rb"II\+\0|MM\0\+")),
    ("a Windows icon", re.compile(rb"\0\0[\x01\x02]\0")),
    ("a gzip archive", re.compile(rb"\x1f\x8b")),
    ("a model in Keras's HDF5 form", re.compile(rb"\x89HDF")),
    ("text", re.compile(rb"[\t\n\r\x20-\x7e]{16,}")),
)


@dataclass(frozen=True, slots=True)
class Header:
    """An image file whose header was read and whose pixels were not.

    Attributes:
        image: Pillow's image, not loaded yet, without metadata that Pillow would unpack.
        orientation: 1 to 8, EXIF's tag 274; 1 where none is given.
        pixel_bytes: bytes of the file that describe pixels: without profiles, comments and thumbnails.
    """

    image: ImageFile.ImageFile
    orientation: int
    pixel_bytes: int

    @property
    def width(self) -> int:
        """Pixels, as stored (before the orientation is applied)."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels, as stored."""
        return self.image.height


def read_header(content: bytes) -> Header:
    """Open an encoded image without decoding it.

    Args:
        content: a whole JPEG, PNG, WebP, BMP, GIF or TIFF file.

    Raises:
        ImageError: another format, or a header that claims too much.
        ValueError, LookupError, OSError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    for name, signature in _SIGNATURES:
        if signature.match(content):
            return _OPENERS[name](content)
    kinds = (kind for kind, signature in _FOREIGN_SIGNATURES if signature.match(content[:512]))
    raise ImageError(
        f"expected a JPEG, PNG, WebP, BMP, GIF or TIFF; received {next(kinds, 'bytes of an unknown kind')}. "
        "Save the image as JPEG or PNG"
    )


def _open_jpeg(content: bytes) -> Header:
    kept, exif, at = [content[:2]], b"", 2
    for _ in range(MAX_PARTS):
        at = content.index(b"\xff", at)
        marker = content[at + 1]
        if marker == 0xDA:  # start of scan: compressed pixels follow
            _check_scans(content, at)
            essentials = b"".join([*kept, content[at:]])
            # the class, not Image.open, which would parse the directory of a phone's second image
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(essentials))
            return Header(image, _orientation(exif), len(essentials))
        if marker in {0x00, 0x01, 0xFF} or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        part, at = content[at : at + 2 + length], at + 2 + length
        if marker == 0xE1 and not exif and part[4:10] == b"Exif\0\0":
            exif = part[10:]
        if marker in {0xE0, 0xEE} or not (0xE0 <= marker <= 0xEF or marker == 0xFE):  # JFIF and Adobe name the colours
            kept.append(part)
    raise ValueError(f"more than {MAX_PARTS} segments")


def _check_scans(content: bytes, at: int) -> None:
    """Count the scans of a JPEG; bytes after the image's end (a phone's clip) don't count."""
    if content.count(b"\xff\xda", at) <= MAX_SCANS:
        return
    scans = 0
    marker = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")
    while (found := marker.search(content, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        if scans > MAX_SCANS:
            raise ImageError(
                f"expected a JPEG of at most {MAX_SCANS} scans; received more: damaged, or made to keep a "
                "decoder busy. Save the image anew"
            )
        at = found.end() + max(2, struct.unpack_from(">H", content, found.end())[0])


def _open_png(content: bytes) -> Header:
    kept, exif, at = [content[:8]], b"", 8
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", content, at)
        part, at = content[at : at + 12 + length], at + 12 + length
        if at > len(content):
            raise ValueError("the file ends too early")
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            kept.append(part)
        elif kind == b"eXIf":
            exif = part[8:-4]
        if kind == b"IEND":
            essentials = b"".join(kept)
            return Header(PngImagePlugin.PngImageFile(io.BytesIO(essentials)), _orientation(exif), len(essentials))
    raise ValueError(f"more than {MAX_PARTS} chunks")


def _open_webp(content: bytes) -> Header:
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(content))
    metadata = sum(len(value) for value in image.info.values() if isinstance(value, bytes))
    return Header(image, _orientation(image.info.get("exif", b"")), len(content) - metadata)


def _open_bmp(content: bytes) -> Header:
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(content))
    if image.info["compression"] in {image.COMPRESSIONS["RLE8"], image.COMPRESSIONS["RLE4"]}:
        raise ImageError(
            "expected a BMP of plain pixels; received a run-length encoded one, a form of the 1990s whose few "
            "bytes can claim any size. Save the image as PNG"
        )
    return Header(image, 1, len(content))


def _open_gif(content: bytes) -> Header:
    flags = content[10]
    at = start = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    control = b""
    for _ in range(MAX_PARTS):
        if content[at] == 0x2C:  # the first frame; the screen grows to hold it
            left, top, width, height = struct.unpack_from("<HHHH", content, at + 1)
            if (left + width) * (top + height) > MAX_PIXELS:
                raise ImageError(
                    f"expected at most {MAX_PIXELS:,} pixels; received a frame of {width} x {height}. "
                    "Save the image smaller"
                )
            essentials = b"".join([content[:start], control, content[at:]])
            return Header(GifImagePlugin.GifImageFile(io.BytesIO(essentials)), 1, len(essentials))
        if content[at] != 0x21:
            raise ValueError("no frame in it")
        kind, end = content[at + 1], _end_of_blocks(content, at + 2)
        if kind == 0xF9:
            control = content[at:end]
        at = end
    raise ValueError(f"more than {MAX_PARTS} blocks")


def _end_of_blocks(content: bytes, at: int) -> int:
    """The first byte behind a GIF's chain of blocks: each a length and that many bytes, the last of length 0."""
    for _ in range(MAX_PARTS):
        length = content[at]
        at += 1 + length
        if length == 0:
            return at
    raise ValueError(f"more than {MAX_PARTS} blocks")


_SCALAR_TAGS = frozenset({256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323})
_ARRAY_TAGS = frozenset({258, 273, 279, 320, 324, 325, 338, 339})
_TYPE_SIZES: Mapping[int, int] = MappingProxyType({1: 1, 3: 2, 4: 4})
_PLAIN, _LZW, _DEFLATE, _OLD_DEFLATE, _PACKBITS = 1, 5, 8, 32946, 32773


def _open_tiff(content: bytes) -> Header:
    order, tags = _directory(content)
    kept = {tag: tags[tag] for tag in sorted(tags.keys() & (_SCALAR_TAGS | _ARRAY_TAGS))}
    for tag, entry in kept.items():
        kind, count, at = struct.unpack_from(order + "HII", entry, 2)
        size = _TYPE_SIZES[kind] * count
        if (size > 4 and at + size > len(content)) or (tag in _SCALAR_TAGS and count != 1):
            raise ValueError(f"tag {tag} has {count} values")
        if tag in {273, 279, 324, 325} and count > MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS} strips or tiles")
    value = {tag: _number(order, entry) for tag, entry in kept.items() if tag in _SCALAR_TAGS}
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
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(essentials))
    return Header(image, _orientation(content), len(essentials))


_OPENERS: Mapping[str, Callable[[bytes], Header]] = MappingProxyType(
    {
        "JPEG": _open_jpeg,
        "PNG": _open_png,
        "WEBP": _open_webp,
        "GIF": _open_gif,
        "BMP": _open_bmp,
        "TIFF": _open_tiff,
    }
)


def _orientation(exif: bytes) -> int:
    """Tag 274 of an EXIF or TIFF block, 1 where it is absent or damaged: the pixels are good all the same."""
    try:
        order, tags = _directory(exif.removeprefix(b"Exif\0\0"))
        value = _number(order, tags[274])
    except (LookupError, struct.error):
        return 1
    return value if 1 <= value <= 8 else 1


def _directory(tiff: bytes) -> tuple[str, dict[int, bytes]]:
    """Byte order and the 12-byte entries of the first directory, by tag (TIFF 6.0, section 2)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}[tiff[:4]]
    (at,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, at)
    if at + 2 + 12 * count > len(tiff):
        raise struct.error("the directory reaches beyond the file")
    entries = [tiff[start : start + 12] for start in range(at + 2, at + 2 + 12 * count, 12)]
    return order, {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}


def _number(order: str, entry: bytes) -> int:
    """The value of an entry that holds one whole number."""
    (kind,) = struct.unpack_from(order + "H", entry, 2)
    number: int = struct.unpack_from(order + {1: "B", 3: "H", 4: "I"}[kind], entry, 8)[0]
    return number
