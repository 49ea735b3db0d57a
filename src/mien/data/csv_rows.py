"""Parser of csv files of pixels, one image per line: rows are read exactly, or rejected with their line numbers.

The file may be plain, .gz, .xz or .zip (its first csv). Blank lines are skipped. ``pixel_csv`` defines the columns and
the labels.
"""

from __future__ import annotations

import gzip
import lzma
import math
import re
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from mien.data import cache
from mien.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.errors import DatasetError, MienError
from mien.media.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"

ENDINGS = (".csv", ".csv.gz", ".csv.xz", ".csv.zip", ".zip")
"""File name endings of csv files, in lower case."""

SIDES = range(8, 257)
MAX_LINE_BYTES = 400_000
"""A row of 256x256 pixels takes at most 262,144 bytes, plus its other columns."""

MAX_REJECTED = 100_000
"""Rejected rows after which a file is refused; bounds the memory that a hostile file can use."""

PIXEL_VALUES = {f"{value:0{width}d}".encode(): value for width in (1, 2, 3) for value in range(256)}
SPLIT_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{0,31}")
DAMAGED = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""Exceptions of the decompressors on damaged, truncated or encrypted files."""


class BadRowError(Exception):
    """A row can't be read, and why."""


@dataclass
class Rows:
    """The rows read so far.

    Attributes:
        side: of the images, in pixels; 0 before the first valid row, which sets it.
        pixels: of all images, concatenated.
        labels: of each image, as the layout reads them.
        splits: of each image.
        lines: the line number of each image.
        rejected: line numbers of rejected rows, with the reason.
    """

    side: int = 0
    pixels: bytearray = field(default_factory=bytearray)
    labels: list[Any] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def arrays(self) -> Arrays:
        """All but the labels: face crops uint8 (count, side, side, 1), splits, rows, and rejected (rejected, 2)."""
        return {
            "crops": np.frombuffer(self.pixels, dtype=np.uint8).reshape(len(self.lines), self.side, self.side, 1),
            "splits": np.array(self.splits, dtype=np.str_),
            "rows": np.array(self.lines, dtype=np.int64).astype(np.str_),
            "rejected": np.array(self.rejected, dtype=np.str_).reshape(-1, 2),
        }


class Layout(Protocol):
    """The columns of a csv file."""

    def row(self, line: bytes, before: Rows) -> tuple[Any, bytes, str]:
        """Label, pixels and split of a line, given the rows before it; raises BadRowError."""
        ...

    def labels(self, rows: Rows) -> Arrays:
        """The labels of the rows as arrays that can be cached."""
        ...


@dataclass(frozen=True)
class Format:
    """A csv format.

    Attributes:
        name: of its files in the cache.
        described: its name in errors, "a FER2013 csv".
        layout: makes the layout from the header line and the path; raises DatasetError.
        truth: makes the truth of the data set from the layout's arrays.
    """

    name: str
    described: str
    layout: Callable[[bytes, Path], Layout]
    truth: Callable[[Arrays], Truth]

    def read(self, path: Path, name: str) -> Dataset:
        """The data set of a file; parsed once, then cached by the file's SHA-256.

        Args:
            path: the file; its ending sets the compression.
            name: of the data set.

        Raises:
            DatasetError: there is no such file, it is damaged, its header doesn't fit, or no row is valid.
        """
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise DatasetError(f"expected {self.described} at {path}; it can't be opened ({error.strerror})") from error
        cached = cache.load(self.name, digest)
        if cached is not None:
            try:
                return self._dataset(cached, name, digest)
            except (MienError, KeyError, ValueError, IndexError, TypeError):
                pass  # not written by this reader: parse again and overwrite it
        arrays = self._parsed(path)
        data = self._dataset(arrays, name, digest)
        cache.save(self.name, digest, arrays)
        return data

    def _dataset(self, arrays: Arrays, name: str, digest: str) -> Dataset:
        return Dataset(
            name=name,
            crops=arrays["crops"],
            truths=(self.truth(arrays),),
            splits=arrays["splits"],
            rows=arrays["rows"],
            digest=digest,
            rejected=tuple(Rejected(place, reason) for place, reason in arrays["rejected"].tolist()),
        )

    def _parsed(self, path: Path) -> Arrays:
        rows = Rows()
        number = 0
        try:
            with opened(path) as file:
                numbered = lines(file)
                number, header = next(numbered, (1, b""))
                layout = self.layout(header, path)
                for number, line in numbered:
                    _take(rows, number, line, layout)
        except DAMAGED as error:
            raise DatasetError(
                f"expected a whole file at {path}; it is damaged after line {number} ({error})"
            ) from error
        if not rows.lines:
            reasons = "; ".join(f"line {place}: {why}" for place, why in rows.rejected[:3]) or "there are none"
            raise DatasetError(f"expected rows of a label and pixels in {path}; none could be read ({reasons})")
        return {**rows.arrays(), **layout.labels(rows)}


