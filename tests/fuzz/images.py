"""Fuzzes the image reader with mutated files, in a process of its own so that its memory can be measured.

Run in tests as ``python -m fuzz.images COUNT [SEED]``: writes how they ended as one JSON object.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import re
import resource
import struct
import sys
import time
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, features

from mien.errors import ImageError
from mien.media.image import read

TEMPTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF, 0x8000, 0x7FFFFFFF, 0xFFFFFFFF, 6000, 6320, 16383, 65500)


def seeds() -> list[bytes]:
    """Small images in the forms that files come in."""
    face = Image.fromarray(skimage.data.astronaut()[:256, 64:320]).resize((96, 96))
    clear = face.copy()
    clear.putalpha(face.convert("L"))
    exif = Image.Exif()
    exif[274] = 6
    forms = [
        (face, "JPEG", {}),
        (face, "JPEG", {"progressive": True, "exif": exif}),
        (face.convert("L"), "JPEG", {"quality": 30}),
        (face.convert("CMYK"), "JPEG", {}),
        (face, "PNG", {"exif": exif}),
        (clear, "PNG", {}),
        (face.convert("P"), "PNG", {"transparency": 3}),
        (face.convert("I;16"), "PNG", {}),
        (face.convert("1"), "PNG", {}),
        (face, "WEBP", {"exif": exif}),
        (clear, "WEBP", {"lossless": True}),
        (face, "WEBP", {"save_all": True, "append_images": [face.rotate(9)]}),
        (face, "BMP", {}),
        (face.convert("P"), "BMP", {}),
        (face.convert("1"), "BMP", {}),
        (face, "GIF", {}),
        (face, "GIF", {"save_all": True, "append_images": [face.rotate(9)], "comment": b"hello", "transparency": 1}),
        (face, "TIFF", {}),
        (face, "TIFF", {"compression": "tiff_lzw", "exif": exif}),
        (clear, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (face, "TGA", {}),
        (face, "TGA", {"compression": "tga_rle"}),
        (face, "PPM", {}),
    ]
    if features.check("avif"):
        forms += [(face, "AVIF", {"exif": exif}), (clear, "AVIF", {})]
    grey = np.asarray(face.convert("L")).astype(">u2") * 4
    more = [b"P5\n96 96\n1023\n" + grey.tobytes(), b"P3 4 4 1023\n" + b"7 300 1023 " * 16]
    if find_spec("pillow_heif"):
        more += [heic(face), heic(face.resize((300, 200)), tile_size=64), heic(clear)]
    return [encoded(*form) for form in forms] + more


def heic(image: Image.Image, **options: object) -> bytes:
    from pillow_heif import from_pillow

    target = io.BytesIO()
    from_pillow(image).save(target, **options)
    return target.getvalue()


def encoded(image: Image.Image, name: str, options: dict) -> bytes:
    target = io.BytesIO()
    image.save(target, name, **options)
    return target.getvalue()


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """One of six kinds of damage; a PNG's checksums are put right half the time, or nothing else would be tried."""
    damaged = bytearray(content)
    kind = random.integers(6)
    start = int(random.integers(len(damaged)))
    early = int(random.integers(min(len(damaged) - 8, 120)))
    if kind == 0:
        del damaged[start:]
    elif kind == 1:
        for place in random.integers(len(damaged), size=random.integers(1, 20)):
            damaged[place] ^= 1 << int(random.integers(8))
    elif kind == 2:
        for place in random.integers(min(len(damaged), 200), size=random.integers(1, 4)):
            damaged[place] = int(random.integers(256))
    elif kind == 3:
        form = ("<", ">")[random.integers(2)] + ("H", "I")[random.integers(2)]
        value = TEMPTING[random.integers(len(TEMPTING))] & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
        struct.pack_into(form, damaged, early, value)
    elif kind == 4:
        piece = damaged[start : start + int(random.integers(1, 400))]
        place = int(random.integers(len(damaged)))
        damaged[place:place] = piece * int(random.integers(1, 4))
    else:
        del damaged[start : start + int(random.integers(1, 100))]
    return with_checksums(bytes(damaged)) if random.integers(2) else bytes(damaged)


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have right checksums again; other files as they are."""
    if not png.startswith(b"\x89PNG"):
        return png
    fixed, at = bytearray(png), 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if at + 12 + length > len(png):
            break
        struct.pack_into(">I", fixed, at + 8 + length, zlib.crc32(png[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(fixed)


def fault_of(content: bytes) -> str:
    """How reading ended: valid, refused, or the name of what should not have happened."""
    try:
        frame = read(content)
    except ImageError:
        return "refused"
    except BaseException as escaped:  # noqa: BLE001 - what escapes is what is looked for
        return f"{type(escaped).__name__}: {escaped}"
    good = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and frame.size > 0
    return "valid" if good else f"{frame.dtype} {frame.shape}"


def peak_memory(*, anew: bool = False) -> float:
    """The most memory this process held, MB; ``anew`` forgets earlier peaks where the system can.

    Linux passes a parent's peak on in ru_maxrss, so there the process's own high-water mark is read.
    """
    own = Path("/proc/self/status")
    if not own.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    if anew:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s*(\d+) kB", own.read_text())[1]) / 1e3


def main(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    originals = seeds()
    ends = collections.Counter(fault_of(original) for original in originals)
    if set(ends) != {"valid"}:
        raise SystemExit(f"the images to mutate must be readable: {ends}")
    ends.clear()
    baseline = peak_memory(anew=True)
    worst = 0.0
    for number in range(count):
        content = mutated(originals[number % len(originals)], random)
        before = time.process_time()
        ends[fault_of(content)] += 1
        worst = max(worst, time.process_time() - before)
    json.dump({"ends": ends, "worst_ms": worst * 1000, "memory_mb": peak_memory() - baseline}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
