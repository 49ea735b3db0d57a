"""A labelled data set in memory: chips, and what is known of each for every head of a network."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.arrays import Chips, Targets, check_chips, check_distribution
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAINING = "Training"
PUBLIC_TEST = "PublicTest"
PRIVATE_TEST = "PrivateTest"


@dataclass(frozen=True)
class Truth:
    """What is known of each chip under one set of labels: one per head of a network.

    Attributes:
        head: name of the head that learns it: "fer2013", "ferplus", or "classes" for a user's own.
        labels: names in the order of the columns of ``targets``.
        targets: float32 (count, labels), rows sum to 1: one-hot, or shares of votes.
        weights: float32 (count,), how much each row counts in training; 0 leaves it out.
        judged: bool (count,), the rows that count in evaluation.
    """

    head: str
    labels: tuple[str, ...]
    targets: Targets
    weights: npt.NDArray[np.float32]
    judged: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        check_distribution(self.targets, len(self.labels))
        if self.weights.shape != (len(self.targets),) or self.judged.shape != (len(self.targets),):
            raise DatasetError(f"expected a weight and a mark for each of the {len(self.targets)} rows")

    @property
    def answers(self) -> npt.NDArray[np.int64]:
        """The index of each row's best label, (count,)."""
        best: npt.NDArray[np.int64] = self.targets.argmax(axis=1)
        return best


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be read: its place (line number, or path) and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Chips with their truths.

    Attributes:
        name: what the data is called in cards and reports.
        chips: uint8 (count, size, size, channels).
        truths: one per set of labels; the first is the data's own.
        splits: str (count,), the split of each row: "Training", "PublicTest", ...
        rows: str (count,), where each row came from: line number of a csv, path of a picture.
        digest: SHA-256 over the files that were read.
        rejected: the rows that could not be read, in order.
    """

    name: str
    chips: Chips
    truths: tuple[Truth, ...]
    splits: npt.NDArray[np.str_]
    rows: npt.NDArray[np.str_]
    digest: str
    rejected: tuple[Rejected, ...] = ()

    def __post_init__(self) -> None:
        check_chips(self.chips)
        lengths = {len(self.splits), len(self.rows), *(len(truth.targets) for truth in self.truths)}
        if lengths != {len(self.chips)} or not self.truths:
            raise DatasetError(f"expected a split, a row and a target for each of the {len(self.chips)} chips")

    def __len__(self) -> int:
        return len(self.chips)

    @property
    def size(self) -> int:
        """Side of the chips in pixels."""
        return int(self.chips.shape[1])

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self.chips.shape[3])

    def split_names(self) -> tuple[str, ...]:
        """The splits that have rows, in order of first appearance."""
        return tuple(dict.fromkeys(self.splits.tolist()))

    def split(self, name: str) -> Dataset:
        """The rows of one split.

        Raises:
            DatasetError: the data has no such split.
        """
        if name not in self.split_names():
            raise DatasetError(
                f"expected one of the splits {list(self.split_names())} of {self.name}; received {name!r}"
            )
        return self.select(self.splits == name)

    def select(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | Sequence[int]) -> Dataset:
        """The rows of a mask or of indexes, as a data set of their own."""
        return dataclasses.replace(
            self,
            chips=self.chips[rows],
            truths=tuple(
                dataclasses.replace(
                    truth, targets=truth.targets[rows], weights=truth.weights[rows], judged=truth.judged[rows]
                )
                for truth in self.truths
            ),
            splits=self.splits[rows],
            rows=self.rows[rows],
        )

    def truth(self, head: str) -> Truth:
        """What is known for one head.

        Raises:
            DatasetError: nothing is.
        """
        for truth in self.truths:
            if truth.head == head:
                return truth
        raise DatasetError(
            f"expected one of the label sets {[truth.head for truth in self.truths]} of {self.name}; received {head!r}"
        )

    def with_truth(self, truth: Truth) -> Dataset:
        """The same chips with one more set of labels."""
        return dataclasses.replace(self, truths=(*self.truths, truth))


def training_and_validation(data: Dataset, seed: int = 0, share: float = 0.1) -> tuple[Dataset, Dataset]:
    """What is learnt from, and what choices are made on.

    The splits Training and PublicTest where the data has both; else a share of Training (or of everything, where
    no split has that name) is held out by chance. PrivateTest is never touched.

    Raises:
        DatasetError: too few rows are left to learn from.
    """
    names = data.split_names()
    training = data.split(TRAINING) if TRAINING in names else data.select(data.splits != PRIVATE_TEST)
    if TRAINING in names and PUBLIC_TEST in names:
        return training, data.split(PUBLIC_TEST)
    if len(training) < 10:
        raise DatasetError(f"expected at least 10 pictures to learn from in {data.name}; received {len(training)}")
    order = np.random.default_rng(seed).permutation(len(training))
    held = max(1, round(share * len(training)))
    return training.select(np.sort(order[held:])), training.select(np.sort(order[:held]))
