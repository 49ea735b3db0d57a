"""PNG, WebP, BMP, GIF, TGA and PNM: opened without the parts that no pixel needs and that have no limit in Pillow.

Each function raises ImageError where a header claims too much, and ValueError, LookupError, OSError, SyntaxError or
struct.error where it is damaged or cut short.
"""

from __future__ import annotations

import io
import struct

from PIL import BmpImagePlugin, GifImagePlugin, PngImagePlugin, PpmImagePlugin, TgaImagePlugin, WebPImagePlugin

from mien.errors import ImageError
from mien.media.header import MAX_PARTS, MAX_PIXELS, Header, lower_bytes, orientation_of

MAX_WEBP_PIXELS = 24_000_000
"""Pixels of a WebP: libwebp's decoder takes 16 bytes for each, three times as much as the others."""

MAX_PLAIN_PIXELS = 2_000_000
"""Pixels of a PNM whose numbers are text: Pillow reads them one by one, a second for a million."""


def open_png(content: bytes) -> Header:
    """Open a PNG without text, profiles and animation frames: Pillow unpacks up to 64 MB of text."""
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
            image, again = (PngImagePlugin.PngImageFile(io.BytesIO(essentials)) for _ in range(2))
            return Header(image, orientation_of(exif), len(essentials), lower=lower_bytes(again))
    raise ValueError(f"more than {MAX_PARTS} chunks")


def open_webp(content: bytes) -> Header:
    """Open a WebP; its header is read by libwebp alone."""
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(content))
    if image.width * image.height > MAX_WEBP_PIXELS:
        raise ImageError(
            f"expected at most {MAX_WEBP_PIXELS:,} pixels in a WebP; received {image.width} x {image.height}. Save the "
            "image as JPEG, or smaller"
        )
    metadata = sum(len(value) for value in image.info.values() if isinstance(value, bytes))
    return Header(image, orientation_of(image.info.get("exif", b"")), len(content) - metadata)


def open_bmp(content: bytes) -> Header:
    """Open a BMP of plain pixels."""
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(content))
    if image.info["compression"] in {image.COMPRESSIONS["RLE8"], image.COMPRESSIONS["RLE4"]}:
        raise ImageError(
            "expected a BMP of plain pixels; received a run-length encoded one, a form of the 1990s whose few "
            "bytes can claim any size. Save the image as PNG"
        )
    return Header(image, 1, len(content))


def open_gif(content: bytes) -> Header:
    """Open a GIF at its first frame.

    Comments are left out: Pillow joins them block by block without a limit, and prints a warning about a large frame
    on a small screen.
    """
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


def open_tga(content: bytes) -> Header:
    """Open a TGA, the format of old renderers and games."""
    image = TgaImagePlugin.TgaImageFile(io.BytesIO(content))
    if not image.tile:
        raise ImageError(
            f"expected a TGA of 8, 16, 24 or 32 bits a pixel; received {content[16]} bits. Save the image as PNG"
        )
    return Header(image, 1, len(content), opaque=content[17] & 15 == 0)  # no bits of alpha, whatever is stored there


def open_pnm(content: bytes) -> Header:
    """Open a PBM, PGM or PPM file.

    Where white is not 255 or 65,535, Pillow scales each pixel in Python. Its raw decoder is used instead: white is
    known, and the pixels are scaled all at once.
    """
    image, again = (PpmImagePlugin.PpmImageFile(io.BytesIO(content)) for _ in range(2))
    tile = image.tile[0]
    if tile.codec_name == "ppm_plain":
        if image.width * image.height > MAX_PLAIN_PIXELS:
            raise ImageError(
                f"expected at most {MAX_PLAIN_PIXELS:,} pixels written as text; received {image.width} x "
                f"{image.height}. Save the image as PNG"
            )
        return Header(image, 1, len(content))
    if tile.codec_name != "ppm":
        return Header(image, 1, len(content))
    white = int(tile.args[1])  # type: ignore[index]  # the codec "ppm" has a raw mode and the value of white
    rawmode = image.mode if white < 256 else {"I": "I;16B", "RGB": "RGB;16B"}[image.mode]
    image.tile = again.tile = [tile._replace(codec_name="raw", args=rawmode)]
    return Header(image, 1, len(content), white=None if white == 65_535 else white, lower=lower_bytes(again))
