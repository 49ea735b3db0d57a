"""What a page of a video needs besides segments: probabilities over time, thinned, and a few images of each face."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.classification.face_crop import crop
from mien.models.card import CropRule

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.structures import Frame, FrameResult, Prediction

    Row = tuple[float, float, npt.NDArray[np.float64]]

MOST = 720
"""Stretches of time that a curve has at most; beyond, each two become one."""

FINEST = 0.04
"""Seconds of a stretch at the beginning."""

THUMBNAIL = 56
"""Pixels of the side of a small image of a face."""

MOST_THUMBNAILS = 48
"""Of each face; beyond, every second one is dropped and they are taken half as often."""

BETWEEN = 0.5
"""Seconds from one small image to the next, at the beginning."""


@dataclass
class _Face:
    """The sums of probabilities in each stretch of time, how many readings each has, and images by time."""

    labels: tuple[str, ...]
    sums: dict[int, Any] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    thumbnails: dict[float, Frame] = field(default_factory=dict)
    between: float = BETWEEN


class Curves:
    """Takes the readings of a video in their order; what it keeps does not grow with its length.

    Args:
        thumbnails: whether small images of faces are kept.
    """

    def __init__(self, *, thumbnails: bool = True) -> None:
        self._thumbnails = thumbnails
        self._width = FINEST
        self._faces: dict[int, _Face] = {}
        self.end = 0.0

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Takes a frame and what was read in it; of faces without a number nothing is kept."""
        now = result.seconds or 0.0
        self.end = max(self.end, now)
        while now / self._width >= MOST:
            self._halve()
        for one in result.predictions:
            if one.track is None:
                continue
            face = self._faces.setdefault(one.track, _Face(one.labels))
            if one.labels != face.labels:
                continue
            at = int(now / self._width)
            face.sums[at] = face.sums.get(at, 0.0) + np.array(one.probabilities)
            face.counts[at] = face.counts.get(at, 0) + 1
            if self._thumbnails:
                self._image(face, frame, one, now)

    def labels(self, track: int) -> tuple[str, ...]:
        """The expressions of a face's curve."""
        return self._faces[track].labels

    def rows(self, track: int) -> list[Row]:
        """Each stretch in which a face was read: its start and end in seconds, and the mean probabilities."""
        face = self._faces[track]
        return [(at * self._width, (at + 1) * self._width, face.sums[at] / face.counts[at]) for at in sorted(face.sums)]

    def thumbnails(self, track: int) -> dict[float, Frame]:
        """Small images of a face by time: uint8 (side, side, 3), RGB."""
        return self._faces[track].thumbnails

    def _halve(self) -> None:
        self._width *= 2
        for face in self._faces.values():
            sums, counts = face.sums, face.counts
            face.sums, face.counts = {}, {}
            for at in sums:
                face.sums[at // 2] = face.sums.get(at // 2, 0.0) + sums[at]
                face.counts[at // 2] = face.counts.get(at // 2, 0) + counts[at]

    def _image(self, face: _Face, frame: Frame, one: Prediction, now: float) -> None:
        if face.thumbnails and now - max(face.thumbnails) < face.between:
            return
        if len(face.thumbnails) >= MOST_THUMBNAILS:
            face.between *= 2
            face.thumbnails = dict(list(face.thumbnails.items())[::2])
        face.thumbnails[now] = crop(frame, one.face, CropRule(1.2), THUMBNAIL, 3)
