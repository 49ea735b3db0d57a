"""A disk cache of parsed data sets, so that a large csv is parsed once.

A file is named by its source and the source's SHA-256, so it can't become stale. It holds plain arrays, never pickles.
A file that is truncated, foreign or of an older format is ignored and replaced.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.media.files import atomic_write, cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

FORMAT = 3
"""Increased when the arrays of the readers, or their meaning, change."""

SOURCE = "source"
"""The array that repeats the file's name: a copy under another name is ignored."""

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions of ``numpy.load`` on truncated files and on files that are no .npz."""


def folder() -> Path:
    """The folder of the cache."""
    return cache_folder() / "datasets"


def load(name: str, digest: str) -> dict[str, npt.NDArray[Any]] | None:
    """The cached arrays of a source; None if there are none that can be read.

    Args:
        name: of the source, "fer2013".
        digest: SHA-256 of the source's bytes.
    """
    try:
        with _path(name, digest).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {key: np.asarray(stored[key]) for key in stored.files}
    except UNREADABLE:
        return None
    return arrays if str(arrays.pop(SOURCE, "")) == _path(name, digest).stem else None


def save(name: str, digest: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Cache the arrays of a source; a cache that can't be written only costs time, so it is no error."""
    with contextlib.suppress(OSError), atomic_write(_path(name, digest)) as partial:
        np.savez(partial, **{**arrays, SOURCE: np.array(_path(name, digest).stem)})  # type: ignore[arg-type]  # the stubs take **kwds for allow_pickle


def _path(name: str, digest: str) -> Path:
    return folder() / f"{name}-{FORMAT}-{digest}.npz"
