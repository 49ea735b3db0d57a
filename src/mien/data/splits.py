"""Which rows train and which validate: exclusion lists, a held-out share, and folds for cross-fitting.

``mien data audit`` writes a list of rows to exclude, and ``mien train --exclude`` reads it. It is a UTF-8 text file
with one place per line, as in ``Dataset.rows``, followed by a tab and the reason. Blank lines and lines that start with
``#`` are ignored. A place that a plain line can't hold (a name with a tab, or one that starts with ``#``) is written as
a JSON string in double quotes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.data import cache
from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from mien.data.duplicates import group_duplicates, ignore_progress
from mien.errors import DatasetError, UsageError
from mien.media.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from mien.structures import Crops

HELD_OUT = "held out"
"""The split that ``training_and_validation`` makes if the data has no validation split."""

HEADING = "# rows to exclude: a place, then a tab and the reason; delete the lines of rows that should stay"

MAX_LIST_BYTES = 100_000_000
"""A line for each of a million images is less."""

_PLAIN = re.compile(r"[^\s\"#](.*\S)?")

MAX_FOLDS = 100
"""More folds leave a handful of rows to each."""

CACHE_NAME = "copies"
"""Of groups of duplicates in the cache; they serve any number of folds."""


def write_list(path: Path, reasons: Mapping[str, str]) -> None:
    """Write a list of rows to exclude, whole or not at all.

    Args:
        path: the text file.
        reasons: the places, as in ``Dataset.rows``, and why each is excluded, in this order.
    """
    lines = (f"{_written(place)}\t{' '.join(reason.split())}".rstrip() for place, reason in reasons.items())
    write_text(path, "\n".join([HEADING, *lines]) + "\n")


def read_list(path: Path) -> tuple[str, ...]:
    """The places of a list, in its order.

    Raises:
        DatasetError: the file can't be read, or is not such a list.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise DatasetError(f"expected a list of rows to exclude at {path}; received over {MAX_LIST_BYTES} bytes")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        return tuple(_place(line) for line in lines if line.strip() and not line.startswith("#"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"expected a list of rows to exclude at {path}, one place a line; it can't be read ({error}). "
            "'mien data audit' writes such a list"
        ) from error


def exclude_rows(data: Dataset, path: Path) -> Dataset:
    """The data without the rows of a list.

    Raises:
        DatasetError: the list can't be read, names a place that the data lacks, or leaves nothing.
    """
    return data.without(read_list(path))


def training_and_validation(data: Dataset, seed: int = 0, share: float = 0.1) -> tuple[Dataset, Dataset]:
    """The rows to train on and the rows to validate on.

    These are the splits Training and PublicTest if the data has both. Without PublicTest, a stratified random share of
    Training is held out: the same share of every label, at least one image of any label that has two, and images with
    the same pixels on one side. Its split is then ``HELD_OUT``. PrivateTest, and any split of another name, are never
    used.

    Args:
        data: with or without splits.
        seed: the same seed holds out the same rows.
        share: held out, between 0 and 1.

    Raises:
        DatasetError: no row is Training, too few are left to train on, or the share is out of range.
    """
    if not 0 < share < 1:
        raise DatasetError(f"expected a share to hold out between 0 and 1; received {share}")
    names = data.split_names()
    if TRAINING not in names:
        counts = ", ".join(f"{name!r} ({int((data.splits == name).sum()):,} rows)" for name in names[:5])
        raise DatasetError(
            f"expected rows of the split Training in {data.name}; received {counts}. Name the rows to train on "
            "'train', or give the data without splits"
        )
    training = data.split(TRAINING)
    if PUBLIC_TEST in names:
        return training, data.split(PUBLIC_TEST)
    if len(training) < 10:
        raise DatasetError(f"expected at least 10 images to train on in {data.name}; received {len(training)}")
    held = _held_out(training, np.random.default_rng(seed), share)
    if not held.any():
        raise DatasetError(
            f"expected two different images of some label in {data.name}, to train and to validate on; "
            "received none. Add images, or mark a split PublicTest"
        )
    validation = training.select(held)
    return training.select(~held), dataclasses.replace(validation, splits=np.full(len(validation), HELD_OUT))


@dataclass(frozen=True)
class Fold:
    """One of several parts of the training rows that a run leaves out; written "K/N".

    Attributes:
        number: its index, from 0.
        count: number of folds.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not (2 <= self.count <= MAX_FOLDS and 0 <= self.number < self.count):
            raise UsageError(
                f"expected a fold as K/N, K from 0 to N - 1 and N from 2 to {MAX_FOLDS}; received {self}. "
                "The five of N = 5 are 0/5, 1/5, 2/5, 3/5 and 4/5"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_fold(text: str) -> Fold:
    """Parse a fold written as "K/N".

    Raises:
        UsageError: the text is no fold.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if not match:
        raise UsageError(f"expected a fold as K/N, such as 0/5; received {text!r}")
    return Fold(int(match[1]), int(match[2]))


