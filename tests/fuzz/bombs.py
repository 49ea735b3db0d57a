"""Files of a few bytes that claim, unpack or repeat far more.

Run in tests as ``python -m fuzz.bombs FOLDER``: reads each file there, writes what each cost as one JSON object.
"""

from __future__ import annotations

import json
import struct
import sys
import time
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, features

from fuzz.images import encoded, fault_of, heic, peak_memory, with_checksums

GREY = Image.new("RGB", (64, 64), (90, 120, 150))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def blank_png(side: int, *, bits: int = 1) -> bytes:
    """A whole, valid image: black, one bit a pixel."""
    row = bytes(1 + side * bits // 8)
    header = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    pixels = zlib.compress(row * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_with(*chunks: bytes) -> bytes:
    """The small image with further chunks behind its header."""
    png = encoded(GREY, "PNG", {})
    return png[:33] + b"".join(chunks) + png[33:]


def forged(content: bytes, at: int, form: str, *values: int) -> bytes:
    damaged = bytearray(content)
    struct.pack_into(form, damaged, at, *values)
    return with_checksums(bytes(damaged))


def jpeg_sized(width: int, height: int) -> bytes:
    jpeg = encoded(GREY, "JPEG", {})
    return forged(jpeg, jpeg.index(b"\xff\xc0") + 5, ">HH", height, width)


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last pass: each is a few bytes and a walk over all coefficients."""
    blank = Image.new("RGB", (1900, 1090))
    jpeg = encoded(blank, "JPEG", {"progressive": True})
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * count + jpeg[-2:]


def jpeg_of_segments(*, cut: bool) -> bytes:
    """A progressive JPEG with empty comments behind its first scan."""
    jpeg = encoded(GREY, "JPEG", {"progressive": True})
    second = jpeg.index(b"\xff\xc4", jpeg.index(b"\xff\xda"))
    bomb = jpeg[:second] + b"\xff\xfe\0\x02" * 1_000_000 + jpeg[second:]
    return bomb[:-2] if cut else bomb


def jpeg_filled(filling: bytes) -> bytes:
    """A JPEG with bytes in front of its end mark, which a decoder skips one by one."""
    jpeg = encoded(GREY, "JPEG", {})
    return jpeg[:-2] + filling + jpeg[-2:]


def gif_with(screen: tuple[int, int], frame: tuple[int, int], blocks: int = 0) -> bytes:
    comment = b"!\xfe" + b"\x01x" * blocks + b"\0"
    body = struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6) + comment
    return b"GIF89a" + body + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def webp_canvas(side: int) -> bytes:
    still = encoded(GREY, "WEBP", {"lossless": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"})
    return still[:24] + (side - 1).to_bytes(3, "little") * 2 + still[30:]


def bmp_of_runs() -> bytes:
    """Each four bytes skip 255 rows of a very wide image."""
    header = struct.pack("<IiiHHIIiiII", 40, 2_000_000, 1, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + header + bytes(1024) + b"\0\x02\xff\xff" * 20


def tiff_of(entries: list[tuple[int, int, int, int]], body: bytes = b"") -> bytes:
    """Little-endian; entries are tag, type, count, value."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + bytes(4)


def tiff_plain(*more: tuple[int, int, int, int], width: int = 8, height: int = 8) -> bytes:
    size = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    place = [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64)]
    return tiff_of(sorted([*size, *place, *more]), bytes(64))


def tiff_of_tile(side: int) -> bytes:
    """An image of 64 x 64 in one tile that is unpacked whole."""
    body = zlib.compress(bytes(side * side), 9)
    size = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    return tiff_of([*size, (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, len(body))], body)


def exif_of_overlaps() -> bytes:
    """5,000 tags that each claim the same 50,000 bytes."""
    tags = [(1000 + number, 7, 50_000, 8) for number in range(5_000)]
    return b"Exif\0\0" + tiff_of(tags)


def stating(container: bytes, width: int, height: int) -> bytes:
    """A HEIC or AVIF whose container states another size than is coded."""
    lie, at = bytearray(container), 0
    while (at := lie.find(b"ispe", at)) >= 0:
        struct.pack_into(">II", lie, at + 8, width, height)
        at += 4
    return bytes(lie)


def tga_sized(width: int, height: int) -> bytes:
    runs = encoded(GREY, "TGA", {"compression": "tga_rle"})
    return forged(runs, 12, "<HH", width, height)


def avif_refused() -> dict[str, bytes]:
    """Where Pillow has AVIF."""
    blank = encoded(Image.new("RGB", (8192, 8192)), "AVIF", {"quality": 30, "speed": 10})
    return {
        "avif of 8,192 x 8,192": blank,
        "avif of 8,192 x 8,192 that states 64": stating(blank, 64, 64),
        "avif that states 16,384": stating(encoded(GREY, "AVIF", {}), 16_384, 16_384),
    }


def heic_refused() -> dict[str, bytes]:
    """Where pillow-heif is installed."""
    blank = heic(Image.new("RGB", (8192, 8192)), quality=10)
    return {
        "heic of 8,192 x 8,192": blank,
        "heic of 8,192 x 8,192 that states 64": stating(blank, 64, 64),
        "heic that states 65,535": stating(heic(GREY), 65_535, 65_535),
        "heic that states 1,900 x 1,000": stating(heic(GREY), 1_900, 1_000),
    }


@cache  # they take seconds to make
def refused() -> dict[str, bytes]:
    """Fifteen files, and more, that no one should try to decode."""
    return {
        "png of 30,000 x 30,000": blank_png(30_000),
        "png below the cap, 6,000 x 6,000 in 5 KB": blank_png(6_000),
        "png of 2 to the 31": forged(encoded(GREY, "PNG", {}), 16, ">II", 0x7FFFFFFF, 0x7FFFFFFF),
        "png of 20,000 chunks": png_with(*[chunk(b"IDAT", b"")] * 20_000),
        "jpeg of 65,500 x 65,500": jpeg_sized(65_500, 65_500),
        "jpeg of 20,000 segments": b"\xff\xd8" + b"\xff\xfe\0\x02" * 20_000 + encoded(GREY, "JPEG", {})[2:],
        "jpeg of 3,000 scans": jpeg_of_scans(3_000),
        "jpeg of a million segments behind its scan": jpeg_of_segments(cut=False),
        "jpeg cut behind a million segments": jpeg_of_segments(cut=True),
        "jpeg of 64 x 64 and 10 MB of filling": jpeg_filled(b"\xff" * 10_000_000),
        "gif on a screen of 65,535": gif_with((65_535, 65_535), (1, 1)),
        "gif of a frame beyond its screen": gif_with((1, 1), (65_535, 65_535)),
        "gif of 20,000 blocks of comment": gif_with((1, 1), (1, 1), 20_000),
        "webp on a canvas of 16,777,216": webp_canvas(1 << 24),
        "webp of one colour, 16,000 x 16,000": forged(encoded(GREY, "WEBP", {"lossless": True}), 21, "<I", 0xF9F3E7F),
        "bmp of 30,000 x 30,000": forged(encoded(GREY, "BMP", {}), 18, "<ii", 30_000, -30_000),
        "bmp of runs": bmp_of_runs(),
        "tiff of 2 to the 31": tiff_plain(width=0x7FFFFFFF, height=0x7FFFFFFF),
        "tiff of a tile of 12,000 x 12,000": tiff_of_tile(12_000),
        "tiff of a billion strips": tiff_plain((324, 4, 1_000_000_000, 8)),
        "jpeg of 16,000 x 15,000, at a quarter": jpeg_sized(16_000, 15_000),
        "tga of 65,535 x 65,535": tga_sized(65_535, 65_535),
        "tga of 6,000 x 6,000": tga_sized(6_000, 6_000),
        "ppm of a billion squared": b"P6\n1000000000 1000000000\n255\n" + bytes(100),
        "pgm of text": b"P2\n6000 6000\n255\n" + b"1 " * 500_000,
        **(avif_refused() if features.check("avif") else {}),
        **(heic_refused() if find_spec("pillow_heif") else {}),
    }


@cache
def harmless() -> dict[str, bytes]:
    """Small images with a bomb in what mien never unpacks."""
    megabyte, profile = zlib.compress(bytes(1_000_000), 9), zlib.compress(bytes(100_000_000), 1)
    loop = bytearray(tiff_plain())
    loop[-4:] = loop[4:8]
    return {
        "png with 60 MB of text": png_with(*[chunk(b"zTXt", b"%d\0\0" % n + megabyte) for n in range(60)]),
        "png with a profile of 100 MB": png_with(chunk(b"iCCP", b"x\0\0" + profile)),
        "png with a billion frames": png_with(chunk(b"acTL", struct.pack(">II", 1_000_000_000, 0))),
        "png with exif of overlaps": encoded(GREY, "PNG", {"exif": exif_of_overlaps()}),
        "webp with exif of overlaps": encoded(GREY, "WEBP", {"exif": exif_of_overlaps()}),
        "tiff whose pages are a loop": bytes(loop),
        **({"avif with exif of overlaps": avif_of_overlaps()} if features.check("avif") else {}),
        "tiff with tags of overlaps": tiff_plain(*[(40_000 + n, 7, 5_000, 8) for n in range(5_000)]),
    }


def avif_of_overlaps() -> bytes:
    """An AVIF with such an EXIF, put in after Pillow, which would read it, wrote the file."""
    bomb = exif_of_overlaps()[6:]
    plain = b"II*\0\x08" + bytes(9) + b"x" * (len(bomb) - 14)
    return encoded(GREY, "AVIF", {"exif": plain}).replace(plain, bomb)


def main(folder: Path) -> None:
    fault_of(encoded(GREY, "TIFF", {"compression": "tiff_lzw"}))
    costs = {}
    for path in sorted(folder.iterdir()):
        content, baseline = path.read_bytes(), peak_memory(anew=True)
        start = time.process_time()
        end = fault_of(content)
        costs[path.name] = {
            "end": end,
            "ms": (time.process_time() - start) * 1000,
            "memory_mb": peak_memory() - baseline,
        }
    json.dump(costs, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
