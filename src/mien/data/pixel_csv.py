"""Anyone's csv of pixels: an image a line, with its label, in any of the forms that are about.

- ``label,pixels``: all pixels in one column, with spaces between (as FER2013's);
- ``label,pixel0,pixel1,...`` or ``label,1x1,1x2,...``: a column a pixel (as Kaggle's digits);
- ``pixels,happy,sad,...``: a column an expression, with votes or a 1 for the one shown.

The label's column is called emotion, label, class or expression. A column Usage or split names the split; without it
every row is Training. Other columns are passed over. Pixels are grey, row by row.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.data import csv_rows
from mien.data.csv_rows import BadRowError, shown, unquoted
from mien.data.dataset import SPLITS, TRAINING, Dataset, Truth, labels_for, truth_of_words
from mien.emotions import FER2013, Emotion, emotion_named
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

LABEL_NAMES = ("emotion", "label", "class", "expression")
USAGE_NAMES = ("usage", "split")
PIXELS = "pixels"
NUMBERED = re.compile(r"(?:pixel|px|p)?[ _]?(\d{1,5})")
PLACED = re.compile(r"(\d{1,3})x(\d{1,3})")

LONGEST_LABEL = 64
MOST_VOTES = 1e6
MOST_LABELS = 1000
"""Different labels; a column with more holds numbers of rows, or names."""


def read(path: Path) -> Dataset:
    """The data set of a csv of pixels; parsed once, then kept in mien's cache by the file's SHA-256.

    Labels that all name expressions are expressions; whole numbers 0 to 6 in a column called emotion are FER2013's;
    all others, words or numbers, are classes of the user's own. Votes become shares.

    Args:
        path: a .csv, .csv.gz, .csv.xz, or a .zip whose first csv is read.

    Returns:
        face crops uint8 (count, side, side, 1) in the file's order, the side being that of the first good row; rows are
        line numbers from 1, the header's.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks labels or pixels, or no row is good.
    """
    return FORMAT.read(path, path.name.split(".", 1)[0])


def _truth(arrays: csv_rows.Arrays) -> Truth:
    return _shares(arrays["votes"], arrays["columns"]) if "votes" in arrays else _answers(arrays["words"])


def _answers(words: npt.NDArray[np.str_]) -> Truth:
    different = set(words.tolist())
    if len(different) > MOST_LABELS:
        raise DatasetError(
            f"expected at most {MOST_LABELS} different labels; received {len(different)}, such as {min(different)!r}. "
            f"Is the column of labels ({', '.join(LABEL_NAMES)}) one of names or row numbers?"
        )
    return truth_of_words(words.tolist())


def _shares(votes: npt.NDArray[np.float64], columns: npt.NDArray[np.str_]) -> Truth:
    head, labels = labels_for([Emotion(column) for column in columns.tolist()])
    targets = np.zeros((len(votes), len(labels)), dtype=np.float32)
    targets[:, [labels.index(column) for column in columns.tolist()]] = votes / votes.sum(axis=1, keepdims=True)
    everyone = np.ones(len(votes))
    return Truth(head, labels, targets, everyone.astype(np.float32), everyone.astype(np.bool_))


@dataclass(frozen=True)
class _Layout:
    """Where the columns are.

    Attributes:
        count: how many there are.
        pixels: the one column of all pixels, or one for each in the image's order.
        label: the column of labels, or None where there are votes.
        numbers: the expressions that whole numbers in it stand for; empty where they stand for themselves.
        votes: the columns of votes, and the expression of each.
        usage: the column of splits, or None.
    """

    count: int
    pixels: tuple[int, ...]
    label: int | None
    numbers: tuple[Emotion, ...]
    votes: tuple[tuple[int, Emotion], ...]
    usage: int | None

    def row(self, line: bytes, before: csv_rows.Rows) -> tuple[str | tuple[float, ...], bytes, str]:
        """Label or votes, pixels and split of a line."""
        values = csv_rows.values_of(line, self.count)
        whole = line.endswith(b"\n")
        label: str | tuple[float, ...]
        if self.label is None:
            label = _votes([unquoted(values[at]) for at, _ in self.votes])
        else:
            label = _word(unquoted(values[self.label]))
            if self.label == self.count - 1 and not whole and label not in before.labels:
                raise BadRowError(f"the last line is cut: it ends in the unknown label {label!r}")
        split = TRAINING
        if self.usage is not None:
            named = csv_rows.split_of(unquoted(values[self.usage]), line, before)
            split = SPLITS.get(named.lower(), named)
        return label, csv_rows.pixels_of(self._numbers(values), before.side), split

    def _numbers(self, values: list[bytes]) -> list[bytes]:
        if len(self.pixels) == 1:
            return unquoted(values[self.pixels[0]]).split()
        return [unquoted(values[at]) for at in self.pixels]

    def labels(self, rows: csv_rows.Rows) -> csv_rows.Arrays:
        """What was read of labels, as arrays: words, or votes and their columns."""
        if self.label is None:
            return {
                "votes": np.array(rows.labels, dtype=np.float64),
                "columns": np.array([emotion.value for _, emotion in self.votes]),
            }
        meant = {str(number): emotion.value for number, emotion in enumerate(self.numbers)}
        numbered = set(rows.labels) <= set(meant)
        return {"words": np.array([meant[word] if numbered else word for word in rows.labels], dtype=np.str_)}


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
            "Without labels there is nothing to learn or to judge by"
        )
    return _Layout(
        count=len(names),
        pixels=pixels,
        label=labels[0] if labels else None,
        numbers=FER2013 if labels and names[labels[0]] == LABEL_NAMES[0] else (),
        votes=() if labels else votes,
        usage=usages[0] if usages else None,
    )


def _pixel_columns(names: list[str]) -> tuple[int, ...]:
    """The columns of pixels in the image's order; empty where they are none, or no square's."""
    if PIXELS in names:
        return (names.index(PIXELS),) if names.count(PIXELS) == 1 else ()
    for pattern in (NUMBERED, PLACED):
        places = {
            at: tuple(map(int, found.groups())) for at, name in enumerate(names) if (found := pattern.fullmatch(name))
        }
        side = math.isqrt(len(places))
        if side in csv_rows.SIDES and set(places.values()) in _squares(side, pattern.groups):
            return tuple(sorted(places, key=places.__getitem__))
    return ()


def _squares(side: int, dimensions: int) -> list[set[tuple[int, ...]]]:
    """The names that the pixels of a square may have, counted from 0 and from 1."""
    if dimensions == 1:
        return [{(first + at,) for at in range(side * side)} for first in (0, 1)]
    return [{(row + first, column + first) for row in range(side) for column in range(side)} for first in (0, 1)]


def _word(value: bytes) -> str:
    try:
        word = value.decode()
    except UnicodeDecodeError:
        word = ""
    if not word.isprintable() or not 0 < len(word) <= LONGEST_LABEL:
        raise BadRowError(f"expected a label of 1 to {LONGEST_LABEL} letters; received {shown(value)}")
    return word


def _votes(values: list[bytes]) -> tuple[float, ...]:
    try:
        votes = tuple(map(float, values))
    except ValueError:
        votes = (math.nan,)
    if not all(0 <= vote <= MOST_VOTES for vote in votes) or not sum(votes) > 0:
        received = b" ".join(values)
        raise BadRowError(f"expected votes of 0 or more, not all 0; received {shown(received)}")
    return votes


FORMAT = csv_rows.Format("pixels", "a csv of pixels", _layout, _truth)
