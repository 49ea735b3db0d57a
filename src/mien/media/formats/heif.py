"""HEIC and AVIF, the photos of phones and the web: items in a container of boxes (ISO 23008-12).

Pillow reads AVIF, with libavif; pillow-heif reads HEIC, with libheif. Before one of them sees a file:

* Items of EXIF and XMP are made unknown ones. Pillow would parse EXIF without a limit, and both decoders take the
  orientation from the container, where it belongs.
* The size of each AV1 image is compared with the size that the container states: libavif decodes an image of any size
  and scales it down then. libheif makes this comparison itself.
* An animated AVIF becomes a still one: its frames are in a second structure, which mien does not check.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile, features

from mien.errors import ImageError
from mien.media.header import MAX_PARTS, MAX_PIXELS, Header, orientation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STORED_PIXELS = 50_000_000
"""Width times height of the largest HEIC: iPhones take up to 48.8 million. Above ``MAX_PIXELS`` it is halved."""

STRIP_ROWS = 512
"""Rows of a large HEIC that are halved at a time; even."""

CODED_PER_STATED = 4
"""Pixels coded for each pixel stated: of the image, its transparency, a gain map and thumbnails."""

SMALL_PIXELS = 1 << 20
"""Pixels that may be coded however few are stated: tiles are at least 64 x 64."""

CHECKING_LIBHEIF = (1, 23)
"""The first libheif that compares the size of an image with that of its container before it decodes it."""

_READER_MISSING = (
    "expected an image that Pillow reads; received a HEIC photo, as iPhones take, and pillow-heif 1.4 or later is not "
    "installed: pip install --upgrade pillow-heif"
)
_METADATA = frozenset({b"Exif", b"mime"})
_UNKNOWN = b"none"
_SEQUENCE_HEADER = 1


def open_heic(content: bytes) -> Header:
    """Open a HEIC without decoding it; the first image that it names as the main one.

    Raises:
        ImageError: pillow-heif is not installed.
        ValueError, LookupError, OSError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    try:
        from pillow_heif import HeifImageFile, libheif_version
    except ImportError:
        raise ImageError(_READER_MISSING) from None
    if tuple(map(int, libheif_version().split(".")[:2])) < CHECKING_LIBHEIF:
        raise ImageError(_READER_MISSING)
    essentials, _ = _without_metadata(content)
    image = HeifImageFile(io.BytesIO(essentials))  # type: ignore[no-untyped-call]  # it has no types
    # libheif turns the image upright itself
    if MAX_PIXELS < image.width * image.height <= MAX_STORED_PIXELS:
        return Header(_HalvedHeic(io.BytesIO(essentials)), 1, len(essentials), 2, image.size)
    return Header(image, 1, len(essentials))


