"""What a frozen network makes of images, computed once and kept on disk.

Features are kept in blocks, each named by the SHA-256 of its images, under a folder named by what computes them: they
can't go stale, and a computation that was interrupted goes on after its last block. They are float32, as the network
gives them, so that new layers taught on them do the same on top of it.
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

FORMAT = 1
"""Raised when what comes before the base changes: sizes, resizing, scaling."""

BLOCK = 256
"""Images of a block: 2 MB of 2,048 features each, and few enough for any network's memory."""

TOLD_EVERY = 10.0
"""Seconds between words on how far it is."""

Features = npt.NDArray[np.float32]


def folder(network: str, size: int, weights: str) -> Path:
    """Where the features of a network are kept.

    Args:
        network: name in the architectures.
        size: side in pixels that its base sees.
        weights: SHA-256 of what its base began with.
    """
    return cache_folder() / "features" / f"{network}-{FORMAT}-{size}-{weights[:16]}"


def features_of(extract: Extract, crops: Crops, kept: Path, tell: Callable[[str], None]) -> Features:
    """The features of all face crops, from disk where they are kept.

    Args:
        extract: computes those of a block, (count, width).
        crops: uint8 (count, size, size, channels).
        kept: the folder of what ``extract`` computes.
        tell: told how far it is.

    Returns:
        float32 (count, width).
    """
    started = told = time.monotonic()
    parts: list[Features] = []
    for at in range(0, len(crops), BLOCK):
        parts.append(_block(extract, crops[at : at + BLOCK], kept))
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            done = at + len(parts[-1])
            left = (told - started) / done * (len(crops) - done)
            tell(f"features of {done:,} of {len(crops):,} images, {left / 60:.1f} minutes left")
    return np.concatenate(parts)


def _block(extract: Extract, crops: Crops, kept: Path) -> Features:
    """The features of a block; a cache that can't be written costs time only, so it is no error."""
    told = hashlib.sha256(repr(crops.shape).encode())
    told.update(crops.tobytes())
    path = kept / f"{told.hexdigest()}.npy"
    found = _read(path, len(crops))
    if found is None:
        found = np.asarray(extract(crops), dtype=np.float32)
        with contextlib.suppress(OSError), atomic_write(path) as aside, aside.open("wb") as file:
            np.save(file, found)
    return found


def _read(path: Path, count: int) -> Features | None:
    """The features in a file, or None where there are none that can be read."""
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except UNREADABLE:
        return None
    whole = found.dtype == np.float32 and found.ndim == 2 and len(found) == count
    return found if whole else None
