"""What may be wrong with a data set: copies, labels that conflict, images that are blank or show no face.

An audit only points: whether an image should go is for people to say, who have the page of ``audit_page`` to look at.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.classification.face_crop import crop
from mien.data.dataset import TRAINING, Dataset
from mien.data.duplicates import COPY, Copies, Links, copies, links, nobody
from mien.data.summary import Balance, balance, split_sizes
from mien.models.card import CropRule
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mien.detection import Detector

__all__ = ["Audit", "Copies", "Group", "audit", "copies", "without"]

BLANK = 5.0
"""The standard deviation of an image's grey levels, of 0 to 255, under which it shows nothing."""

CROWD = 50
"""The largest group of photos that are no exact copies has 22 in FER2013; digits have over a thousand."""

VOTED = "ferplus"
"""The labels whose voters could also say that there is no face."""

SEARCHED = 192
"""Side in pixels to which a face crop is enlarged before a face is looked for."""


@dataclass(frozen=True)
class Group:
    """Images that are copies of each other, or of another in the group.

    Attributes:
        rows: indexes in the data, ascending.
        labels: what each shows by the data's own labels.
        splits: the split of each.
        score: the similarity of the least similar one to the nearest other; 1 for the same pixels.
        exact: whether all have the same pixels.
        mirrored: whether one is nearest to another when mirrored.
    """

    rows: tuple[int, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    score: float
    exact: bool
    mirrored: bool

    @property
    def conflict(self) -> bool:
        """Whether the copies are labelled differently."""
        return len(set(self.labels)) > 1

    @property
    def leak(self) -> bool:
        """Whether there are copies in more than one split."""
        return len(set(self.splits)) > 1


@dataclass(frozen=True)
class Audit:
    """What was found in a data set; rows are indexes in it.

    Attributes:
        data: what was looked at.
        groups: of copies: conflicts first, then those across splits, then the largest.
        blank: images of nearly one shade.
        faceless: images in which no one who voted named an expression; None where the data has no votes.
        unseen: images in which a detector found no face, which proves nothing; None where none was asked.
        balance: the images of each label, for each split and set of labels.
        alike: the similarity from which on two images were taken for the same.
    """

    data: Dataset = field(repr=False)
    groups: tuple[Group, ...]
    blank: tuple[int, ...]
    faceless: tuple[int, ...] | None
    unseen: tuple[int, ...] | None
    balance: tuple[Balance, ...]
    alike: float = COPY

    @property
    def crowded(self) -> bool:
        """Whether so many images fall into one group that they may be alike by nature, as drawings are."""
        largest = max((len(group.rows) for group in self.groups if not group.exact), default=0)
        return largest > max(CROWD, len(self.data) // 100)

    @property
    def conflicts(self) -> tuple[Group, ...]:
        """The groups whose copies are labelled differently."""
        return tuple(group for group in self.groups if group.conflict)

    @property
    def leaks(self) -> tuple[Group, ...]:
        """The groups with copies in more than one split."""
        return tuple(group for group in self.groups if group.leak)

    def leaked(self, split: str) -> int:
        """How many images of a split have a copy in another."""
        return sum(group.splits.count(split) for group in self.leaks)

    def counts(self) -> dict[str, int]:
        """How many there are of each kind of finding; what was not asked is left out."""
        found = {
            "groups": len(self.groups),
            "exact_groups": sum(group.exact for group in self.groups),
            "mirrored_groups": sum(group.mirrored for group in self.groups),
            "spare": sum(len(group.rows) - 1 for group in self.groups),
            "conflicts": len(self.conflicts),
            "leaks": len(self.leaks),
            "blank": len(self.blank),
        }
        asked = {"faceless": self.faceless, "unseen": self.unseen}
        return {**found, **{name: len(rows) for name, rows in asked.items() if rows is not None}}

    def to_dict(self) -> dict[str, Any]:
        """All findings with the places of their rows, as plain values that are ready for JSON."""
        asked = {"blank": self.blank, "faceless": self.faceless, "unseen": self.unseen}
        return {
            "data": self.data.name,
            "digest": self.data.digest,
            "count": len(self.data),
            "splits": split_sizes(self.data),
            "alike": self.alike,
            "found": self.counts(),
            "leaked": {split: self.leaked(split) for split in self.data.split_names()},
            "groups": [self._told(group) for group in self.groups],
            **{name: None if rows is None else self._places(rows) for name, rows in asked.items()},
            "labels": [held.to_dict() for held in self.balance],
            "rejected": [{"place": bad.place, "reason": bad.reason} for bad in self.data.rejected],
        }

    def _told(self, group: Group) -> dict[str, Any]:
        return {
            "rows": self._places(group.rows),
            "labels": list(group.labels),
            "splits": list(group.splits),
            "score": round(group.score, 4),
            "exact": group.exact,
            "mirrored": group.mirrored,
            "conflict": group.conflict,
            "leak": group.leak,
        }

    def _places(self, rows: tuple[int, ...]) -> list[str]:
        return [str(self.data.rows[row]) for row in rows]


def audit(
    data: Dataset,
    detector: Detector | None = None,
    tell: Callable[[float], None] = nobody,
    alike: float = COPY,
) -> Audit:
    """Looks through a whole data set; 32,000 images of 48x48 take some ten seconds on two cores without a detector.

    Args:
        data: all splits together.
        detector: is asked for a face in each image, which takes tens of milliseconds each; None asks none.
        tell: is told the share that is done, 0 to 1.
        alike: the similarity from which on two images are taken for the same.

    Raises:
        UsageError: the similarity is none that tells copies from others.
    """
    share = 1.0 if detector is None else 0.05
    found = links(data.crops, lambda done: tell(share * done), alike)
    votes = [truth for truth in data.truths if truth.head == VOTED]
    unseen = None if detector is None else _unseen(data, detector, lambda done: tell(share + (1 - share) * done))
    return Audit(
        data=data,
        groups=_groups(data, found),
        blank=_indexes(_spread(data) < BLANK),
        faceless=_indexes(votes[0].weights == 0) if votes else None,
        unseen=unseen,
        balance=balance(data),
        alike=alike,
    )


def without(findings: Audit) -> dict[str, str]:
    """The rows of Training that are better left out, each by its place with the reason, in the order of the data.

    They are those that copy a row of another split, all rows of groups with conflicting labels, and images that
    are blank or without a face by the votes. What a detector did not see stays: it misses too many.
    """
    data = findings.data
    reasons: dict[int, list[str]] = defaultdict(list)
    for row in findings.blank:
        reasons[row].append("blank")
    for row in findings.faceless or ():
        reasons[row].append("no expression named by any vote")
    for group in findings.groups:
        for row in group.rows if group.conflict else ():
            reasons[row].append(f"copies are labelled {', '.join(sorted(set(group.labels)))}")
        held = [row for row, split in zip(group.rows, group.splits, strict=True) if split != TRAINING]
        for row in group.rows if held else ():
            reasons[row].append(f"copy of {data.rows[held[0]]} in {data.splits[held[0]]}")
    return {str(data.rows[row]): "; ".join(reasons[row]) for row in sorted(reasons) if data.splits[row] == TRAINING}


def _groups(data: Dataset, found: Links) -> tuple[Group, ...]:
    order = np.argsort(found.group, kind="stable")
    starts = np.flatnonzero(np.diff(found.group[order])) + 1
    groups = [_group(data, found, rows) for rows in np.split(order, starts) if len(rows) > 1]
    return tuple(sorted(groups, key=lambda group: (not group.conflict, not group.leak, -len(group.rows), group.rows)))


def _group(data: Dataset, found: Links, rows: npt.NDArray[np.int64]) -> Group:
    truth = data.truths[0]
    return Group(
        rows=tuple(rows.tolist()),
        labels=tuple(truth.labels[answer] for answer in truth.class_ids[rows].tolist()),
        splits=tuple(data.splits[rows].tolist()),
        score=float(found.score[rows].min()),
        exact=bool((data.crops[rows] == data.crops[rows[0]]).all()),
        mirrored=bool(found.mirrored[rows].any()),
    )


def _unseen(data: Dataset, detector: Detector, tell: Callable[[float], None]) -> tuple[int, ...]:
    """The images in which the detector finds no face when they are enlarged to what it is used to."""
    whole, side = Face(Box(0, 0, data.size, data.size)), max(SEARCHED, data.size)
    found = []
    for row, face_crop in enumerate(data.crops):
        frame = np.broadcast_to(face_crop, (data.size, data.size, 3))
        if not detector.detect(crop(frame, whole, CropRule(factor=1.0), side, 3)):
            found.append(row)
        tell((row + 1) / len(data))
    return tuple(found)


def _spread(data: Dataset) -> npt.NDArray[np.float64]:
    """The standard deviation of each image's pixels, (count,); one by one, for memory's sake."""
    return np.fromiter((face_crop.std() for face_crop in data.crops), dtype=np.float64, count=len(data))


def _indexes(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
