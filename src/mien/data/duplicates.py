"""Images that are there more than once: the same pixels, nearly the same, or mirrored.

Two images are nearly the same where their fingerprints are. A fingerprint is the image in ranks instead of grey
levels, so that brightness, contrast and gamma don't count, averaged to 24x24, so that noise and JPEG don't either,
centred, and scaled to length 1. The dot product of two is their similarity, 1 for the same image.

Of 1,000 images of FER2013 changed in one way, these shares are found among all 32,298: JPEG of quality 30 0.999 and
10 0.98, brightness, contrast or gamma 0.99, half the resolution 0.998, mirrored 1.0, noise of 25 grey levels 0.84,
turned by 3 degrees 0.96 and by 5 0.45, shifted by one pixel 0.81 and by two 0.02, enlarged by a tenth 0.05. So the same
photo in another crop mostly goes unseen. All of the hundred found pairs of the lowest similarity are copies to the eye.

That holds for photos. Drawings on a flat ground are alike by nature: of 10,000 handwritten digits 2,600 would be copies
of others from 0.93 on, and 19 from 0.99 on.
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

GRID = 24
"""Side of a fingerprint, in cells."""

COPY = 0.93
"""The similarity from which on two photos are taken for the same."""

BLOCK = 2048
"""Rows and columns of similarities that are in memory at once: 16 MB."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Red, green and blue in the grey of ITU-R BT.601."""

Fingerprints = npt.NDArray[np.float32]


def nobody(_: float) -> None:
    """Is told how much is done, and tells no one."""


@dataclass(frozen=True)
class Copies:
    """For each of some images, whether it is among others.

    Attributes:
        found: bool (count,), whether the image has a copy there.
        nearest: int64 (count,), the index of the most similar image there; -1 where there are none.
        score: float32 (count,), its similarity, -1 to 1; exactly 1 for the same pixels only.
        exact: bool (count,), whether that has the same pixels.
        mirrored: bool (count,), whether it is alike when one of the two is mirrored.
    """

    found: npt.NDArray[np.bool_]
    nearest: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    mirrored: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Links:
    """Which images of one collection are the same.

    Attributes:
        group: int64 (count,), the index of the first image of each one's group; its own where it has no copy.
        score: float32 (count,), the similarity to the most similar image of the collection; 1 for the same pixels.
        mirrored: bool (count,), whether that one is alike when mirrored.
    """

    group: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    mirrored: npt.NDArray[np.bool_]


def copies(crops: Crops, among: Crops, tell: Callable[[float], None] = nobody, alike: float = COPY) -> Copies:
    """Which images have a copy among others, be it exact, nearly so, or mirrored.

    Memory beside the images: 2.3 kB an image, and one block of similarities.

    Args:
        crops: uint8 (count, size, size, channels), asked about.
        among: uint8 (others, size, size, channels), searched; the sizes may differ, then no copy is exact.
        tell: is told the share that is done, 0 to 1.
        alike: the similarity from which on two images are taken for the same.

    Raises:
        ImageError: one of the arrays is no array of face crops.
        UsageError: the similarity is none that tells copies from others.
    """
    _check_similarity(alike)
    asked, searched = fingerprints(crops), fingerprints(among)
    score = np.full(len(asked), -1, np.float32)
    nearest = np.full(len(asked), -1, np.int64)
    mirrored = np.zeros(len(asked), np.bool_)
    for block in _blocks(asked, searched, tell):
        best = block.similar.argmax(axis=1)
        rows = block.rows + np.arange(len(best))
        value = block.similar[np.arange(len(best)), best]
        better = value > score[rows]
        rows, best, value = rows[better], best[better], value[better]
        score[rows], nearest[rows], mirrored[rows] = value, block.columns + best, block.mirrored
    exact = np.zeros(len(asked), np.bool_)
    where = {digest: row for row, digest in reversed(list(enumerate(_digests(among))))}
    for row, digest in enumerate(_digests(crops)):
        if digest in where:
            exact[row], nearest[row], mirrored[row] = True, where[digest], False
    score = np.where(exact, np.float32(1), np.minimum(score, np.nextafter(np.float32(1), np.float32(0))))
    return Copies(score >= alike, nearest, score, exact, mirrored)


def links(crops: Crops, tell: Callable[[float], None] = nobody, alike: float = COPY) -> Links:
    """Groups of images that are the same: copies, copies of copies, and so on.

    Args:
        crops: uint8 (count, size, size, channels).
        tell: is told the share that is done, 0 to 1.
        alike: the similarity from which on two images are taken for the same.

    Raises:
        ImageError: the array is none of face crops.
        UsageError: the similarity is none that tells copies from others.
    """
    _check_similarity(alike)
    first: dict[bytes, int] = {}
    group = np.array([first.setdefault(digest, row) for row, digest in enumerate(_digests(crops))], dtype=np.int64)
    single = np.fromiter(first.values(), dtype=np.int64)  # one of each set of equal images
    prints = fingerprints(crops[single])
    score = np.full(len(single), -1, np.float32)
    mirrored = np.zeros(len(single), np.bool_)
    same = np.arange(len(single))
    for block in _blocks(prints, None, tell):
        for start, best in ((block.rows, block.similar.max(axis=1)), (block.columns, block.similar.max(axis=0))):
            rows = start + np.arange(len(best))
            mirrored[rows] = np.where(best > score[rows], block.mirrored, mirrored[rows])
            score[rows] = np.maximum(score[rows], best)
        across, down = np.nonzero(block.similar >= alike)
        same = _joined(same, block.rows + across, block.columns + down)
    score = np.minimum(score, np.nextafter(np.float32(1), np.float32(0)))
    at = np.searchsorted(single, group)
    again = np.bincount(group, minlength=len(crops))[group] > 1
    return Links(single[same[at]], np.where(again, np.float32(1), score[at]), mirrored[at] & ~again)


