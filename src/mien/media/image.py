"""Reads and writes images: every image that mien decodes passes through ``read``.

Pillow is the only decoder. OpenCV's would take gigabytes for a forged header, and two decoders would give two
sets of pixels. The header is checked before anything is decoded (``mien.media.header``), so a file of a few bytes
can't claim gigabytes. Every decoder error becomes an ``ImageError``. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image

from mien.errors import ImageError, UsageError
from mien.media.files import write_bytes
from mien.media.header import MAX_PIXELS, Header, read_header
from mien.structures import Frame, check_frame, describe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats of cameras, screenshots, the web and the data sets of this field (JAFFE is TIFF). Every further format is
another decoder to trust, so AVIF and HEIC, which not every Pillow has, are refused by name."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""Suffixes of the files that ``find_images`` takes from a folder, in lower case."""

MAX_BYTES = 200_000_000
"""Size of the largest file read: 40 million pixels of uncompressed RGB are 120 MB."""

MAX_PIXELS_PER_BYTE = 500
"""Deflate reaches 344 on a blank RGB page; a photo has 2 to 100. More is blank or a bomb: there is no face in it."""

UNCHECKED_PIXELS = 1920 * 1080
"""Pixels that a file of any size may have: a blank screenshot does no harm."""

STRIP_PIXELS = 1 << 18
"""Pixels converted at a time."""

JPEG_QUALITY = 92

_SAVING: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {"quality": JPEG_QUALITY}),
    "jpeg": ("JPEG", {"quality": JPEG_QUALITY}),
    "webp": ("WEBP", {"quality": JPEG_QUALITY}),
}

