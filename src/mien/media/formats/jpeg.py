"""JPEG: segments that no pixel needs are left out, and a large photo is decoded at 1/2, 1/4 or 1/8 of its size.

EXIF and MPF directories are parsed by Pillow on opening, where 64 KB of overlapping tags cost hundreds of MB or print
thousands of warnings, depending on Pillow's version. Segments, the scans of a progressive file, and bytes between them
have no limit there.
"""

from __future__ import annotations

import io
import re
import struct
from typing import NamedTuple

from PIL import JpegImagePlugin

from mien.errors import ImageError
from mien.media.header import MAX_PARTS, MAX_PIXELS, Header, orientation_of

MAX_SCANS = 64
"""Scans of a progressive JPEG; encoders write about 10, a bomb thousands."""

MAX_STORED_PIXELS = 250_000_000
"""Width times height of the largest JPEG that is decoded at a part of its size; phones take up to 200 million."""

MAX_COEFFICIENT_BYTES = 240_000_000
"""Memory for the coefficients of a progressive JPEG, which are all decoded first: 80 million pixels of 4:2:0."""

MAX_BYTES_PER_PIXEL, SPARE_BYTES = 32, 1_000_000
"""Bytes that scans may have: of the finest quality and four colours they have 10 a pixel."""

_END = b"\xff\xd9"
_SCAN = 0xDA
_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")
"""What ends the bytes of a scan: any marker but those of restarts, which are a part of it."""

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})
"""Frames whose pixels can be decoded from top to bottom; the others need memory for all coefficients first."""


def open_jpeg(content: bytes) -> Header:
    """Open a JPEG without decoding it.

    Raises:
        ImageError: it claims too much, or lacks scans at its end.
        ValueError, LookupError, OSError, SyntaxError, struct.error: the header is damaged or cut short.
    """
    kept, exif, frame, at = [content[:2]], b"", b"", 2
    for _ in range(MAX_PARTS):
        at = content.index(b"\xff", at)
        marker = content[at + 1]
        if marker == _SCAN:  # compressed pixels follow
            return _opened(kept, exif, frame, _scans_of(content, at, _limit(frame)))
        if marker in {0x00, 0x01, 0xFF} or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        part, at = content[at : at + 2 + length], at + 2 + length
        if marker in _FRAME_MARKERS:
            frame = part
        if marker == 0xE1 and not exif and part[4:10] == b"Exif\0\0":
            exif = part[10:]
        if _is_needed(marker):
            kept.append(part)
    raise ValueError(f"more than {MAX_PARTS} segments")


def _is_needed(marker: int) -> bool:
    """Whether pixels need such a segment: JFIF and Adobe name the colours, the others hold comments and metadata."""
    return marker in {0xE0, 0xEE} or not (0xE0 <= marker <= 0xEF or marker == 0xFE)


class _Scans(NamedTuple):
    """What follows the header of a JPEG.

    Attributes:
        content: without what no pixel needs, and without what follows the end mark, such as a phone's video.
        headers: of each scan, without its marker and length.
    """

    content: bytes
    headers: list[bytes]


def _limit(frame: bytes) -> int:
    """Bytes that the scans of an image of this size may have."""
    height, width = struct.unpack_from(">HH", frame, 5)
    return SPARE_BYTES + MAX_BYTES_PER_PIXEL * int(height) * int(width)


def _scans_of(content: bytes, at: int, limit: int) -> _Scans:
    """The scans, the first of which begins at ``at``; they may be cut short anywhere."""
    kept: list[bytes] = []
    headers: list[bytes] = []
    stop, in_scan = min(at + limit, len(content)), False
    for _ in range(MAX_PARTS):
        found = _MARKER.search(content, at, stop)
        if in_scan:  # a decoder skips bytes between other segments
            kept.append(content[at : found.start() if found else stop])
        if found is None:
            break
        start, marker = found.start(), found[0][1]
        if found[0] == _END:
            return _Scans(b"".join([*kept, _END]), headers)
        at = min(start + 2 + max(2, int.from_bytes(content[start + 2 : start + 4])), len(content))
        in_scan = marker == _SCAN
        if in_scan:
            headers.append(content[start + 4 : at])
            if len(headers) > MAX_SCANS:
                raise ImageError(
                    f"expected a JPEG of at most {MAX_SCANS} scans; received more: damaged, or made to keep a "
                    "decoder busy. Save the image anew"
                )
        if _is_needed(marker):
            kept.append(content[start:at])
    else:
        raise ValueError(f"more than {MAX_PARTS} segments")
    if stop < len(content):
        raise ValueError(f"more than {limit:,} bytes for its pixels")
    return _Scans(b"".join(kept), headers)


def _opened(kept: list[bytes], exif: bytes, frame: bytes, scans: _Scans) -> Header:
    top_down = frame[1] in _SEQUENTIAL and scans.content[4] == frame[9]  # all components in one scan
    cut = _END not in scans.content
    if cut and not top_down:
        _check_all_scans_begin(scans.headers, frame[9])
    essentials = b"".join([*kept, scans.content, *([_END] if cut else [])])
    # the class, not Image.open, which would parse the directory of a phone's second image
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(essentials))
    size = image.size
    scale = _reduce(image, MAX_STORED_PIXELS if top_down else _largest_progressive(frame))
    full_size = size if scale > 1 else None
    cut_rows = 8 * max(sampling & 15 for sampling in frame[11::3]) // scale if cut else 0
    return Header(image, orientation_of(exif), len(essentials), scale, full_size, cut_rows)


def _largest_progressive(frame: bytes) -> int:
    """Width times height at which the coefficients of all components, two bytes each, take the memory allowed."""
    shares = [(sampling >> 4) * (sampling & 15) for sampling in frame[11::3]]
    return MAX_COEFFICIENT_BYTES * max(shares) // (2 * sum(shares))


def _reduce(image: JpegImagePlugin.JpegImageFile, limit: int) -> int:
    """Make libjpeg decode a part of a large photo's frequencies; by how much width and height shrink."""
    width, height = image.size
    if width * height <= MAX_PIXELS:
        return 1
    if width * height > limit:
        kind = "JPEG" if limit == MAX_STORED_PIXELS else "progressive JPEG"
        raise ImageError(
            f"expected at most {limit:,} pixels in such a {kind}; received {width} x {height}. Save the image smaller"
        )
    scale = next(part for part in (2, 4, 8) if -(-width // part) * -(-height // part) <= MAX_PIXELS)
    image.draft(image.mode, (width // scale, height // scale))
    return scale


def _check_all_scans_begin(headers: list[bytes], components: int) -> None:
    """Refuse a JPEG cut before its last scan: whole frequencies or colours are missing.

    A scan's header names components, a range of frequencies of 0 to 63, and the bits that are still to come.
    """
    complete = set()
    for header in headers:
        names = header[1 : 1 + 2 * header[0] : 2]
        first, last, bits = header[1 + 2 * header[0] :][:3]
        if bits & 15 == 0:
            complete |= {(name, frequency) for name in names for frequency in range(first, min(last, 63) + 1)}
    if len(complete) < 64 * components:
        raise ValueError("its last scans are missing")
