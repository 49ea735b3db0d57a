"""Near-duplicate detection: images with the same pixels, nearly the same pixels, or mirrored.

Two images are near-duplicates if their fingerprints are similar. A fingerprint is the image with ranks in place of grey
levels, which removes brightness, contrast and gamma, averaged to 24x24, which removes noise and JPEG artefacts, centred
and scaled to length 1. The similarity is the dot product of two fingerprints, 1 for the same image.

Recall for 1,000 images of FER2013 modified in one way, among all 32,298: JPEG of quality 30 0.999 and 10 0.98,
brightness, contrast or gamma 0.99, half the resolution 0.998, mirrored 1.0, noise of 25 grey levels 0.84, rotated by 3
degrees 0.96 and by 5 0.45, shifted by one pixel 0.81 and by two 0.02, enlarged by a tenth 0.05. So another crop of the
same photo is mostly missed. The hundred detected pairs with the lowest similarity are all duplicates to the eye.

These figures hold for photos. Drawings on a flat background resemble each other: of 10,000 handwritten digits 2,600
would count as duplicates at a threshold of 0.93, and 19 at 0.99.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.structures import Crops, check_crops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FINGERPRINT_SIDE = 24
"""Grid cells of a fingerprint in each direction."""

DUPLICATE_SIMILARITY = 0.93
"""The similarity from which two photos count as duplicates."""

BLOCK_ROWS = 2048
"""Rows and columns of similarities in memory at once: 16 MB."""

BT601_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Red, green and blue in the grey of ITU-R BT.601."""

Fingerprints = npt.NDArray[np.float32]


def ignore_progress(_: float) -> None:
    """Accept the share done, 0 to 1, and do nothing."""


@dataclass(frozen=True)
class Duplicates:
    """For each query image, its most similar reference image.

    Attributes:
        found: bool (count,), whether the image has a duplicate among the references.
        nearest: int64 (count,), the index of the most similar reference; -1 if there is none.
        score: float32 (count,), its similarity, -1 to 1; exactly 1 for the same pixels only.
        exact: bool (count,), whether it has the same pixels.
        mirrored: bool (count,), whether it is similar when mirrored.
    """

    found: npt.NDArray[np.bool_]
    nearest: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    mirrored: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DuplicateGroups:
    """Groups of duplicates in one collection of images.

    Attributes:
        group: int64 (count,), the index of the first image of the group; the image's own if it has no duplicate.
        score: float32 (count,), the similarity to the most similar other image; 1 for the same pixels.
        mirrored: bool (count,), whether that image is similar when mirrored.
    """

    group: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    mirrored: npt.NDArray[np.bool_]


def find_duplicates(
    crops: Crops,
    among: Crops,
    on_progress: Callable[[float], None] = ignore_progress,
    similarity: float = DUPLICATE_SIMILARITY,
) -> Duplicates:
    """Find a duplicate of each query image among reference images: exact, near, or mirrored.

    Needs 2.3 kB of memory per image, and one block of similarities.

    Args:
        crops: queries, uint8 (count, size, size, channels).
        among: references, uint8 (others, size, size, channels); if the sizes differ, no duplicate is exact.
        on_progress: called with the share done, 0 to 1.
        similarity: from which two images count as duplicates, 0.5 to 1.

    Raises:
        ImageError: an array holds no face crops.
        UsageError: the similarity is out of range.
    """
    _check_similarity(similarity)
    queries, references = fingerprints(crops), fingerprints(among)
    score = np.full(len(queries), -1, np.float32)
    nearest = np.full(len(queries), -1, np.int64)
    mirrored = np.zeros(len(queries), np.bool_)
    for block in _blocks(queries, references, on_progress):
        best = block.similarity.argmax(axis=1)
        rows = block.rows + np.arange(len(best))
        value = block.similarity[np.arange(len(best)), best]
        better = value > score[rows]
        rows, best, value = rows[better], best[better], value[better]
        score[rows], nearest[rows], mirrored[rows] = value, block.columns + best, block.mirrored
    exact = np.zeros(len(queries), np.bool_)
    where = {digest: row for row, digest in reversed(list(enumerate(_digests(among))))}
    for row, digest in enumerate(_digests(crops)):
        if digest in where:
            exact[row], nearest[row], mirrored[row] = True, where[digest], False
    score = np.where(exact, np.float32(1), np.minimum(score, np.nextafter(np.float32(1), np.float32(0))))
    return Duplicates(score >= similarity, nearest, score, exact, mirrored)


def group_duplicates(
    crops: Crops,
    on_progress: Callable[[float], None] = ignore_progress,
    similarity: float = DUPLICATE_SIMILARITY,
) -> DuplicateGroups:
    """Group images that are duplicates, directly or through other images.

    Args:
        crops: uint8 (count, size, size, channels).
        on_progress: called with the share done, 0 to 1.
        similarity: from which two images count as duplicates, 0.5 to 1.

    Raises:
        ImageError: the array holds no face crops.
        UsageError: the similarity is out of range.
    """
    _check_similarity(similarity)
    first: dict[bytes, int] = {}
    group = np.array([first.setdefault(digest, row) for row, digest in enumerate(_digests(crops))], dtype=np.int64)
    single = np.fromiter(first.values(), dtype=np.int64)  # one of each set of identical images
    prints = fingerprints(crops[single])
    score = np.full(len(single), -1, np.float32)
    mirrored = np.zeros(len(single), np.bool_)
    joined = np.arange(len(single))
    for block in _blocks(prints, None, on_progress):
        for start, best in ((block.rows, block.similarity.max(axis=1)), (block.columns, block.similarity.max(axis=0))):
            rows = start + np.arange(len(best))
            mirrored[rows] = np.where(best > score[rows], block.mirrored, mirrored[rows])
            score[rows] = np.maximum(score[rows], best)
        across, down = np.nonzero(block.similarity >= similarity)
        joined = _join(joined, block.rows + across, block.columns + down)
    score = np.minimum(score, np.nextafter(np.float32(1), np.float32(0)))
    at = np.searchsorted(single, group)
    again = np.bincount(group, minlength=len(crops))[group] > 1
    return DuplicateGroups(single[joined[at]], np.where(again, np.float32(1), score[at]), mirrored[at] & ~again)


