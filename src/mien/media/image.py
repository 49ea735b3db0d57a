"""Reads and writes images: every image that mien decodes passes through ``load``.

Pillow is the only decoder, with pillow-heif for HEIC. OpenCV's would take gigabytes for a forged header, and two
decoders would give two sets of pixels. The header is checked before anything is decoded (``mien.media.formats``), so a
file of a few bytes can't claim gigabytes. Every decoder error becomes an ``ImageError``. Colour profiles are not
applied.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from mien.errors import ImageError, UsageError
from mien.media.file_kind import open_nonblocking
from mien.media.files import write_bytes
from mien.media.formats import read_header
from mien.media.header import MAX_PIXELS, Header
from mien.media.pixels import bits_of, decode, depth_warning, to_rgb, upright
from mien.structures import Frame, check_frame, describe

if TYPE_CHECKING:
    from collections.abc import Callable

Encoded: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview
"""An image file: its path, or its bytes."""

MAX_BYTES = 200_000_000
"""Size of the largest file read: 40 million pixels of uncompressed RGB are 120 MB."""

MAX_PIXELS_PER_BYTE = 500
"""Deflate reaches 344 on a blank RGB page; a photo has 2 to 100. More is blank or a bomb: there is no face in it."""

UNCHECKED_PIXELS = 1920 * 1080
"""Pixels that a file of any size may have: a blank screenshot does no harm."""

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


class LoadedImage(NamedTuple):
    """A decoded image.

    Attributes:
        frame: uint8 (height, width, 3), RGB, upright.
        warnings: what of the image was lost or altered, a sentence each.
        scale: by how much width and height were divided while it was decoded; 1 unless it is very large.
    """

    frame: Frame
    warnings: tuple[str, ...] = ()
    scale: int = 1


def load(source: Encoded | Frame | Image.Image, check: Callable[[Header], object] = lambda _: None) -> LoadedImage:
    """Decode an image, and say what was lost or altered.

    By these rules: the EXIF orientation is applied; animations give their first frame; transparent pixels are blended
    with white; of 16 bits the upper 8 are kept, or those below where a camera's 10 or 12 bits are stored in 16; CMYK
    is converted without a profile. A JPEG of more than 40 million pixels is decoded at 1/2, 1/4 or 1/8 of its size. A
    JPEG without its end mark is decoded if nearly all of its pixels are there.

    Args:
        source: a path, the bytes of an encoded image, a Pillow image, or a frame, which is checked and returned.
        check: called with the header of an encoded image before it is decoded; what it raises ends that.

    Raises:
        ImageError: there is no image, or it is of an unknown format, damaged, cut short or too large.

    Example:
        >>> import numpy as np
        >>> from mien.media.image import encode, load
        >>> load(encode(np.zeros((240, 320, 3), np.uint8), "png")).warnings
        ()
    """
    if isinstance(source, (str, os.PathLike)):
        return _load_encoded(_content(Path(source)), f"'{os.fspath(source)}'", check)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _load_encoded(bytes(source), f"the {memoryview(source).nbytes} bytes given", check)
    if isinstance(source, Image.Image):
        return _load_pillow(source)
    if isinstance(source, np.ndarray):
        return LoadedImage(check_frame(source))
    raise ImageError(f"expected a path, the bytes of an image or a numpy array; received {describe(source)}")


def read(source: Encoded | Frame) -> Frame:
    """Decode an image to an upright RGB frame, by the rules of ``load``.

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
    return load(source).frame


def _load_pillow(image: Image.Image) -> LoadedImage:
    name = f"the Pillow image of {image.width} x {image.height}"
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ImageError(f"{name}: expected 1 to {MAX_PIXELS:,} pixels. Resize it")
    try:
        bits = bits_of(image)
        frame = upright(np.array(to_rgb(image, bits)), image.getexif().get(ExifTags.Base.Orientation, 1))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: expected a whole image; received one that can't be decoded ({str(error) or type(error).__name__})"
        ) from error
    return LoadedImage(frame, (depth_warning(bits),) if bits < 16 else ())


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
        with open(path, "rb", opener=open_nonblocking) as file:
            state = os.fstat(file.fileno())
            _check_file(state)
            return file.read(state.st_size)
    except ImageError as error:
        raise ImageError(f"'{path}': {error}") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"'{path}': {_reason_unreadable(path, error)}") from error


def _reason_unreadable(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file. Check the name and the folder"
    if isinstance(error, IsADirectoryError) or (isinstance(error, PermissionError) and path.is_dir()):
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


def _load_encoded(content: bytes, name: str, check: Callable[[Header], object]) -> LoadedImage:
    """Decode bytes; whatever is wrong with them becomes one error that names them."""
    try:
        _check_file_size(len(content))
        header = read_header(content)
        check(header)
        _check_size(header)
        return LoadedImage(*decode(header), header.scale)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: expected a whole image; received one that is damaged or cut short "
            f"({' '.join(str(error).split()) or type(error).__name__}). Copy or download it again"
        ) from error


def _check_size(header: Header) -> None:
    pixels = header.width * header.height
    width, height = header.full_size or (header.width, header.height)
    shape = f"{width} x {height}"
    if header.width <= 0 or header.height <= 0:
        raise ImageError(f"expected an image of at least 1 x 1 pixels; received {shape}. Copy or download it again")
    if pixels > MAX_PIXELS:
        raise ImageError(f"expected at most {MAX_PIXELS:,} pixels; received {shape}. Save the image smaller")
    if width * height > max(UNCHECKED_PIXELS, MAX_PIXELS_PER_BYTE * header.pixel_bytes):
        raise ImageError(
            f"expected a byte for each {MAX_PIXELS_PER_BYTE} pixels; received {shape} in "
            f"{header.pixel_bytes:,} bytes, as a blank page has, or a decompression bomb. Save the image smaller"
        )
