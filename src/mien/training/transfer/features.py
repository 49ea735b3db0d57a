"""Features of a frozen backbone, computed once and cached on disk.

Features are cached in blocks, each named by the SHA-256 of its images, in a folder named after the network and its
weights. So they can't go stale, and an interrupted computation resumes after its last block. They are float32, as the
backbone outputs them, so that a head trained on them behaves the same on top of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.data.cache import UNREADABLE
from mien.media.files import atomic_write, cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.structures import Crops

    Extract = Callable[[Crops], "Features"]

CACHE_VERSION = 1
"""Increased when the layers before the backbone change: sizes, resizing, preprocessing."""

BLOCK_SIZE = 256
"""Images per block: 2 MB for 2,048 features each, and few enough for the memory of any network."""

REPORT_SECONDS = 10.0
"""Seconds between progress messages."""

Features = npt.NDArray[np.float32]


def feature_cache(network: str, size: int, weights: str) -> Path:
    """The folder in which the features of a backbone are cached.

    Args:
        network: name of the architecture.
        size: input side of the backbone in pixels.
        weights: SHA-256 of the backbone's weights.
    """
    return cache_folder() / "features" / f"{network}-{CACHE_VERSION}-{size}-{weights[:16]}"


def extract_features(extract: Extract, crops: Crops, cache: Path, report: Callable[[str], None]) -> Features:
    """The features of all face crops, read from the cache where possible.

    Args:
        extract: computes the features of a block, (count, width).
        crops: uint8 (count, size, size, channels).
        cache: folder of the features of ``extract``, see ``feature_cache``.
        report: receives progress messages.

    Returns:
        float32 (count, width).
    """
    started = reported = time.monotonic()
    parts: list[Features] = []
    for at in range(0, len(crops), BLOCK_SIZE):
        parts.append(_block(extract, crops[at : at + BLOCK_SIZE], cache))
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            done = at + len(parts[-1])
            left = (reported - started) / done * (len(crops) - done)
            report(f"features of {done:,} of {len(crops):,} images, {left / 60:.1f} minutes left")
    return np.concatenate(parts)


def _block(extract: Extract, crops: Crops, cache: Path) -> Features:
    """The features of a block. A cache that can't be written only costs time, so it is no error."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    digest.update(crops.tobytes())
    path = cache / f"{digest.hexdigest()}.npy"
    features = _read(path, len(crops))
    if features is None:
        features = np.asarray(extract(crops), dtype=np.float32)
        with contextlib.suppress(OSError), atomic_write(path) as aside, aside.open("wb") as file:
            np.save(file, features)
    return features


def _read(path: Path, count: int) -> Features | None:
    """The features in a file; None where it is missing or unreadable."""
    try:
        with path.open("rb") as file:
            features = np.lib.format.read_array(file, allow_pickle=False)
    except UNREADABLE:
        return None
    valid = features.dtype == np.float32 and features.ndim == 2 and len(features) == count
    return features if valid else None
