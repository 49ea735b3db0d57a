"""MNIST's idx files (LeCun et al. 1998) and Keras' ``mnist.npz``; Fashion-MNIST and KMNIST have the same format.

A set is a file of images and a file of labels: ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, or
``t10k-`` for the test set, with a dash or a dot before ``idx``, plain or .gz. Files are not trusted: a header may claim
no more than the file contains, and a file is decompressed no further than its header claims.
"""

from __future__ import annotations

import hashlib
import math
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.data.archives import DAMAGED, decompressed
from mien.data.cache import UNREADABLE
from mien.data.dataset import PRIVATE_TEST, TRAINING, Dataset, one_hot
from mien.data.rows import SIDES
from mien.errors import DatasetError
from mien.media.files import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

IDX_NAME = re.compile(r"(?P<set>train|t10k)-(?P<kind>images|labels)[-.]idx[13]-ubyte(\.gz)?")
NPZ_NAME = "mnist.npz"
IMAGES, LABELS = "images", "labels"
MAGIC = {IMAGES: 0x0803, LABELS: 0x0801}
"""Unsigned bytes in three dimensions, and in one."""

DIGITS = tuple(str(digit) for digit in range(10))
MAX_BYTES = 1 << 30
"""Of pixels or labels in one file; MNIST has 47 million."""

CHUNK_BYTES = 1 << 20


class _Part(NamedTuple):
    """A set as read: its name, pixels (count, side, side) and labels (count,)."""

    name: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.integer[Any]]


def is_mnist(path: Path) -> bool:
    """Whether a path is MNIST by its name: an idx file, an .npz, or a folder with such files."""
    if path.is_dir():
        return (path / NPZ_NAME).is_file() or bool(_idx_files(path))
    return path.is_file() and (path.suffix.lower() == ".npz" or bool(IDX_NAME.fullmatch(path.name)))


def read(path: Path) -> Dataset:
    """The digits of a folder with MNIST's files, of one idx file and its partner in the same folder, or of an .npz.

    A training and a test set become the splits Training and PrivateTest; validation uses a part of Training. A single
    set is all Training.

    Args:
        path: in a folder, idx files take precedence over ``mnist.npz``.

    Returns:
        Images uint8 (count, side, side, 1), labels "0" to "9" under the head "classes"; rows are the set's name and a
        number from 0, "train/17".

    Raises:
        DatasetError: there are no such files, they are damaged, or they disagree.
    """
    try:
        files = _files(path)
        parts = _npz_parts(files[0]) if files[0].suffix.lower() == ".npz" else _idx_parts(files)
        digest = hashlib.sha256("\n".join(f"{file.name}\0{sha256_of(file)}" for file in files).encode()).hexdigest()
    except DAMAGED as error:
        raise DatasetError(f"expected whole files of MNIST at {path}; they are damaged ({error})") from error
    for part in parts:
        _check(part, path)
    if len({part.images.shape[1:] for part in parts}) > 1:
        raise DatasetError(f"expected images of one size at {path}; received {[part.images.shape for part in parts]}")
    splits = (TRAINING, PRIVATE_TEST) if len(parts) > 1 else (TRAINING,)
    return Dataset(
        name="mnist",
        crops=np.concatenate([part.images for part in parts])[..., None],
        truths=(one_hot("classes", DIGITS, np.concatenate([part.labels for part in parts]).astype(np.int64)),),
        splits=np.concatenate([np.full(len(part.labels), name) for part, name in zip(parts, splits, strict=True)]),
        rows=np.array([f"{part.name}/{row}" for part in parts for row in range(len(part.labels))]),
        digest=digest,
    )


def _check(part: _Part, path: Path) -> None:
    count, *sides = part.images.shape
    if not count or len(part.labels) != count:
        raise DatasetError(
            f"expected as many labels as images in the set {part.name} of {path}; received {count} images and "
            f"{len(part.labels)} labels. Give the complete files of one set"
        )
    if len(set(sides)) != 1 or sides[0] not in SIDES:
        raise DatasetError(f"expected square images of 8 to 256 pixels a side in {path}; received {sides}")
    wrong = (part.labels < 0) | (part.labels >= len(DIGITS))
    if wrong.any():
        row = int(wrong.argmax())
        raise DatasetError(
            f"expected labels from 0 to 9 in {path}; received {part.labels[row]} at {part.name}/{row}. "
            "Labels of letters are not read: write the images as class folders, or as a csv of label and pixels"
        )


