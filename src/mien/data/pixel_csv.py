"""Csv files of pixels, one image per line with its label: FER2013's own format, and the common variants.

- ``emotion,pixels,Usage``: FER2013 (Goodfellow et al. 2013), in any column order, as Kaggle's ``icml_face_data.csv``;
- ``label,pixels``: all pixels in one column, separated by spaces;
- ``label,pixel0,pixel1,...`` or ``label,1x1,1x2,...``: one column per pixel (as Kaggle's digits);
- ``pixels,happy,sad,...``: one column per expression, with votes or a 1 for the expression shown.

The column of labels is called emotion, label, class or expression. A column Usage or split names the split; without it
every row is Training. Other columns are ignored. Pixels are grey, row by row. The file may be plain, .gz, .xz or .zip.
Each row is read exactly or rejected with its line number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from mien.data import csv_rows
from mien.data.csv_rows import BadRowError, shown, unquoted
from mien.data.dataset import SPLITS, TRAINING, Dataset, Truth, labels_for, one_hot, truth_of_labels
from mien.emotions import FER2013, Emotion, emotion_named
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

LABEL_NAMES = ("emotion", "label", "class", "expression")
USAGE_NAMES = ("usage", "split")
PIXELS_NAME = "pixels"
NUMBERED = re.compile(r"(?:pixel|px|p)?[ _]?(\d{1,5})")
PLACED = re.compile(r"(\d{1,3})x(\d{1,3})")

MAX_LABEL_LETTERS = 64
MAX_VOTES = 1e6
MAX_LABELS = 1000
"""Distinct labels; a column with more holds row numbers or names."""

FER2013_LABELS = {str(number).encode(): number for number in range(len(FER2013))}
DETECTION_LINES = 100
"""Lines after the header from which ``is_fer2013`` decides."""


def read(path: Path) -> Dataset:
    """The data set of a csv of pixels; parsed once, then cached by the file's SHA-256.

    Labels that all name expressions are expressions. Whole numbers 0 to 6 in a column called emotion are FER2013's. All
    others, names or numbers, are the user's own classes. Votes become shares.

    Args:
        path: a .csv, .csv.gz, .csv.xz, or a .zip whose first csv is read.

    Returns:
        Face crops uint8 (count, side, side, 1) in the file's order; the first valid row sets the side. Rows are line
        numbers, the header being line 1.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks labels or pixels, or no row is valid.
    """
    return FORMAT.read(path, path.name.split(".", 1)[0])


def read_fer2013(path: Path) -> Dataset:
    """The data set of a FER2013 csv, strictly: a row whose emotion is not 0 to 6 is rejected.

    Args:
        path: a .csv, .csv.gz, .csv.xz, or a .zip whose first csv is read.

    Returns:
        As ``read``.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks emotion or pixels, or no row is valid.
    """
    return FER2013_FORMAT.read(path, "fer2013")


def is_fer2013(path: Path) -> bool:
    """Whether a csv has the columns emotion and pixels, and a whole number among the first emotions.

    False for a file that can't be read.
    """
    try:
        with csv_rows.opened(path) as file:
            lines = csv_rows.lines(file)
            names = csv_rows.names(next(lines, (1, b""))[1])
            if not {b"emotion", b"pixels"} <= set(names):
                return False
            emotion = names.index(b"emotion")
            values = (line.split(b",") for _, line in islice(lines, DETECTION_LINES))
            return any(unquoted(row[emotion]).isdigit() for row in values if len(row) == len(names))
    except (DatasetError, *csv_rows.DAMAGED):
        return False


def _truth(arrays: csv_rows.Arrays) -> Truth:
    return _shares(arrays["votes"], arrays["columns"]) if "votes" in arrays else _named_classes(arrays["words"])


def _fer2013_truth(arrays: csv_rows.Arrays) -> Truth:
    return one_hot("fer2013", tuple(FER2013), arrays["labels"])


def _named_classes(names: npt.NDArray[np.str_]) -> Truth:
    different = set(names.tolist())
    if len(different) > MAX_LABELS:
        raise DatasetError(
            f"expected at most {MAX_LABELS} different labels; received {len(different)}, such as {min(different)!r}. "
            f"Is the column of labels ({', '.join(LABEL_NAMES)}) one of names or row numbers?"
        )
    return truth_of_labels(names.tolist())


def _shares(votes: npt.NDArray[np.float64], columns: npt.NDArray[np.str_]) -> Truth:
    head, labels = labels_for([Emotion(column) for column in columns.tolist()])
    targets = np.zeros((len(votes), len(labels)), dtype=np.float32)
    targets[:, [labels.index(column) for column in columns.tolist()]] = votes / votes.sum(axis=1, keepdims=True)
    everyone = np.ones(len(votes))
    return Truth(head, labels, targets, everyone.astype(np.float32), everyone.astype(np.bool_))


@dataclass(frozen=True)
class _Layout:
    """Column indices.

    Attributes:
        count: number of columns.
        pixels: the one column of all pixels, or one column per pixel in the image's order.
        label: the column of labels; None if there are votes.
        numbers: the expressions that whole numbers in it stand for; empty if they are class names.
        votes: the columns of votes, and the expression of each.
        usage: the column of splits, or None.
        fer2013: accept only the labels 0 to 6, and take the names of splits as written.
    """

    count: int
    pixels: tuple[int, ...]
    label: int | None
    numbers: tuple[Emotion, ...]
    votes: tuple[tuple[int, Emotion], ...]
    usage: int | None
    fer2013: bool = False

    def row(self, line: bytes, before: csv_rows.Rows) -> tuple[str | int | tuple[float, ...], bytes, str]:
        """Label or votes, pixels and split of a line."""
        values = csv_rows.values_of(line, self.count)
        label = self._label(values, line, before)
        split = TRAINING
        if self.usage is not None:
            named = csv_rows.split_of(unquoted(values[self.usage]), line, before)
            split = named if self.fer2013 else SPLITS.get(named.lower(), named)
        return label, csv_rows.pixels_of(self._pixel_values(values), before.side), split

    def _label(self, values: list[bytes], line: bytes, before: csv_rows.Rows) -> str | int | tuple[float, ...]:
        if self.label is None:
            return _votes([unquoted(values[at]) for at, _ in self.votes])
        value = unquoted(values[self.label])
        if self.fer2013:
            if value not in FER2013_LABELS:
                raise BadRowError(f"expected an emotion from 0 to {len(FER2013) - 1}; received {shown(value)}")
            return FER2013_LABELS[value]
        label = _label_name(value)
        if self.label == self.count - 1 and not line.endswith(b"\n") and label not in before.labels:
            raise BadRowError(f"the last line is cut: it ends in the unknown label {label!r}")
        return label

    def _pixel_values(self, values: list[bytes]) -> list[bytes]:
        if len(self.pixels) == 1:
            return unquoted(values[self.pixels[0]]).split()
        return [unquoted(values[at]) for at in self.pixels]

    def labels(self, rows: csv_rows.Rows) -> csv_rows.Arrays:
        """The labels as arrays: class indices of FER2013, names, or votes and their columns."""
        if self.fer2013:
            return {"labels": np.array(rows.labels, dtype=np.int64)}
        if self.label is None:
            return {
                "votes": np.array(rows.labels, dtype=np.float64),
                "columns": np.array([emotion.value for _, emotion in self.votes]),
            }
        names = {str(number): emotion.value for number, emotion in enumerate(self.numbers)}
        numbered = set(rows.labels) <= set(names)
        return {"words": np.array([names[label] if numbered else label for label in rows.labels], dtype=np.str_)}


def _layout(header: bytes, path: Path) -> _Layout:
    names = [name.decode("utf-8", "replace") for name in csv_rows.names(header)]
    received = ", ".join(names[:6])[:80] + (", ..." if len(names) > 6 else "")
    pixels = _pixel_columns(names)
    if not pixels:
        raise DatasetError(
            f"expected a first line such as 'label,pixels', 'label,pixel0,pixel1,...' or 'label,1x1,1x2,...' in "
            f"{path}; received {received!r}. Name the columns there; the pixels must be those of a square"
        )
    labels = [at for at, name in enumerate(names) if name in LABEL_NAMES]
    usages = [at for at, name in enumerate(names) if name in USAGE_NAMES]
    others = [(at, emotion_named(name)) for at, name in enumerate(names) if at not in {*pixels, *usages}]
    votes = tuple((at, emotion) for at, emotion in others if emotion is not None)
    voted = len(votes) > 1 and len(votes) == len(others) == len({emotion for _, emotion in votes})
    if len(labels) > 1 or len(usages) > 1 or not (labels or voted):
        raise DatasetError(
            f"expected one column of labels ({', '.join(LABEL_NAMES)}), or only columns named by expressions, and at "
            f"most one of {' and '.join(USAGE_NAMES)}, in {path}; received {received!r}. "
            "Training and evaluation need labels"
        )
    return _Layout(
        count=len(names),
        pixels=pixels,
        label=labels[0] if labels else None,
        numbers=FER2013 if labels and names[labels[0]] == LABEL_NAMES[0] else (),
        votes=() if labels else votes,
        usage=usages[0] if usages else None,
    )


def _fer2013_layout(header: bytes, path: Path) -> _Layout:
    names = csv_rows.names(header)
    where = {name: at for at, name in enumerate(names)}
    if b"pixels" not in where or b"emotion" not in where or len(where) != len(names):
        received = header[:60].decode("ascii", "replace").strip()
        labels = " Without emotion the rows have no labels to train or evaluate on" if b"pixels" in where else ""
        raise DatasetError(f"expected the header 'emotion,pixels,Usage' in {path}; received {received!r}.{labels}")
    return _Layout(
        count=len(names),
        pixels=(where[b"pixels"],),
        label=where[b"emotion"],
        numbers=FER2013,
        votes=(),
        usage=where.get(b"usage"),
        fer2013=True,
    )


def _pixel_columns(names: list[str]) -> tuple[int, ...]:
    """The columns of pixels in the image's order; empty if there are none, or if they form no square."""
    if PIXELS_NAME in names:
        return (names.index(PIXELS_NAME),) if names.count(PIXELS_NAME) == 1 else ()
    for pattern in (NUMBERED, PLACED):
        places = {
            at: tuple(map(int, found.groups())) for at, name in enumerate(names) if (found := pattern.fullmatch(name))
        }
        side = math.isqrt(len(places))
        if side in csv_rows.SIDES and set(places.values()) in _squares(side, pattern.groups):
            return tuple(sorted(places, key=places.__getitem__))
    return ()


