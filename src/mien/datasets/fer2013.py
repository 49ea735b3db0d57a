"""FER2013's own format: a csv of ``emotion,pixels,Usage``, a picture a line (Goodfellow et al. 2013).

The columns are found by name, so the order and the spaces of Kaggle's ``icml_face_data.csv`` are fine too; without
``Usage`` every row is Training. The file may be plain, .gz, .xz or .zip. A row is read exactly or rejected with its
line number; lines that hold nothing but space are passed over.
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
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mien.datasets import cache
from mien.datasets.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.emotions import FER2013
from mien.errors import DatasetError, MienError
from mien.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

SIDES = range(8, 257)
LONGEST_LINE = 400_000
"""Bytes; a row of 256x256 pixels takes at most 262,144 and its other columns."""

MOST_REJECTED = 100_000
"""Rejected rows after which a file is no FER2013 csv; bounds the memory that a hostile file can take."""

PIXELS = {f"{value:0{width}d}".encode(): value for width in (1, 2, 3) for value in range(256)}
EMOTIONS = {str(number).encode(): number for number in range(len(FER2013))}
SPLIT_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{0,31}")
DAMAGED = (OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What the decompressors raise on damaged, cut or encrypted files."""


def read(path: Path) -> Dataset:
    """The data set of a FER2013 csv; parsed once, then kept in mien's cache by the file's SHA-256.

    Args:
        path: a .csv, .csv.gz, .csv.xz, or a .zip whose first csv is read.

    Returns:
        chips uint8 (count, side, side, 1) in the file's order, the side being that of the first good row; rows are
        line numbers from 1, the header's.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks emotion or pixels, or no row is good.
    """
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise DatasetError(f"expected a FER2013 csv at {path}; it can't be opened ({error.strerror})") from error
    found = cache.kept("fer2013", digest)
    if found is not None:
        try:
            return _dataset(found, digest)
        except (MienError, KeyError, ValueError, IndexError, TypeError):
            pass  # a foreign file under the cache's name: parse and write over it
    arrays = _parse(path).arrays()
    if not len(arrays["chips"]):
        reasons = "; ".join(f"line {place}: {why}" for place, why in arrays["rejected"][:3].tolist()) or "it is empty"
        raise DatasetError(f"expected rows of emotion and pixels in {path}; none could be read ({reasons})")
    cache.keep("fer2013", digest, arrays)
    return _dataset(arrays, digest)


def _dataset(arrays: dict[str, npt.NDArray[Any]], digest: str) -> Dataset:
    labels = arrays["labels"]
    truth = Truth(
        head="fer2013",
        labels=tuple(FER2013),
        targets=np.eye(len(FER2013), dtype=np.float32)[labels],
        weights=np.ones(len(labels), dtype=np.float32),
        judged=np.ones(len(labels), dtype=np.bool_),
    )
    return Dataset(
        name="fer2013",
        chips=arrays["chips"],
        truths=(truth,),
        splits=arrays["splits"],
        rows=arrays["rows"],
        digest=digest,
        rejected=tuple(Rejected(place, reason) for place, reason in arrays["rejected"].tolist()),
    )


class _BadRowError(Exception):
    """Why a row can't be read."""


@dataclass(frozen=True)
class _Columns:
    count: int
    emotion: int
    pixels: int
    usage: int | None


@dataclass
class _Rows:
    """What was read so far."""

    side: int = 0
    pixels: bytearray = field(default_factory=bytearray)
    labels: list[int] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "chips": np.frombuffer(self.pixels, dtype=np.uint8).reshape(len(self.labels), self.side, self.side, 1),
            "labels": np.array(self.labels, dtype=np.int64),
            "splits": np.array(self.splits, dtype=np.str_),
            "rows": np.array(self.lines, dtype=np.int64).astype(np.str_),
            "rejected": np.array(self.rejected, dtype=np.str_).reshape(-1, 2),
        }


def _parse(path: Path) -> _Rows:
    rows = _Rows()
    number = 0
    try:
        with _opened(path) as file:
            lines = _lines(file)
            number, first = next(lines, (1, b""))
            columns = _columns(first, path)
            for number, line in lines:
                _take(rows, number, line, columns)
    except DAMAGED as error:
        raise DatasetError(f"expected a whole file at {path}; it is damaged after line {number} ({error})") from error
    return rows