class _HalvedHeic(ImageFile.ImageFile):
    """A large HEIC at half its width and height: at its own size it would be in memory twice."""

    format = "HEIC"

    def _open(self) -> None:
        from pillow_heif import open_heif

        self._whole: Any = open_heif(self.fp)
        width, height = self._whole.size
        self._size, self._mode = (-(-width // 2), -(-height // 2)), "RGBA" if self._whole.has_alpha else "RGB"

    def load(self) -> Any:
        if self._whole is not None:
            pixels, halved = np.asarray(self._whole), Image.new(self.mode, self.size)
            for top in range(0, len(pixels), STRIP_ROWS):
                halved.paste(Image.fromarray(pixels[top : top + STRIP_ROWS]).reduce(2), (0, top // 2))
            self._whole, self.im = None, halved.im
        return super().load()


def open_avif(content: bytes) -> Header:
    """Open an AVIF without decoding it.

    Raises:
        ImageError: this Pillow reads no AVIF, or the image is larger than its container states.
        ValueError, LookupError, OSError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    if "avif" not in features.modules or not features.check("avif"):
        raise ImageError("expected an image that this Pillow reads; received an AVIF: pip install --upgrade Pillow")
    from PIL.AvifImagePlugin import AvifImageFile

    essentials, items = _without_metadata(content)
    if essentials[8:12] == b"avis":
        essentials = essentials[:8] + b"avif" + essentials[12:]
    image = AvifImageFile(io.BytesIO(essentials))
    coded = sum(_coded_pixels(item) for item in items)
    if coded > CODED_PER_STATED * image.width * image.height + SMALL_PIXELS:
        raise ImageError(
            f"expected an AVIF of {image.width} x {image.height}, as it states; received {coded:,} coded pixels: "
            "damaged, or a decompression bomb. Save the image anew"
        )
    return Header(image, orientation_of(image.info.get("exif", b"")), len(essentials))


class _Box(NamedTuple):
    """A box: its type, and where its content starts and ends in the file."""

    kind: bytes
    start: int
    end: int


def _boxes(content: bytes, start: int, end: int) -> Iterator[_Box]:
    for _ in range(MAX_PARTS):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", content, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, body)
            body += 8
        stop = start + size if size else end
        if not body <= stop <= end:
            raise ValueError(f"the box {kind!r} reaches beyond its place")
        yield _Box(kind, body, stop)
        start = stop
    raise ValueError(f"more than {MAX_PARTS} boxes")


def _without_metadata(content: bytes) -> tuple[bytes, list[bytes]]:
    """The file with its EXIF and XMP made unknown, and the bytes of its AV1 images."""
    # boxes behind it don't count: phones append what is none
    meta = next((box for box in _boxes(content, 0, len(content)) if box.kind == b"meta"), None)
    if meta is None:
        raise ValueError("no list of images in it")
    parts = {box.kind: box for box in _boxes(content, meta.start + 4, meta.end)}
    essentials, coded = bytearray(content), set()
    for number, kind, at in _items(content, parts[b"iinf"]):
        if kind in _METADATA:
            essentials[at : at + 4] = _UNKNOWN
        elif kind == b"av01":
            coded.add(number)
    places = _places(content, parts[b"iloc"], parts.get(b"idat")) if coded else {}
    return bytes(essentials), [places[number] for number in coded]


def _items(content: bytes, box: _Box) -> Iterator[tuple[int, bytes, int]]:
    """Number and type of each item, and where the type is written."""
    start = box.start + (6 if content[box.start] == 0 else 8)
    for entry in _boxes(content, start, box.end):
        form = ">H" if content[entry.start] == 2 else ">I"
        (number,) = struct.unpack_from(form, content, entry.start + 4)
        at = entry.start + 4 + struct.calcsize(form) + 2
        yield number, content[at : at + 4], at


def _places(content: bytes, box: _Box, inner: _Box | None) -> dict[int, bytes]:
    """The bytes of each item, from the file or from a box of data next to the list."""
    fields = _Fields(content, box.start)
    version = fields.take(1)
    fields.take(3)
    sizes, more_sizes = fields.take(1), fields.take(1)
    found: dict[int, bytes] = {}
    for _ in range(fields.take(2 if version < 2 else 4)):
        number = fields.take(2 if version < 2 else 4)
        inside = bool(version and fields.take(2) & 15)
        fields.take(2)
        base, pieces = fields.take(more_sizes >> 4), []
        for _ in range(fields.take(2)):
            fields.take(more_sizes & 15 if version else 0)
            start, length = base + fields.take(sizes >> 4), fields.take(sizes & 15)
            if inside:
                start += inner.start if inner else 0
            pieces.append(content[start : start + length] if length else content[start:])
            if len(pieces) > MAX_PARTS or len(found) > MAX_PARTS:
                raise ValueError(f"more than {MAX_PARTS} places")
        found[number] = b"".join(pieces)
    return found


class _Fields:
    """Whole numbers, one after another.

    Args:
        content: bytes.
        at: where the first number starts.
    """

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at

    def take(self, size: int) -> int:
        """The next number of so many bytes; 0 where it has none."""
        self._at += size
        if self._at > len(self._content):
            raise ValueError("the list of places ends too early")
        return int.from_bytes(self._content[self._at - size : self._at], "big")


def _coded_pixels(av1: bytes) -> int:
    """Width times height of the largest frame that an AV1 stream announces."""
    largest = at = 0
    while at < len(av1):
        head = av1[at]
        at += 2 if head & 4 else 1
        length, shift = 0, 0
        if head & 2:
            while True:
                byte = av1[at]
                length |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128 or shift > 56:
                    break
        else:
            length = len(av1) - at
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            largest = max(largest, _largest_frame(av1[at : at + length]))
        at += length
    return largest


def _largest_frame(header: bytes) -> int:
    """Width times height in a sequence header (AV1 specification, 5.5)."""
    bits, left = int.from_bytes(header[:200], "big"), 8 * len(header[:200])

    def take(count: int) -> int:
        nonlocal left
        left -= count
        if left < 0:
            raise ValueError("its header ends too early")
        return bits >> left & (1 << count) - 1

    take(4)  # profile, still image
    if take(1):  # a reduced header
        take(5)
    else:
        if take(1):
            raise ValueError("the times of a video in its header")
        delays = take(1)
        for _ in range(take(5) + 1):
            take(12)
            if take(5) > 7:
                take(1)
            if delays and take(1):
                take(4)
    width_bits, height_bits = take(4) + 1, take(4) + 1
    return (take(width_bits) + 1) * (take(height_bits) + 1)
