"""FER+: ten votes for each image of FER2013 (Barsoum et al. 2016), as a second set of labels."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mien.data.dataset import Dataset, Truth
from mien.data.split_names import split_named
from mien.emotions import FERPLUS, emotion_named
from mien.errors import DatasetError
from mien.media.files import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

REJECTING = ("unknown", "nf")
"""The two columns of votes for no emotion: unknown, and no face."""


def attach(data: Dataset, votes: Path) -> Dataset:
    """Add the ground truth "ferplus" from ``fer2013new.csv`` to a FER2013 data set.

    The files match by line number, even if rows of the data were rejected. Targets are the shares of votes over the
    eight emotions. The weight of a row is the share of all its votes for these emotions; a row without such votes has
    weight 0 and uniform targets. ``evaluated`` follows the protocol of microsoft/FERPlus (``ferplus.py``, majority).

    Args:
        data: the whole data set from ``pixel_csv.read_fer2013``.
        votes: ``fer2013new.csv``.

    Raises:
        DatasetError: the votes can't be read, or belong to other data.
    """
    usages, counts, lines = _read(votes)
    own = [int(row) for row in data.rows if row.isdecimal()]
    last = max([*own, *(int(bad.place) for bad in data.rejected if bad.place.isdecimal())], default=0)
    if len(own) != len(data) or last != lines[-1]:
        raise DatasetError(
            f"expected votes row for row with {data.name}, whose last line is {last}; received {votes}, whose last is "
            f"{lines[-1]}. Use the fer2013new.csv of the same rows, and attach it before splitting"
        )
    at = np.searchsorted(lines, own)
    same = (lines[at] == own) & (usages[at] == data.splits)
    if not same.all():
        row = int(np.argmin(same))
        raise DatasetError(
            f"expected votes row for row with {data.name}; line {own[row]} has the split {data.splits[row]} there and "
            f"{usages[at[row]]} in {votes}. Use the fer2013new.csv of the same rows"
        )
    digest = hashlib.sha256((data.digest + sha256_of(votes)).encode()).hexdigest()
    return dataclasses.replace(data.with_truth(_truth(counts[at])), digest=digest)


def majority(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The rows that the FER+ protocol keeps, bool (count,).

    Single votes are set to zero. A row is kept if one column has more than half of the remaining votes and is one of
    the eight emotions, not "unknown" or "no face". Source: microsoft/FERPlus ``src/ferplus.py``, mode majority.

    Args:
        votes: (count, 10), the eight emotions in the order of ``FERPLUS``, then unknown and no face.
    """
    left = np.where(votes == 1, 0, votes)
    won = 2 * left.max(axis=1) > left.sum(axis=1)
    kept: npt.NDArray[np.bool_] = won & (left.argmax(axis=1) < len(FERPLUS))
    return kept


def _truth(votes: npt.NDArray[np.int64]) -> Truth:
    eight = votes[:, : len(FERPLUS)]
    known = eight.sum(axis=1)
    shares = np.where(known[:, None] > 0, eight / np.maximum(known, 1)[:, None], 1 / len(FERPLUS))
    return Truth(
        head="ferplus",
        labels=tuple(FERPLUS),
        targets=shares.astype(np.float32),
        weights=(known / np.maximum(votes.sum(axis=1), 1)).astype(np.float32),
        evaluated=majority(votes),
    )


def _read(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Splits, votes (count, 10) and line numbers of a file of votes."""
    usages: list[str] = []
    counts: list[list[int]] = []
    lines: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            usage, columns = _columns(next(rows, []), path)
            for row in filter(None, rows):
                usages.append(split_named(row[usage]) or row[usage].strip())
                counts.append([_votes(row[column]) for column in columns])
                lines.append(rows.line_num)
    except (OSError, ValueError, IndexError, csv.Error) as error:
        read = f"after line {lines[-1]}" if lines else "from its first row"
        raise DatasetError(f"expected FER+ votes as in fer2013new.csv; {path} is not that {read} ({error})") from error
    if not lines:
        raise DatasetError(f"expected FER+ votes as in fer2013new.csv; {path} has no rows")
    return np.array(usages), np.array(counts, dtype=np.int64), np.array(lines, dtype=np.int64)


def _votes(text: str) -> int:
    votes = int(text)
    if not 0 <= votes <= 1000:
        raise ValueError(f"{votes} votes")
    return votes


def _columns(header: list[str], path: Path) -> tuple[int, list[int]]:
    """The column of Usage, and the columns of the eight emotions, unknown and no face."""
    names = [name.strip().lower() for name in header]
    where = {emotion_named(name) or name: at for at, name in enumerate(names)}
    required = ("usage", *FERPLUS, *REJECTING)
    missing = [str(name) for name in required if name not in where]
    if missing:
        raise DatasetError(f"expected the header of fer2013new.csv in {path}; it lacks {', '.join(missing)}")
    usage, *columns = (where[name] for name in required)
    return usage, columns