def _squares(side: int, dimensions: int) -> list[set[tuple[int, ...]]]:
    """The names that the pixels of a square may have, numbered from 0 or from 1."""
    if dimensions == 1:
        return [{(first + at,) for at in range(side * side)} for first in (0, 1)]
    return [{(row + first, column + first) for row in range(side) for column in range(side)} for first in (0, 1)]


def _label_name(value: bytes) -> str:
    try:
        name = value.decode()
    except UnicodeDecodeError:
        name = ""
    if not name.isprintable() or not 0 < len(name) <= MAX_LABEL_LETTERS:
        raise BadRowError(f"expected a label of 1 to {MAX_LABEL_LETTERS} letters; received {shown(value)}")
    return name


def _votes(values: list[bytes]) -> tuple[float, ...]:
    try:
        votes = tuple(map(float, values))
    except ValueError:
        votes = (math.nan,)
    if not all(0 <= vote <= MAX_VOTES for vote in votes) or not sum(votes) > 0:
        received = b" ".join(values)
        raise BadRowError(f"expected votes of 0 or more, not all 0; received {shown(received)}")
    return votes


FORMAT = csv_rows.Format("pixels", "a csv of pixels", _layout, _truth)
FER2013_FORMAT = csv_rows.Format("fer2013", "a FER2013 csv", _fer2013_layout, _fer2013_truth)