def fingerprints(crops: Crops) -> Fingerprints:
    """Fingerprints for near-duplicate search: float32 (count, 576), rows of length 1; all 0 for a uniform image.

    Equal grey levels share their mean rank, so a flat area does not depend on the order of its pixels.

    Raises:
        ImageError: the array holds no face crops.
    """
    crops = check_crops(crops)
    prints = np.empty((len(crops), FINGERPRINT_SIDE * FINGERPRINT_SIDE), np.float32)
    pooling = _pooling(crops.shape[1])
    step = max(1, (1 << 22) // crops[0].size) if len(crops) else 1
    for start in range(0, len(crops), step):
        pooled = pooling @ _ranks(_grey(crops[start : start + step])) @ pooling.T
        prints[start : start + step] = pooled.reshape(len(pooled), -1)
    prints -= prints.mean(axis=1, keepdims=True)
    length = np.linalg.norm(prints, axis=1, keepdims=True)
    # a uniform image leaves rounding errors, which must not be scaled up to length 1
    return np.where(length > 1e-3, prints / np.maximum(length, 1e-3), 0).astype(np.float32)


class _Block(NamedTuple):
    """Similarities of the images from ``rows`` on with those from ``columns`` on, float32 (rows, columns)."""

    rows: int
    columns: int
    mirrored: bool
    similarity: npt.NDArray[np.float32]


def _blocks(own: Fingerprints, others: Fingerprints | None, on_progress: Callable[[float], None]) -> Iterator[_Block]:
    """All similarities, block by block; without ``others`` those of each image of ``own`` with the later ones."""
    theirs = own if others is None else others
    starts = [
        (row, column)
        for row in range(0, len(own), BLOCK_ROWS)
        for column in range(row if others is None else 0, len(theirs), BLOCK_ROWS)
    ]
    for done, (row, column) in enumerate(starts):
        part = theirs[column : column + BLOCK_ROWS]
        flipped = part.reshape(-1, FINGERPRINT_SIDE, FINGERPRINT_SIDE)[:, :, ::-1].reshape(part.shape)
        for mirrored, columns in ((False, part), (True, flipped)):
            similarity = own[row : row + BLOCK_ROWS] @ columns.T
            if others is None and row == column:
                similarity[np.tri(len(similarity), dtype=np.bool_)] = -1
            yield _Block(row, column, mirrored, similarity)
        on_progress((done + 1) / len(starts))


def _join(
    group: npt.NDArray[np.int64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The groups after joining each of ``first`` with ``second``; a group is named by its smallest member."""
    group = group.copy()
    while True:
        left, right = group[first], group[second]
        differs = left != right
        if not differs.any():
            return group
        np.minimum.at(group, np.maximum(left, right)[differs], np.minimum(left, right)[differs])
        while not np.array_equal(group, group[group]):
            group = group[group]


def _check_similarity(similarity: float) -> None:
    if not 0.5 <= similarity <= 1:  # refuses NaN too
        raise UsageError(
            f"expected a similarity of duplicates from 0.5 to 1; received {similarity}. "
            f"For photos use {DUPLICATE_SIMILARITY}"
        )


def _digests(crops: Crops) -> list[bytes]:
    """A hash of the pixels and the shape of each image."""
    shape = repr(crops.shape[1:]).encode()
    return [hashlib.sha256(shape + crop.tobytes()).digest() for crop in crops]


def _grey(crops: Crops) -> npt.NDArray[np.uint8]:
    """(count, size, size)."""
    if crops.shape[3] == 1:
        return crops[..., 0]
    grey: npt.NDArray[np.uint8] = np.rint(crops @ BT601_WEIGHTS).astype(np.uint8)
    return grey


def _ranks(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The mean rank of each pixel within its image, 0 to 1, in the shape of the images."""
    count, pixels = len(grey), grey[0].size
    levels = grey.reshape(count, pixels) + 256 * np.arange(count)[:, None]
    histogram = np.bincount(levels.ravel(), minlength=256 * count).reshape(count, 256)
    by_level = ((histogram.cumsum(axis=1) - histogram / 2) / pixels).astype(np.float32)
    ranks: npt.NDArray[np.float32] = by_level.ravel()[levels].reshape(grey.shape)
    return ranks


def _pooling(size: int) -> npt.NDArray[np.float32]:
    """The weight of each pixel of a line in each grid cell, (24, size); rows sum to 1."""
    edges = np.arange(FINGERPRINT_SIDE + 1) * (size / FINGERPRINT_SIDE)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: npt.NDArray[np.float32] = (overlap.clip(0) * (FINGERPRINT_SIDE / size)).astype(np.float32)
    return weights
