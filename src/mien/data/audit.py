"""Data audit: duplicates, data leakage between splits, conflicting labels, and images that are blank or without a face.

An audit only reports. People decide which images to exclude; ``audit_page`` shows them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.classification.face_crop import crop
from mien.data.dataset import TRAINING, Dataset
from mien.data.duplicates import DUPLICATE_SIMILARITY, DuplicateGroups, group_duplicates, ignore_progress
from mien.data.summary import Balance, balance, split_sizes
from mien.models.card import CropRule
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mien.detection import Detector

BLANK_STD = 5.0
"""The standard deviation of grey levels, 0 to 255, below which an image is blank."""

MAX_GROUP_SIZE = 50
"""The largest group of near-duplicates has 22 photos in FER2013; digits have over a thousand."""

VOTED_HEAD = "ferplus"
"""The head whose annotators could also vote for no face."""

DETECTION_PX = 192
"""Side to which a face crop is enlarged before face detection."""


@dataclass(frozen=True)
class Group:
    """A group of duplicates.

    Attributes:
        rows: indices in the data, ascending.
        labels: of each image, by the data's own labels.
        splits: of each image.
        score: the lowest similarity of an image to its nearest neighbour in the group; 1 for the same pixels.
        exact: whether all have the same pixels.
        mirrored: whether an image is most similar to another one when mirrored.
    """

    rows: tuple[int, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    score: float
    exact: bool
    mirrored: bool

    @property
    def conflict(self) -> bool:
        """Whether the duplicates have different labels."""
        return len(set(self.labels)) > 1

    @property
    def leak(self) -> bool:
        """Whether the group spans more than one split."""
        return len(set(self.splits)) > 1


@dataclass(frozen=True)
class Audit:
    """The results of an audit; rows are indices in the data.

    Attributes:
        data: the data set.
        groups: of duplicates: conflicting labels first, then leaks between splits, then the largest.
        blank: nearly uniform images.
        no_expression: images for which no vote names an expression; None if the data has no votes.
        no_face: images without a detected face, which is weak evidence; None if no detector was run.
        balance: the class distribution, for each split and set of labels.
        similarity: from which two images count as duplicates.
    """

    data: Dataset = field(repr=False)
    groups: tuple[Group, ...]
    blank: tuple[int, ...]
    no_expression: tuple[int, ...] | None
    no_face: tuple[int, ...] | None
    balance: tuple[Balance, ...]
    similarity: float = DUPLICATE_SIMILARITY

    @property
    def oversized_group(self) -> bool:
        """Whether a group is so large that its images may merely resemble each other, as drawings do."""
        largest = max((len(group.rows) for group in self.groups if not group.exact), default=0)
        return largest > max(MAX_GROUP_SIZE, len(self.data) // 100)

    @property
    def conflicts(self) -> tuple[Group, ...]:
        """The groups with different labels."""
        return tuple(group for group in self.groups if group.conflict)

    @property
    def leaks(self) -> tuple[Group, ...]:
        """The groups that span more than one split."""
        return tuple(group for group in self.groups if group.leak)

    def leaked(self, split: str) -> int:
        """Number of images of a split with a duplicate in another split."""
        return sum(group.splits.count(split) for group in self.leaks)

    def counts(self) -> dict[str, int]:
        """The number of results of each kind; kinds that were not searched are omitted."""
        counts = {
            "groups": len(self.groups),
            "exact_groups": sum(group.exact for group in self.groups),
            "mirrored_groups": sum(group.mirrored for group in self.groups),
            "redundant": sum(len(group.rows) - 1 for group in self.groups),
            "conflicts": len(self.conflicts),
            "leaks": len(self.leaks),
            "blank": len(self.blank),
        }
        optional = {"no_expression": self.no_expression, "no_face": self.no_face}
        return {**counts, **{name: len(rows) for name, rows in optional.items() if rows is not None}}

    def to_dict(self) -> dict[str, Any]:
        """All results with the places of their rows, as plain values ready for JSON."""
        singles = {"blank": self.blank, "no_expression": self.no_expression, "no_face": self.no_face}
        return {
            "data": self.data.name,
            "digest": self.data.digest,
            "count": len(self.data),
            "splits": split_sizes(self.data),
            "similarity": self.similarity,
            "found": self.counts(),
            "leaked": {split: self.leaked(split) for split in self.data.split_names()},
            "groups": [self._group_dict(group) for group in self.groups],
            **{name: None if rows is None else self._places(rows) for name, rows in singles.items()},
            "labels": [part.to_dict() for part in self.balance],
            "rejected": [{"place": bad.place, "reason": bad.reason} for bad in self.data.rejected],
        }

    def _group_dict(self, group: Group) -> dict[str, Any]:
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
    on_progress: Callable[[float], None] = ignore_progress,
    similarity: float = DUPLICATE_SIMILARITY,
) -> Audit:
    """Audit a whole data set; 32,000 images of 48x48 take about ten seconds on two cores without a detector.

    Args:
        data: all splits together.
        detector: searches each image for a face, tens of milliseconds each; None skips this.
        on_progress: called with the share done, 0 to 1.
        similarity: from which two images count as duplicates, 0.5 to 1.

    Raises:
        UsageError: the similarity is out of range.
    """
    share = 1.0 if detector is None else 0.05
    duplicates = group_duplicates(data.crops, lambda done: on_progress(share * done), similarity)
    votes = [truth for truth in data.truths if truth.head == VOTED_HEAD]
    no_face = None
    if detector is not None:
        no_face = _without_face(data, detector, lambda done: on_progress(share + (1 - share) * done))
    return Audit(
        data=data,
        groups=_groups(data, duplicates),
        blank=_indexes(_spread(data) < BLANK_STD),
        no_expression=_indexes(votes[0].weights == 0) if votes else None,
        no_face=no_face,
        balance=balance(data),
        similarity=similarity,
    )


def rows_to_exclude(audited: Audit) -> dict[str, str]:
    """Rows of Training that should be excluded: place and reason, in the order of the data.

    These are duplicates of rows of another split, all rows of groups with conflicting labels, blank images, and images
    without an expression by the votes. Images without a detected face stay: a detector misses too many.
    """
    data = audited.data
    reasons: dict[int, list[str]] = defaultdict(list)
    for row in audited.blank:
        reasons[row].append("blank")
    for row in audited.no_expression or ():
        reasons[row].append("no expression named by any vote")
    for group in audited.groups:
        for row in group.rows if group.conflict else ():
            reasons[row].append(f"duplicates are labelled {', '.join(sorted(set(group.labels)))}")
        elsewhere = [row for row, split in zip(group.rows, group.splits, strict=True) if split != TRAINING]
        for row in group.rows if elsewhere else ():
            reasons[row].append(f"duplicate of {data.rows[elsewhere[0]]} in {data.splits[elsewhere[0]]}")
    return {str(data.rows[row]): "; ".join(reasons[row]) for row in sorted(reasons) if data.splits[row] == TRAINING}


def _groups(data: Dataset, duplicates: DuplicateGroups) -> tuple[Group, ...]:
    order = np.argsort(duplicates.group, kind="stable")
    starts = np.flatnonzero(np.diff(duplicates.group[order])) + 1
    groups = [_group(data, duplicates, rows) for rows in np.split(order, starts) if len(rows) > 1]
    return tuple(sorted(groups, key=lambda group: (not group.conflict, not group.leak, -len(group.rows), group.rows)))


def _group(data: Dataset, duplicates: DuplicateGroups, rows: npt.NDArray[np.int64]) -> Group:
    truth = data.truths[0]
    return Group(
        rows=tuple(rows.tolist()),
        labels=tuple(truth.labels[class_id] for class_id in truth.class_ids[rows].tolist()),
        splits=tuple(data.splits[rows].tolist()),
        score=float(duplicates.score[rows].min()),
        exact=bool((data.crops[rows] == data.crops[rows[0]]).all()),
        mirrored=bool(duplicates.mirrored[rows].any()),
    )


def _without_face(data: Dataset, detector: Detector, on_progress: Callable[[float], None]) -> tuple[int, ...]:
    """The images in which the detector finds no face after enlargement."""
    whole, side = Face(Box(0, 0, data.size, data.size)), max(DETECTION_PX, data.size)
    rows = []
    for row, face_crop in enumerate(data.crops):
        frame = np.broadcast_to(face_crop, (data.size, data.size, 3))
        if not detector.detect(crop(frame, whole, CropRule(factor=1.0), side, 3)):
            rows.append(row)
        on_progress((row + 1) / len(data))
    return tuple(rows)


def _spread(data: Dataset) -> npt.NDArray[np.float64]:
    """The standard deviation of the pixels of each image, (count,); one by one, to save memory."""
    return np.fromiter((face_crop.std() for face_crop in data.crops), dtype=np.float64, count=len(data))


def _indexes(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())
