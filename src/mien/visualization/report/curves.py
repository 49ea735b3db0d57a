"""Data of a timeline page besides segments: downsampled probability curves and a few thumbnails of each face."""

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

MAX_BINS = 720
"""Time bins of a curve; beyond, each two neighbours are merged."""

INITIAL_BIN_SECONDS = 0.04
"""Length of a time bin at the start of the video."""

THUMBNAIL_PX = 56
"""Side of a thumbnail."""

MAX_THUMBNAILS = 48
"""Thumbnails per face; beyond, every second one is dropped and the interval doubles."""

INITIAL_THUMBNAIL_SECONDS = 0.5
"""Interval between thumbnails at the start of the video."""


@dataclass
class _Face:
    """Sums of probabilities and number of predictions per time bin, and thumbnails by time."""

    labels: tuple[str, ...]
    sums: dict[int, Any] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    thumbnails: dict[float, Frame] = field(default_factory=dict)
    thumbnail_seconds: float = INITIAL_THUMBNAIL_SECONDS


class Curves:
    """Accumulates the results of a video in their order, in memory that does not grow with its length.

    Args:
        thumbnails: whether to keep thumbnails of the faces.
    """

    def __init__(self, *, thumbnails: bool = True) -> None:
        self._keep_thumbnails = thumbnails
        self._bin_seconds = INITIAL_BIN_SECONDS
        self._faces: dict[int, _Face] = {}
        self.end = 0.0

    def add(self, frame: Frame, result: FrameResult) -> None:
        """Add a frame and its predictions; those without a track number are ignored."""
        now = result.seconds or 0.0
        self.end = max(self.end, now)
        while now / self._bin_seconds >= MAX_BINS:
            self._merge_bins()
        for prediction in result.predictions:
            if prediction.track is None:
                continue
            face = self._faces.setdefault(prediction.track, _Face(prediction.labels))
            if prediction.labels != face.labels:
                continue
            at = int(now / self._bin_seconds)
            face.sums[at] = face.sums.get(at, 0.0) + np.array(prediction.probabilities)
            face.counts[at] = face.counts.get(at, 0) + 1
            if self._keep_thumbnails:
                self._add_thumbnail(face, frame, prediction, now)

    def labels(self, track: int) -> tuple[str, ...]:
        """The expressions of a track's curve."""
        return self._faces[track].labels

    def rows(self, track: int) -> list[Row]:
        """Each time bin with predictions of the track: start and end in seconds, and the mean probabilities."""
        face, width = self._faces[track], self._bin_seconds
        return [(at * width, (at + 1) * width, face.sums[at] / face.counts[at]) for at in sorted(face.sums)]

    def thumbnails(self, track: int) -> dict[float, Frame]:
        """Thumbnails of a track by time: uint8 (side, side, 3), RGB."""
        return self._faces[track].thumbnails

    def _merge_bins(self) -> None:
        self._bin_seconds *= 2
        for face in self._faces.values():
            sums, counts = face.sums, face.counts
            face.sums, face.counts = {}, {}
            for at in sums:
                face.sums[at // 2] = face.sums.get(at // 2, 0.0) + sums[at]
                face.counts[at // 2] = face.counts.get(at // 2, 0) + counts[at]

    def _add_thumbnail(self, face: _Face, frame: Frame, prediction: Prediction, now: float) -> None:
        if face.thumbnails and now - max(face.thumbnails) < face.thumbnail_seconds:
            return
        if len(face.thumbnails) >= MAX_THUMBNAILS:
            face.thumbnail_seconds *= 2
            face.thumbnails = dict(list(face.thumbnails.items())[::2])
        face.thumbnails[now] = crop(frame, prediction.face, CropRule(1.2), THUMBNAIL_PX, 3)
