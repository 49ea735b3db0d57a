"""A labelled data set in memory: face crops, and targets for each head of a network."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.emotions import FER2013, Emotion, emotion_named
from mien.errors import DatasetError
from mien.structures import Crops, Targets, check_crops, check_distribution

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

TRAINING = "Training"
PUBLIC_TEST = "PublicTest"
PRIVATE_TEST = "PrivateTest"


@dataclass(frozen=True)
class Truth:
    """The ground truth of the face crops for one head of a network.

    Attributes:
        head: name of the head trained on it: "fer2013", "ferplus", or "classes" for a user's own labels.
        labels: names in the order of the columns of ``targets``.
        targets: float32 (count, labels), rows sum to 1: one-hot, or shares of votes.
        weights: float32 (count,), sample weights in training; 0 leaves a row out.
        evaluated: bool (count,), rows that count in evaluation.
    """

    head: str
    labels: tuple[str, ...]
    targets: Targets
    weights: npt.NDArray[np.float32]
    evaluated: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        check_distribution(self.targets, len(self.labels))
        if self.weights.shape != (len(self.targets),) or self.evaluated.shape != (len(self.targets),):
            raise DatasetError(f"expected a weight and an evaluation flag for each of the {len(self.targets)} rows")

    @property
    def class_ids(self) -> npt.NDArray[np.int64]:
        """The class index of each row: its most probable label, (count,)."""
        best: npt.NDArray[np.int64] = self.targets.argmax(axis=1)
        return best


def truth_of_labels(names: Sequence[str]) -> Truth:
    """One-hot ground truth from labels as text.

    If every label names an expression ("happy", "Anger"), the labels are expressions: all seven under the head
    "fer2013" if they are of FER2013, else those found, in the order of ``Emotion``, under "classes". Any other text
    makes all of them the user's own classes: sorted (whole numbers by value), under "classes".

    Args:
        names: the label of each face crop.
    """
    emotions = {name: emotion_named(name) for name in names}
    expressions = {emotion for emotion in emotions.values() if emotion is not None}
    if None in emotions.values():
        head, labels = "classes", tuple(sorted(emotions, key=int if all(map(str.isdecimal, emotions)) else None))
    else:
        head, labels = labels_for(expressions)
    indices = {name: labels.index(name if name in labels else str(emotions[name])) for name in emotions}
    return one_hot(head, labels, np.array([indices[name] for name in names], dtype=np.int64))


def labels_for(expressions: Collection[Emotion]) -> tuple[str, tuple[str, ...]]:
    """The head for some expressions, and its labels: FER2013's seven if they include all of them."""
    if set(expressions) <= set(FER2013):
        return "fer2013", tuple(FER2013)
    return "classes", tuple(emotion for emotion in Emotion if emotion in expressions)


def one_hot(head: str, labels: tuple[str, ...], class_ids: npt.NDArray[np.int64]) -> Truth:
    """The ground truth of rows with one label each; all count in training and evaluation.

    Args:
        head: name of the head.
        labels: names of the classes.
        class_ids: int64 (count,), the class index of each row.
    """
    return Truth(
        head=head,
        labels=labels,
        targets=np.eye(len(labels), dtype=np.float32)[class_ids],
        weights=np.ones(len(class_ids), dtype=np.float32),
        evaluated=np.ones(len(class_ids), dtype=np.bool_),
    )


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be read: its place (line number, or path) and why."""

    place: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Face crops with their ground truth.

    Attributes:
        name: of the data in cards and reports.
        crops: uint8 (count, size, size, channels).
        truths: the ground truth for each set of labels; the first is the data's own.
        splits: str (count,), the split of each row: "Training", "PublicTest", ...
        rows: str (count,), where each row came from: line number of a csv, path of an image.
        digest: SHA-256 of the files read.
        rejected: the rows that could not be read, in order.
        notes: what a user should know about how the data was read: rows that are left out, a choice among files.
    """

    name: str
    crops: Crops
    truths: tuple[Truth, ...]
    splits: npt.NDArray[np.str_]
    rows: npt.NDArray[np.str_]
    digest: str
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_crops(self.crops)
        lengths = {len(self.splits), len(self.rows), *(len(truth.targets) for truth in self.truths)}
        if lengths != {len(self.crops)} or not self.truths:
            raise DatasetError(f"expected a split, a row and a target for each of the {len(self.crops)} face crops")

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def size(self) -> int:
        """Side of the face crops in pixels."""
        return int(self.crops.shape[1])

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self.crops.shape[3])

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
            crops=self.crops[rows],
            truths=tuple(
                dataclasses.replace(
                    truth, targets=truth.targets[rows], weights=truth.weights[rows], evaluated=truth.evaluated[rows]
                )
                for truth in self.truths
            ),
            splits=self.splits[rows],
            rows=self.rows[rows],
        )

    def without(self, rows: Collection[str]) -> Dataset:
        """The data without some rows, with a digest of its own.

        Args:
            rows: places as in ``rows`` ("17", "happy/a.png"); rejected rows may be among them.

        Raises:
            DatasetError: the data lacks one of the places, or no row is left.
        """
        excluded = set(rows)
        if not excluded:
            return self
        unknown = excluded - set(self.rows.tolist()) - {bad.place for bad in self.rejected}
        if unknown:
            raise DatasetError(
                f"expected places of {self.name} to exclude; received {min(unknown)!r}, which it lacks "
                f"({len(unknown)} such of {len(excluded)}). Use the list that was made from this data"
            )
        kept = ~np.isin(self.rows, sorted(excluded))
        if not kept.any():
            raise DatasetError(f"expected rows to be left of {self.name}; all {len(self)} are excluded")
        identity = "\0".join([self.digest, *sorted(excluded)]).encode(errors="surrogateescape")
        return dataclasses.replace(self.select(kept), digest=hashlib.sha256(identity).hexdigest())

    def truth(self, head: str) -> Truth:
        """The ground truth for one head.

        Raises:
            DatasetError: the data has none for it.
        """
        for truth in self.truths:
            if truth.head == head:
                return truth
        raise DatasetError(
            f"expected one of the heads {[truth.head for truth in self.truths]} of {self.name}; received {head!r}"
        )

    def with_truth(self, truth: Truth) -> Dataset:
        """The same face crops with the ground truth for one more head."""
        return dataclasses.replace(self, truths=(*self.truths, truth))