def _files(path: Path) -> list[Path]:
    """The files meant by a path: one .npz, or pairs of images and labels, training first."""
    if path.is_file() and path.suffix.lower() == ".npz":
        return [path]
    named = IDX_NAME.fullmatch(path.name) if path.is_file() else None
    found = _idx_files(path.parent if named else path) if named or path.is_dir() else {}
    sets = [named["set"]] if named else [name for name in ("train", "t10k") if (name, IMAGES) in found]
    if not sets and (path / NPZ_NAME).is_file():
        return [path / NPZ_NAME]
    missing = [f"{name}-{kind}" for name in sets or ["train"] for kind in (IMAGES, LABELS) if (name, kind) not in found]
    if missing:
        raise DatasetError(
            f"expected the files of MNIST (train-images-idx3-ubyte, train-labels-idx1-ubyte, or t10k-, plain or .gz; "
            f"or {NPZ_NAME}) at {path}; missing: {', '.join(missing)}"
        )
    return [found[name, kind] for name in sets for kind in (IMAGES, LABELS)]


def _idx_files(folder: Path) -> dict[tuple[str, str], Path]:
    """The idx files of a folder by set and kind; a plain file takes precedence over its .gz."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
        named = IDX_NAME.fullmatch(path.name)
        if named and path.is_file():
            found.setdefault((named["set"], named["kind"]), path)
    return found


def _idx_parts(files: list[Path]) -> list[_Part]:
    parts = []
    for images, labels in zip(files[::2], files[1::2], strict=True):
        counts = {_idx_shape(images, IMAGES)[0], _idx_shape(labels, LABELS)[0]}
        if len(counts) > 1:  # known from the headers, before anything is decompressed
            raise DatasetError(f"expected as many labels as images; {images} and {labels} hold {sorted(counts)}")
        name = images.name.partition("-")[0]
        parts.append(_Part(name, _idx(images, IMAGES), _idx(labels, LABELS)))
    return parts


def _idx_shape(path: Path, kind: str) -> tuple[int, ...]:
    with decompressed(path) as file:
        return _idx_header(file, path, kind)


def _idx(path: Path, kind: str) -> npt.NDArray[np.uint8]:
    with decompressed(path) as file:
        shape = _idx_header(file, path, kind)
        content = _bounded(file, math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        length = "more" if len(content) > math.prod(shape) else f"{len(content)}"
        raise DatasetError(
            f"expected {math.prod(shape)} bytes after the header of {path}, as it says; received {length}. "
            "The file is damaged: fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _idx_header(file: IO[bytes], path: Path, kind: str) -> tuple[int, ...]:
    """The dimensions that a header claims: (count, rows, columns) of images, (count,) of labels."""
    head = file.read(4)
    if int.from_bytes(head) != MAGIC[kind] or len(head) < 4:
        raise DatasetError(
            f"expected {kind} of unsigned bytes in the idx format (magic {MAGIC[kind]:#010x}) in {path}; "
            f"received a file that begins with 0x{head.hex()}"
        )
    dimensions = 3 if kind == IMAGES else 1
    claimed = file.read(4 * dimensions)
    shape = tuple(int.from_bytes(claimed[at : at + 4]) for at in range(0, 4 * dimensions, 4))
    if len(claimed) < 4 * dimensions or math.prod(shape) > MAX_BYTES:
        raise DatasetError(f"expected a header of idx in {path} and at most {MAX_BYTES} bytes; received {shape}")
    return shape


def _bounded(file: IO[bytes], max_bytes: int) -> bytearray:
    """Read at most ``max_bytes``, in chunks, so that memory follows the content and not the header's claim."""
    content = bytearray()
    while len(content) < max_bytes and (piece := file.read(min(CHUNK_BYTES, max_bytes - len(content)))):
        content += piece
    return content


def _npz_parts(path: Path) -> list[_Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                _Part(name, _array(archive, f"x_{name}", 3), _array(archive, f"y_{name}", 1))
                for name in ("train", "test")
            ]
    except UNREADABLE as error:
        raise DatasetError(
            f"expected the arrays x_train, y_train, x_test and y_test of mnist.npz in {path}; "
            f"they can't be read ({error})"
        ) from error


def _array(archive: zipfile.ZipFile, name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    """An array of bytes, read only if its header claims no more than the archive contains."""
    inside = archive.getinfo(f"{name}.npy")
    with archive.open(inside) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    if dtype != np.uint8 or len(shape) != dimensions or math.prod(shape) > min(inside.file_size, MAX_BYTES):
        raise ValueError(f"{name} is {dtype} {shape}, not uint8 in {dimensions} dimensions")
    with archive.open(inside) as file:
        array: npt.NDArray[np.uint8] = np.lib.format.read_array(file, allow_pickle=False)
    return array
