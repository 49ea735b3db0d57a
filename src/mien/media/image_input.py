"""What counts as an image in Python: paths, encoded bytes, open files, arrays, tensors of any library, Pillow's images.

A value that is none gives an ``ImageError`` with the code that makes one of it. No tensor library is imported: tensors
come as NumPy arrays through ``__array__`` or ``__dlpack__``.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import zlib
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from PIL import Image

from mien.errors import ImageError, UsageError
from mien.media.image import MAX_BYTES, LoadedImage, load
from mien.structures import Frame, check_frame, describe

if TYPE_CHECKING:
    import numpy.typing as npt


class ArrayLike(Protocol):
    """A tensor of another library, such as PyTorch, TensorFlow or JAX."""

    def __array__(self) -> npt.NDArray[Any]:
        """Its values."""


ImageLike: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Frame | ArrayLike | Image.Image
)
"""An image to predict on.

- the path of an image file, or its bytes, or the file opened in binary mode
- a NumPy array or a tensor: uint8 (height, width, 3) in RGB order, or uint8 (height, width) of a grey image
- an image of Pillow
"""

MAX_PATH_LENGTH = 4096
"""Of a path in characters; a longer text is something else, such as base64."""

CHUNK_BYTES = 1 << 20

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
"""How an address begins; a single letter is a disk of Windows."""


def load_image(image: ImageLike | LoadedImage) -> LoadedImage:
    """Decode or check an image of any kind.

    Args:
        image: see ``ImageLike``. A file is read from its position to its end, and stays open. One that is decoded
            already is returned.

    Raises:
        ImageError: it is none, or can't be read.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from mien.media.image import encode
        >>> from mien.media.image_input import load_image
        >>> grey = np.zeros((4, 6), np.uint8)
        >>> load_image(grey).frame.shape
        (4, 6, 3)
        >>> load_image(io.BytesIO(encode(load_image(grey).frame, "png"))).frame.shape
        (4, 6, 3)
    """
    if isinstance(image, LoadedImage):
        return image
    if isinstance(image, str):
        _check_path(image)
    if isinstance(image, memoryview) and image.ndim > 1:
        image = np.asarray(image)
    if isinstance(image, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return load(image)
    if hasattr(image, "read"):
        return load(_content(image))
    if isinstance(image, np.ndarray):
        return LoadedImage(_frame_of_array(image, "x"))
    if hasattr(image, "__array__") or hasattr(image, "__dlpack__"):
        return LoadedImage(_frame_of_array(_array_of(image), "np.asarray(x)"))
    raise ImageError(
        f"expected a path, the bytes of an image, an open file, an array or a Pillow image; received {describe(image)}"
        f"{_hint(image)}"
    )


def name_of(image: ImageLike) -> str:
    """A name for an image: its path, or what it is."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "") or "<image>")
    if isinstance(image, bytes | bytearray | memoryview):
        return "<bytes>"
    if hasattr(image, "read"):
        name = getattr(image, "name", "")  # a number for a file opened by its descriptor
        return name if isinstance(name, str) and name else "<file>"
    return "<array>"


def check_images(images: object) -> None:
    """Check that a value holds several images: a path, say, would yield its characters.

    Raises:
        UsageError: it is one image, or none.
    """
    if isinstance(images, str | os.PathLike) and os.path.isdir(images):  # noqa: PTH112  a str has no method
        raise UsageError(
            f"expected images; received the folder {os.fspath(images)!r}. Pass those in it: "
            "predict_many(sorted(Path(folder).glob('*.jpg')))"
        )
    one = isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image)
    # an array of four dimensions is a batch
    is_array = hasattr(images, "shape") and hasattr(images, "dtype") and len(images.shape) in (2, 3)
    if one or is_array or hasattr(images, "read"):
        raise UsageError(
            f"expected several images, such as a list; received one: {describe(images)}. Use predict(image), or "
            "predict_many([image])"
        )
    if not hasattr(images, "__iter__") and not hasattr(images, "__getitem__"):
        raise UsageError(f"expected several images, such as a list; received {describe(images)}")


def _frame_of_array(array: npt.NDArray[Any], name: str) -> Frame:
    """A frame as it is, or a grey image with its three channels."""
    if array.dtype == np.uint8 and array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)):
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return check_frame(array, name)


def _array_of(tensor: Any) -> npt.NDArray[Any]:
    """The values of a tensor."""
    try:
        # by its own method: numpy would pass it arguments that not every library knows yet
        return np.asarray(tensor.__array__() if hasattr(tensor, "__array__") else np.from_dlpack(tensor))
    except Exception as error:  # each library raises kinds of its own
        raise ImageError(
            f"expected a tensor that NumPy can read; received {describe(tensor)}, which it can't "
            f"({_first_line(error)}). Pass {_readable(tensor)}"
        ) from error


def _readable(tensor: Any) -> str:
    """The code that brings a tensor to the processor's memory, in a type that NumPy has, without its gradient."""
    if not hasattr(tensor, "detach"):
        return "a NumPy array of its values"
    return "x.detach().cpu().float()" if "bfloat16" in str(getattr(tensor, "dtype", "")) else "x.detach().cpu()"


def _content(file: Any) -> bytes:
    """The rest of an open file."""
    name = name_of(file)
    if isinstance(file, io.TextIOBase):
        raise ImageError(f"{name}: expected a file opened in binary mode; received one in text mode. {_OPEN_BINARY}")
    content = bytearray()
    try:
        while len(content) <= MAX_BYTES:
            chunk = file.read(CHUNK_BYTES)
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise ImageError(f"{name}: expected a file whose read gives bytes; received {_other_chunk(chunk)}")
            if not chunk:
                break
            content += chunk
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise ImageError(
            f"{name}: expected a file that can be read; received one that can't be ({_first_line(error)}). "
            f"{_OPEN_BINARY}"
        ) from error
    if not content:
        raise ImageError(
            f"{name}: expected an image from the file's position on; received nothing. Go to its start: file.seek(0)"
        )
    return bytes(content)


_OPEN_BINARY = "Open it with open(path, 'rb')"


def _other_chunk(chunk: object) -> str:
    if inspect.iscoroutine(chunk):
        chunk.close()
        return "a coroutine. Pass the bytes: await file.read()"
    return f"{describe(chunk)}. {_OPEN_BINARY}"


def _check_path(text: str) -> None:
    """Check that a text can be a path: it is no address and no encoded image.

    Raises:
        ImageError: it can't be.
    """
    if text[:5].lower() == "data:" and "," in text:
        raise ImageError("expected a path; received a data URL. Decode it: base64.b64decode(url.partition(',')[2])")
    if ADDRESS.match(text):
        raise ImageError(
            f"expected a path; received the address {text[:200]!r}. mien fetches nothing: download the file, then pass "
            "its path or its bytes"
        )
    if len(text) > MAX_PATH_LENGTH:
        raise ImageError(
            f"expected a path; received a text of {len(text):,} characters. If it is an image in base64, pass "
            "base64.b64decode(text)"
        )


def _hint(image: object) -> str:
    """What to do about a value of a type that is no image."""
    if image is None:
        return ", as cv2.imread returns for a file that it can't read. Pass the path itself: the error then says why"
    if isinstance(image, list | tuple | set | frozenset):
        return ". Use predict_many for several images, np.array(x, dtype='uint8') for nested lists of pixels"
    if isinstance(image, int):
        return ". For a camera use stream(0)"
    return ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