def _take(rows: Rows, number: int, line: bytes, layout: Layout) -> None:
    try:
        label, pixels, split = layout.row(line, rows)
    except BadRowError as reason:
        rows.rejected.append((number, str(reason)))
        if len(rows.rejected) > MAX_REJECTED:
            raise DatasetError(
                f"expected a csv of pixels; {MAX_REJECTED} rows up to line {number} are none, the last: {reason}"
            ) from reason
        return
    rows.side = rows.side or math.isqrt(len(pixels))
    rows.pixels += pixels
    rows.labels.append(label)
    rows.splits.append(split)
    rows.lines.append(number)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a csv, decompressed on the fly; a damaged file raises one of ``DAMAGED``."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if not members:
                raise DatasetError(f"expected a csv inside {path}; received {archive.namelist()[:5]}")
            with archive.open(members[0]) as file:
                yield file
    else:
        with decompressed(path) as file:
            yield file


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed on the fly if it ends in .gz or .xz."""
    ending = path.suffix.lower()
    if ending == ".gz":
        with gzip.open(path, "rb") as unzipped:
            yield unzipped  # type: ignore[misc]  # GzipFile is an IO[bytes] in all but its stub
    elif ending == ".xz":
        with lzma.open(path, "rb") as file:
            yield file
    else:
        with path.open("rb") as plain:
            yield plain


def lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and lines that are not blank; an over-long line is truncated to one byte over the limit."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(MAX_LINE_BYTES)
        if not line.isspace():
            yield number, line


def names(header: bytes) -> list[bytes]:
    """The names of the columns, in lower case."""
    return [unquoted(name).lower() for name in header.removeprefix(b"\xef\xbb\xbf").split(b",")]


def values_of(line: bytes, count: int) -> list[bytes]:
    """The values of a line that has this many columns.

    Raises:
        BadRowError: it has another number of columns, is too long, or contains a NUL byte.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadRowError(f"the line is longer than {MAX_LINE_BYTES} bytes")
    if b"\0" in line:
        raise BadRowError("the line holds a NUL byte")
    values = line.split(b",")
    if len(values) != count:
        raise BadRowError(f"expected {count} columns; received {len(values)}")
    return values


def split_of(usage: bytes, line: bytes, before: Rows) -> str:
    """The split that a value of Usage names; an unknown one at the end of an unterminated line was cut.

    Raises:
        BadRowError: the value names no split.
    """
    if not SPLIT_NAME.fullmatch(usage):
        raise BadRowError(f"expected a Usage such as Training or PublicTest; received {shown(usage)}")
    split = usage.decode("ascii")
    if not line.endswith(b"\n") and split not in {TRAINING, PUBLIC_TEST, PRIVATE_TEST, *before.splits}:
        raise BadRowError(f"the last line is cut: it ends in the unknown Usage {split!r}")
    return split


def pixels_of(numbers: Sequence[bytes], side: int) -> bytes:
    """The pixels of a square image.

    Args:
        numbers: pixels as text, row by row.
        side: the side required; 0: any of ``SIDES``.

    Raises:
        BadRowError: a value is no whole number from 0 to 255, or the pixels form no such square.
    """
    try:
        pixels = bytes(map(PIXEL_VALUES.__getitem__, numbers))
    except KeyError:
        at = next(at for at, number in enumerate(numbers) if number not in PIXEL_VALUES)
        raise BadRowError(
            f"expected pixels as whole numbers from 0 to 255; received {shown(numbers[at])} as number {at + 1}"
        ) from None
    if side and len(pixels) != side * side:
        raise BadRowError(f"expected {side * side} pixels ({side}x{side}); received {len(pixels)}")
    found = math.isqrt(len(pixels))
    if found not in SIDES or found * found != len(pixels):
        raise BadRowError(f"expected the pixels of a square of 8 to 256 a side; received {len(pixels)}")
    return pixels


def unquoted(value: bytes) -> bytes:
    """A value without surrounding spaces and double quotes."""
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[:1] == value[-1:] == b'"' else value


def shown(value: bytes) -> str:
    """The start of a value, for an error message."""
    text = value[:20].decode("ascii", "replace")
    return repr(text if len(value) <= 20 else text + "...")
