"""Training rows dealt into folds, so that a network can be asked about rows that it did not learn from.

A network that learnt from a copy of an image has seen that image, so copies go into one fold together. How rows are
dealt depends on nothing but the data and the number of folds: runs of other seeds and networks leave out the same rows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.data import cache
from mien.data.duplicates import links, nobody
from mien.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.structures import Crops

MOST = 100
"""Folds; more are a run a handful of rows."""

KEPT = "copies"
"""What groups of copies are called in the cache: they stay for all numbers of folds."""


@dataclass(frozen=True)
class Fold:
    """One of several parts that a run leaves out; written "K/N".

    Attributes:
        number: which one, from 0.
        count: how many there are.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not (2 <= self.count <= MOST and 0 <= self.number < self.count):
            raise UsageError(
                f"expected a fold as K/N, K from 0 to N - 1 and N from 2 to {MOST}; received {self}. "
                "The five of N = 5 are 0/5, 1/5, 2/5, 3/5 and 4/5"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def fold_named(text: str) -> Fold:
    """The fold that "K/N" means.

    Raises:
        UsageError: it means none.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if not found:
        raise UsageError(f"expected a fold as K/N, such as 0/5; received {text!r}")
    return Fold(int(found[1]), int(found[2]))


def outside(training: Dataset, fold: Fold, tell: Callable[[float], None] = nobody) -> Dataset:
    """The rows outside a fold; their digest tells so.

    Args:
        training: all rows that could be learnt from.
        fold: the one left out.
        tell: is told the share that is done of looking for copies.

    Raises:
        DatasetError: the data is too small, or too much of it is copies, for so many folds.
    """
    kept = dealt(training, fold.count, tell) != fold.number
    return dataclasses.replace(training.select(kept), digest=digest_outside(training.digest, fold))


def digest_outside(digest: str, fold: Fold) -> str:
    """The digest of data without a fold, from that of all of it."""
    return hashlib.sha256(f"{digest}\0fold {fold}".encode()).hexdigest()


def dealt(training: Dataset, count: int, tell: Callable[[float], None] = nobody) -> npt.NDArray[np.int64]:
    """The fold of each row, int64 (rows,) from 0: evenly by the data's own label, copies together.

    Args:
        training: all rows that could be learnt from.
        count: of folds.
        tell: is told the share that is done of looking for copies.

    Raises:
        DatasetError: a fold would be empty.
    """
    group, own = _groups(training.crops, tell), training.truths[0]
    names, member = np.unique(group, return_inverse=True)
    held = np.zeros((len(names), len(own.labels)), np.int64)  # rows of each label in each group
    np.add.at(held, (member, own.answers), 1)
    folds = np.zeros((count, len(own.labels)), np.int64)
    place = np.zeros(len(names), np.int64)
    for one in np.argsort(-held.sum(axis=1), kind="stable"):  # large groups first: small ones even them out
        likeness = folds @ held[one]
        place[one] = np.lexsort((folds.sum(axis=1), likeness))[0]
        folds[place[one]] += held[one]
    if not folds.sum(axis=1).all():
        raise DatasetError(
            f"expected images for {count} folds in {training.name}; received {len(training)} rows, copies of "
            f"{len(names)} images. Ask for fewer folds"
        )
    return place[member]


def _groups(crops: Crops, tell: Callable[[float], None]) -> npt.NDArray[np.int64]:
    """Which group of copies each face crop is of, int64 (count,); kept in the cache, as finding them takes a while."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    digest.update(crops.tobytes())
    kept = (cache.kept(KEPT, digest.hexdigest()) or {}).get("group")
    if kept is not None and kept.shape == (len(crops),) and kept.dtype == np.int64:
        return kept
    group = links(crops, tell).group
    cache.keep(KEPT, digest.hexdigest(), {"group": group})
    return group