def without_fold(training: Dataset, fold: Fold, on_progress: Callable[[float], None] = ignore_progress) -> Dataset:
    """The rows outside a fold, with a digest of their own.

    Args:
        training: all training rows.
        fold: the fold left out.
        on_progress: called with the share done of the search for duplicates.

    Raises:
        DatasetError: the data has too few distinct images for this number of folds.
    """
    outside_fold = fold_of_rows(training, fold.count, on_progress) != fold.number
    return dataclasses.replace(training.select(outside_fold), digest=digest_without_fold(training.digest, fold))


def digest_without_fold(digest: str, fold: Fold) -> str:
    """The digest of data without a fold, from the digest of all of it."""
    return hashlib.sha256(f"{digest}\0fold {fold}".encode()).hexdigest()


def fold_of_rows(
    training: Dataset, count: int, on_progress: Callable[[float], None] = ignore_progress
) -> npt.NDArray[np.int64]:
    """The fold of each row, int64 (rows,) from 0: stratified by the data's own label, duplicates in one fold.

    A network trained on a duplicate of an image has seen that image, hence the grouping. The folds depend only on the
    data and their number: runs with other seeds and networks leave out the same rows.

    Args:
        training: all training rows.
        count: number of folds.
        on_progress: called with the share done of the search for duplicates.

    Raises:
        DatasetError: a fold would be empty.
    """
    group, own = _duplicate_groups(training.crops, on_progress), training.truths[0]
    names, member = np.unique(group, return_inverse=True)
    counts = np.zeros((len(names), len(own.labels)), np.int64)  # rows of each label in each group
    np.add.at(counts, (member, own.class_ids), 1)
    folds = np.zeros((count, len(own.labels)), np.int64)
    fold = np.zeros(len(names), np.int64)
    for at in np.argsort(-counts.sum(axis=1), kind="stable"):  # large groups first: small ones even them out
        overlap = folds @ counts[at]
        fold[at] = np.lexsort((folds.sum(axis=1), overlap))[0]
        folds[fold[at]] += counts[at]
    if not folds.sum(axis=1).all():
        raise DatasetError(
            f"expected images for {count} folds in {training.name}; received {len(training)} rows of "
            f"{len(names)} distinct images. Choose fewer folds"
        )
    return fold[member]


def _written(place: str) -> str:
    plain = _PLAIN.fullmatch(place) and place.isprintable()
    return place if plain else json.dumps(place)


def _place(line: str) -> str:
    written = line.split("\t", 1)[0].strip()
    if not written.startswith('"'):
        return written
    place = json.loads(written)
    if not isinstance(place, str):
        raise ValueError(f"{written[:40]} is not a string")  # noqa: TRY004 - read_list reports it like any bad line
    return place


def _held_out(data: Dataset, random: np.random.Generator, share: float) -> npt.NDArray[np.bool_]:
    """The rows to hold out, bool (count,): the share of each label, in whole groups of rows with the same pixels."""
    groups: dict[bytes, list[int]] = {}
    for row in random.permutation(len(data)).tolist():
        groups.setdefault(hashlib.sha256(data.crops[row]).digest(), []).append(row)
    by_label: dict[int, list[list[int]]] = {}
    class_ids = data.truths[0].class_ids
    for rows in groups.values():
        by_label.setdefault(int(class_ids[rows[0]]), []).append(rows)
    held = np.zeros(len(data), dtype=np.bool_)
    for _, own_groups in sorted(by_label.items()):
        trained = max(own_groups, key=len)
        remaining = max(round(share * sum(map(len, own_groups))), min(map(len, own_groups)))
        for rows in own_groups:
            if rows is not trained and len(rows) <= remaining:
                held[rows] = True
                remaining -= len(rows)
    return held


def _duplicate_groups(crops: Crops, on_progress: Callable[[float], None]) -> npt.NDArray[np.int64]:
    """The duplicate group of each face crop, int64 (count,); cached, as the search takes a while."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    digest.update(crops.tobytes())
    cached = (cache.load(CACHE_NAME, digest.hexdigest()) or {}).get("group")
    if cached is not None and cached.shape == (len(crops),) and cached.dtype == np.int64:
        return cached
    group = group_duplicates(crops, on_progress).group
    cache.save(CACHE_NAME, digest.hexdigest(), {"group": group})
    return group