def fingerprints(crops: Crops) -> Fingerprints:
    """What two copies of an image have in common: float32 (count, 576), rows of length 1; 0 where all is one shade.

    Equal grey levels share their mean rank, so that a large flat area looks like itself and not like its order.

    Raises:
        ImageError: the array is none of face crops.
    """
    crops = check_crops(crops)
    prints = np.empty((len(crops), GRID * GRID), np.float32)
    average = _averaging(crops.shape[1])
    step = max(1, (1 << 22) // crops[0].size) if len(crops) else 1
    for start in range(0, len(crops), step):
        cells = average @ _ranks(_grey(crops[start : start + step])) @ average.T
        prints[start : start + step] = cells.reshape(len(cells), -1)
    prints -= prints.mean(axis=1, keepdims=True)
    length = np.linalg.norm(prints, axis=1, keepdims=True)
    # what is left of one shade is rounding, which must not be blown up to an image
    return np.where(length > 1e-3, prints / np.maximum(length, 1e-3), 0).astype(np.float32)


class _Block(NamedTuple):
    """Similarities of the images from ``rows`` on with those from ``columns`` on, float32 (rows, columns)."""

    rows: int
    columns: int
    mirrored: bool
    similar: npt.NDArray[np.float32]


def _blocks(own: Fingerprints, others: Fingerprints | None, tell: Callable[[float], None]) -> Iterator[_Block]:
    """All similarities, block by block; without ``others`` those of ``own`` with each later one of its own."""
    theirs = own if others is None else others
    starts = [
        (row, column)
        for row in range(0, len(own), BLOCK)
        for column in range(row if others is None else 0, len(theirs), BLOCK)
    ]
    for done, (row, column) in enumerate(starts):
        part = theirs[column : column + BLOCK]
        flipped = part.reshape(-1, GRID, GRID)[:, :, ::-1].reshape(part.shape)
        for mirrored, seen in ((False, part), (True, flipped)):
            similar = own[row : row + BLOCK] @ seen.T
            if others is None and row == column:
                similar[np.tri(len(similar), dtype=np.bool_)] = -1
            yield _Block(row, column, mirrored, similar)
        tell((done + 1) / len(starts))


def _joined(
    group: npt.NDArray[np.int64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The groups after each of ``first`` joined that of ``second``; a group is named by its least member."""
    group = group.copy()
    while True:
        one, two = group[first], group[second]
        apart = one != two
        if not apart.any():
            return group
        np.minimum.at(group, np.maximum(one, two)[apart], np.minimum(one, two)[apart])
        while not np.array_equal(group, group[group]):
            group = group[group]


def _check_similarity(alike: float) -> None:
    if not 0.5 <= alike <= 1:  # so that NaN is refused too
        raise UsageError(f"expected a similarity of copies from 0.5 to 1; received {alike}. For photos take {COPY}")


def _digests(crops: Crops) -> list[bytes]:
    """A hash of the pixels and the shape of each image."""
    shape = repr(crops.shape[1:]).encode()
    return [hashlib.sha256(shape + crop.tobytes()).digest() for crop in crops]


def _grey(crops: Crops) -> npt.NDArray[np.uint8]:
    """(count, size, size)."""
    if crops.shape[3] == 1:
        return crops[..., 0]
    grey: npt.NDArray[np.uint8] = np.rint(crops @ LUMA).astype(np.uint8)
    return grey


def _ranks(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Each pixel's mean rank within its image, 0 to 1, in the shape of the images."""
    count, pixels = len(grey), grey[0].size
    levels = grey.reshape(count, pixels) + 256 * np.arange(count)[:, None]
    histogram = np.bincount(levels.ravel(), minlength=256 * count).reshape(count, 256)
    by_level = ((histogram.cumsum(axis=1) - histogram / 2) / pixels).astype(np.float32)
    ranks: npt.NDArray[np.float32] = by_level.ravel()[levels].reshape(grey.shape)
    return ranks


def _averaging(size: int) -> npt.NDArray[np.float32]:
    """What each pixel of a line gives to each cell, (24, size); rows sum to 1."""
    edges = np.arange(GRID + 1) * (size / GRID)
    pixels = np.arange(size)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    average: npt.NDArray[np.float32] = (shared.clip(0) * (GRID / size)).astype(np.float32)
    return average
