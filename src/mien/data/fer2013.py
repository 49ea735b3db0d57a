"""FER2013's own format: a csv of ``emotion,pixels,Usage``, an image a line (Goodfellow et al. 2013).

The columns are found by name, so the order and the spaces of Kaggle's ``icml_face_data.csv`` are fine too; without
``Usage`` every row is Training. The file may be plain, .gz, .xz or .zip. A row is read exactly or rejected with its
line number; lines that hold nothing but space are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mien.data import csv_rows
from mien.data.csv_rows import BadRowError, shown, unquoted
from mien.data.dataset import TRAINING, Dataset, Truth, one_hot
from mien.emotions import FER2013
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


EMOTIONS = {str(number).encode(): number for number in range(len(FER2013))}

PEEKED = 100
"""Lines after the header by which ``claims`` judges."""


def claims(path: Path) -> bool:
    """Whether a csv is in this format: columns emotion and pixels, and whole numbers among the first emotions.

    A file that can't be read is not.
    """
    try:
        with csv_rows.opened(path) as file:
            lines = csv_rows.lines(file)
            names = csv_rows.names(next(lines, (1, b""))[1])
            if not {b"emotion", b"pixels"} <= set(names):
                return False
            emotion = names.index(b"emotion")
            values = (line.split(b",") for _, line in islice(lines, PEEKED))
            return any(unquoted(row[emotion]).isdigit() for row in values if len(row) == len(names))
    except (DatasetError, *csv_rows.DAMAGED):
        return False


def read(path: Path) -> Dataset:
    """The data set of a FER2013 csv; parsed once, then kept in mien's cache by the file's SHA-256.

    Args:
        path: a .csv, .csv.gz, .csv.xz, or a .zip whose first csv is read.

    Returns:
        face crops uint8 (count, side, side, 1) in the file's order, the side being that of the first good row; rows are
        line numbers from 1, the header's.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks emotion or pixels, or no row is good.
    """
    return FORMAT.read(path, "fer2013")


@dataclass(frozen=True)
class _Columns:
    """Where the columns are."""

    count: int
    emotion: int
    pixels: int
    usage: int | None

    @classmethod
    def of(cls, header: bytes, path: Path) -> _Columns:
        names = csv_rows.names(header)
        where = {name: at for at, name in enumerate(names)}
        if b"pixels" not in where or b"emotion" not in where or len(where) != len(names):
            received = header[:60].decode("ascii", "replace").strip()
            labels = " Without emotion the rows have no labels to learn or judge by" if b"pixels" in where else ""
            raise DatasetError(f"expected the header 'emotion,pixels,Usage' in {path}; received {received!r}.{labels}")
        return cls(len(names), where[b"emotion"], where[b"pixels"], where.get(b"usage"))

    def row(self, line: bytes, before: csv_rows.Rows) -> tuple[int, bytes, str]:
        """Number of the emotion, pixels and split of a line."""
        values = csv_rows.values_of(line, self.count)
        emotion = unquoted(values[self.emotion])
        if emotion not in EMOTIONS:
            raise BadRowError(f"expected an emotion from 0 to {len(FER2013) - 1}; received {shown(emotion)}")
        split = TRAINING if self.usage is None else csv_rows.split_of(unquoted(values[self.usage]), line, before)
        return EMOTIONS[emotion], csv_rows.pixels_of(unquoted(values[self.pixels]).split(), before.side), split

    def labels(self, rows: csv_rows.Rows) -> csv_rows.Arrays:
        """Numbers of the emotions, int64 (count,)."""
        return {"labels": np.array(rows.labels, dtype=np.int64)}


def _truth(arrays: csv_rows.Arrays) -> Truth:
    return one_hot("fer2013", tuple(FER2013), arrays["labels"])


FORMAT = csv_rows.Format("fer2013", "a FER2013 csv", _Columns.of, _truth)