# Pillow's plugins parse with struct and slices, so a damaged file can raise almost anything.
# KeyboardInterrupt and the like pass.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def read(source: str | os.PathLike[str] | bytes | bytearray | memoryview | Frame) -> Frame:
    """Decode an image to an upright RGB frame.

    The EXIF orientation is applied. Animations give their first frame, transparent pixels are blended with white,
    16-bit grey keeps its upper 8 bits, and CMYK is converted without a profile.

    Args:
        source: a path, the bytes of an encoded image, or a frame, which is checked and returned.

    Returns:
        uint8 (height, width, 3), RGB, writable.

    Raises:
        ImageError: there is no image, or it is of an unknown format, damaged, cut short or too large.

    Example:
        >>> import numpy as np
        >>> from mien.media.image import encode, read
        >>> png = encode(np.zeros((240, 320, 3), np.uint8), "png")
        >>> read(png).shape
        (240, 320, 3)
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_encoded(_content(Path(source)), f"'{os.fspath(source)}'")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_encoded(bytes(source), f"the {memoryview(source).nbytes} bytes given")
    if isinstance(source, np.ndarray):
        return check_frame(source)
    raise ImageError(f"expected a path, the bytes of an image or a numpy array; received {describe(source)}")


def from_pillow(image: Image.Image) -> Frame:
    """Convert a Pillow image to an upright RGB frame, by the rules of ``read``.

    Args:
        image: of any mode; left as it is.

    Returns:
        uint8 (height, width, 3), RGB, writable.

    Raises:
        ImageError: it is damaged, empty, too large, or has floating-point pixels.
    """
    name = f"the Pillow image of {image.width} x {image.height}"
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS:,} pixels. Resize it")
    try:
        frame = np.array(_to_rgb(image))
        return _upright(frame, image.getexif().get(ExifTags.Base.Orientation, 1))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: expected a whole image; received one that can't be decoded ({str(error) or type(error).__name__})"
        ) from error


def find_images(paths: Iterable[Path], suffixes: Collection[str] = IMAGE_SUFFIXES) -> Iterator[Path]:
    """Find image files: files are yielded as given, folders are searched recursively, in natural order.

    Hidden files and folders are skipped, links are followed, and each folder is walked once. A path that can't be
    opened (a missing file, a locked folder) is yielded too, so that ``read`` reports what is wrong with it.

    Args:
        paths: files and folders; names are taken literally, not as patterns.
        suffixes: of the files to take from folders, in lower case.

    Yields:
        Paths below the given ones; in a folder only those with one of the suffixes.
    """
    walked: set[tuple[int, int]] = set()
    for path in paths:
        waiting = [path]
        while waiting:
            here = waiting.pop()
            folder = _folder_identity(here)
            if folder is None:
                yield here
            elif folder not in walked:
                walked.add(folder)
                try:
                    waiting += sorted(_visible(here, suffixes), key=_natural_key, reverse=True)
                except OSError:
                    yield here


def write(path: str | os.PathLike[str], frame: Frame, software: str = "") -> None:
    """Write a frame to an image file, which is replaced as a whole or not at all.

    Args:
        path: the suffix (.png, .jpg, .jpeg, .webp) selects the format.
        frame: uint8 (height, width, 3), RGB.
        software: EXIF's name of the program that made the image; empty: none is written.

    Raises:
        UsageError: another suffix.
        ImageError: the frame is no RGB image, or too large for the format.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from mien.media.image import read, write
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "grey.png"
        ...     write(path, np.full((4, 6, 3), 128, np.uint8))
        ...     read(path).mean()
        np.float64(128.0)
    """
    path = Path(path)
    write_bytes(path, encode(frame, path.suffix, software))


def encode(frame: Frame, format: str, software: str = "") -> bytes:  # noqa: A002 - as Pillow names it
    """Encode a frame as the bytes of an image file.

    Args:
        frame: uint8 (height, width, 3), RGB.
        format: png, jpg (jpeg) or webp, in any case, with or without a dot.
        software: EXIF's name of the program that made the image; empty: none is written.

    Raises:
        UsageError: another format.
        ImageError: the frame is no RGB image, or too large for the format.
    """
    suffix = format.lower().lstrip(".")
    if suffix not in _SAVING:
        raise UsageError(f"expected the format {', '.join(_SAVING)}; received '{format}'. Name the file .png or .jpg")
    name, options = _SAVING[suffix]
    target = io.BytesIO()
    checked = check_frame(frame)
    if software:
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = software
        options = {**options, "exif": exif}
    try:
        Image.fromarray(checked).save(target, name, **options)
    except (OSError, ValueError) as error:
        raise ImageError(f"expected a frame that fits {name}; received {describe(frame)} ({error})") from error
    return target.getvalue()


def _content(path: Path) -> bytes:
    """The bytes of a file, read through one handle that a pipe or a device can't block."""
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            state = os.fstat(file.fileno())
            _check_file(state)
            return file.read(state.st_size)
    except ImageError as error:
        raise ImageError(f"'{path}': {error}") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"'{path}': {_reason_unreadable(path, error)}") from error


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _reason_unreadable(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file. Check the name and the folder"
    if isinstance(error, IsADirectoryError) or (isinstance(error, PermissionError) and _folder_identity(path)):
        return "expected an image; received a folder. Name a file in it; if it is locked, unlock it first"
    if isinstance(error, PermissionError):
        return "no permission to read it. Check its owner and its rights"
    return f"can't be read ({error}). Check the name and the disk"


def _check_file(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise ImageError("expected a file; received a pipe or device. Save the image as a file first")
    _check_file_size(state.st_size)


def _check_file_size(size: int) -> None:
    if size == 0:
        raise ImageError("expected an image; received an empty file. Copy or download it again")
    if size > MAX_BYTES:
        raise ImageError(f"expected at most {MAX_BYTES:,} bytes; received {size:,}. Save the image smaller")


def _read_encoded(content: bytes, name: str) -> Frame:
    """Decode bytes; whatever is wrong with them becomes one error that names them."""
    try:
        _check_file_size(len(content))
        header = read_header(content)
        _check_size(header)
        return _decode(header)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: expected a whole image; received one that is damaged or cut short "
            f"({str(error) or type(error).__name__}). Copy or download it again"
        ) from error


def _check_size(header: Header) -> None:
    pixels = header.width * header.height
    shape = f"{header.width} x {header.height}"
    if header.width <= 0 or header.height <= 0:
        raise ImageError(f"expected an image of at least 1 x 1 pixels; received {shape}. Copy or download it again")
    if pixels > MAX_PIXELS:
        raise ImageError(f"expected at most {MAX_PIXELS:,} pixels; received {shape}. Save the image smaller")
    if pixels > max(UNCHECKED_PIXELS, MAX_PIXELS_PER_BYTE * header.pixel_bytes):
        raise ImageError(
            f"expected a byte for each {MAX_PIXELS_PER_BYTE} pixels; received {shape} in "
            f"{header.pixel_bytes:,} bytes, as a blank page has, or a decompression bomb. Save the image smaller"
        )


def _decode(header: Header) -> Frame:
    with header.image as image:
        image.load()
        frame = np.empty((header.height, header.width, 3), np.uint8)
        rows = max(1, STRIP_PIXELS // header.width)
        for top in range(0, header.height, rows):  # converted at once, the steps between take four times the memory
            strip = image.crop((0, top, header.width, min(top + rows, header.height)))
            frame[top : top + rows] = _to_rgb(strip)
    return _upright(frame, header.orientation)


def _to_rgb(image: Image.Image) -> Frame:
    """Convert a loaded image of any of Pillow's modes to uint8 (height, width, 3), RGB."""
    if image.mode.startswith("I"):
        return _grey_to_rgb(np.asarray(image))
    if image.mode == "F":
        raise ImageError(
            "expected pixels of 8 or 16 bits; received floating point, which has no agreed white. "
            "Save the image as 8-bit PNG"
        )
    if image.has_transparency_data:
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _grey_to_rgb(grey: np.ndarray[Any, Any]) -> Frame:
    """Keep the upper 8 of 16 bits, as Pillow does for 16-bit colour; 32-bit grey counts as 16-bit where it fits."""
    if grey.min() < 0 or grey.max() > 65_535:
        raise ImageError(
            f"expected pixels of 8 or 16 bits; received values from {grey.min()} to {grey.max()}. "
            "Save the image as 8-bit PNG"
        )
    return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)


def _upright(frame: Frame, orientation: int) -> Frame:
    """Undo the rotation and mirroring of EXIF's orientation 1 to 8 (CIPA DC-008, tag 274)."""
    if orientation >= 5:
        frame = frame.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        frame = frame[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        frame = frame[::-1]
    return np.ascontiguousarray(frame)


def _visible(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The images and folders in a folder that are not hidden."""
    seen = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [entry for entry in seen if entry.suffix.lower() in suffixes or _folder_identity(entry)]


def _folder_identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a folder, the same under each of its names; None for what is no folder."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISDIR(state.st_mode) else None


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A sort key that puts 2.jpg before 10.jpg; the name itself orders what differs in case only."""
    pieces = re.split(r"([0-9]+)", path.name.casefold())
    return [(int(piece) if piece.isdecimal() else -1, piece) for piece in pieces], path.name