def _take(rows: _Rows, number: int, line: bytes, columns: _Columns) -> None:
    try:
        label, pixels, split = _row(line, columns, rows)
    except _BadRowError as reason:
        rows.rejected.append((number, str(reason)))
        if len(rows.rejected) > MOST_REJECTED:
            raise DatasetError(f"expected a FER2013 csv; {MOST_REJECTED} rows up to line {number} are none") from reason
        return
    rows.side = rows.side or math.isqrt(len(pixels))
    rows.pixels += pixels
    rows.labels.append(label)
    rows.splits.append(split)
    rows.lines.append(number)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    ending = path.suffix.lower()
    if ending == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if not members:
                raise DatasetError(f"expected a csv inside {path}; received {archive.namelist()[:5]}")
            with archive.open(members[0]) as file:
                yield file
    elif ending == ".gz":
        with gzip.open(path, "rb") as unzipped:
            yield unzipped  # type: ignore[misc]  # GzipFile is an IO[bytes] in all but its stub
    elif ending == ".xz":
        with lzma.open(path, "rb") as unpacked:
            yield unpacked
    else:
        with path.open("rb") as plain:
            yield plain


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbers from 1 and lines that are not blank; a line that is too long comes cut, and longer than the limit."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(LONGEST_LINE)
        if not line.isspace():
            yield number, line


def _columns(header: bytes, path: Path) -> _Columns:
    names = [_unquoted(name).lower() for name in header.removeprefix(b"\xef\xbb\xbf").split(b",")]
    where = {name: at for at, name in enumerate(names)}
    if b"pixels" not in where or b"emotion" not in where or len(where) != len(names):
        shown = header[:60].decode("ascii", "replace").strip()
        labels = " Without emotion the rows have no labels to learn or judge by" if b"pixels" in where else ""
        raise DatasetError(f"expected the header 'emotion,pixels,Usage' in {path}; received {shown!r}.{labels}")
    return _Columns(len(names), where[b"emotion"], where[b"pixels"], where.get(b"usage"))


def _row(line: bytes, columns: _Columns, before: _Rows) -> tuple[int, bytes, str]:
    """Label, pixels and split of a line; a split that is new in a line without an end is a word that was cut."""
    if len(line) > LONGEST_LINE:
        raise _BadRowError(f"the line is longer than {LONGEST_LINE} bytes")
    if b"\0" in line:
        raise _BadRowError("the line holds a NUL byte")
    values = line.split(b",")
    if len(values) != columns.count:
        raise _BadRowError(f"expected {columns.count} columns; received {len(values)}")
    emotion = _unquoted(values[columns.emotion])
    if emotion not in EMOTIONS:
        raise _BadRowError(f"expected an emotion from 0 to {len(FER2013) - 1}; received {_shown(emotion)}")
    split = TRAINING if columns.usage is None else _split(_unquoted(values[columns.usage]))
    if not line.endswith(b"\n") and split not in {TRAINING, PUBLIC_TEST, PRIVATE_TEST, *before.splits}:
        raise _BadRowError(f"the last line is cut: it ends in the unknown Usage {split!r}")
    return EMOTIONS[emotion], _pixels(_unquoted(values[columns.pixels]), before.side), split


def _split(usage: bytes) -> str:
    if not SPLIT_NAME.fullmatch(usage):
        raise _BadRowError(f"expected a Usage such as Training or PublicTest; received {_shown(usage)}")
    return usage.decode("ascii")


def _pixels(text: bytes, side: int) -> bytes:
    numbers = text.split()
    try:
        pixels = bytes(map(PIXELS.__getitem__, numbers))
    except KeyError:
        at = next(at for at, number in enumerate(numbers) if number not in PIXELS)
        raise _BadRowError(
            f"expected pixels as whole numbers from 0 to 255; received {_shown(numbers[at])} as number {at + 1}"
        ) from None
    if side and len(pixels) != side * side:
        raise _BadRowError(f"expected {side * side} pixels ({side}x{side}); received {len(pixels)}")
    found = math.isqrt(len(pixels))
    if found not in SIDES or found * found != len(pixels):
        raise _BadRowError(f"expected the pixels of a square of 8 to 256 a side; received {len(pixels)}")
    return pixels


def _unquoted(value: bytes) -> bytes:
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[:1] == value[-1:] == b'"' else value


def _shown(value: bytes) -> str:
    text = value[:20].decode("ascii", "replace")
    return repr(text if len(value) <= 20 else text + "...")
