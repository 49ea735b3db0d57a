"""What is in a data set, in numbers: its splits, and how many images of each label they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mien.data.dataset import Dataset


@dataclass(frozen=True)
class Balance:
    """How many images of each label one split holds, under one set of labels.

    Attributes:
        split: "Training", ...
        head: "fer2013", ...
        labels: their names.
        counts: images whose best label it is, one number a label; an image without a label counts nowhere.
        shares: the sum of the images' shares of votes, one number a label; as ``counts`` where labels are one-hot.
        unlabelled: images without a label: no one who voted named an expression.
        judged: images that count in evaluation.
    """

    split: str
    head: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    unlabelled: int
    judged: int

    @property
    def by_votes(self) -> bool:
        """Whether an image may show several labels in part."""
        return any(abs(share - count) > 0.5 for share, count in zip(self.shares, self.counts, strict=True))

    @property
    def ratio(self) -> float:
        """Images of the most frequent label for each of the rarest; labels without images are passed over."""
        held = [count for count in self.counts if count] or [1]
        return max(held) / min(held)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        votes = {label: round(share, 3) for label, share in zip(self.labels, self.shares, strict=True)}
        return {
            "split": self.split,
            "head": self.head,
            "counts": dict(zip(self.labels, self.counts, strict=True)),
            **({"votes": votes} if self.by_votes else {}),
            "unlabelled": self.unlabelled,
            "judged": self.judged,
        }


def balance(data: Dataset) -> tuple[Balance, ...]:
    """The counts of every split under every set of labels."""
    return tuple(_balance(data.split(name), truth.head) for truth in data.truths for name in data.split_names())


def split_sizes(data: Dataset) -> dict[str, int]:
    """The number of images in each split, in order of first appearance."""
    return {name: int((data.splits == name).sum()) for name in data.split_names()}


def summary(data: Dataset) -> dict[str, Any]:
    """What is in a data set, as plain values that are ready for JSON."""
    return {
        "data": data.name,
        "digest": data.digest,
        "count": len(data),
        "size": data.size,
        "channels": data.channels,
        "splits": split_sizes(data),
        "labels": [held.to_dict() for held in balance(data)],
        "rejected": [{"place": bad.place, "reason": bad.reason} for bad in data.rejected],
    }


def _balance(part: Dataset, head: str) -> Balance:
    truth = part.truth(head)
    known = truth.weights > 0
    return Balance(
        split=str(part.splits[0]),
        head=head,
        labels=truth.labels,
        counts=tuple(np.bincount(truth.answers[known], minlength=len(truth.labels)).tolist()),
        shares=tuple(truth.targets[known].sum(axis=0, dtype=np.float64).tolist()),
        unlabelled=int((~known).sum()),
        judged=int(truth.judged.sum()),
    )
