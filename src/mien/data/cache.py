"""Parsed data sets kept on disk, so that a large csv is parsed once.

A kept file is named by what was read and its SHA-256, so it can't go stale. It holds plain arrays (never pickles);
one that is torn, foreign or of an older format is passed over and made anew.
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

FORMAT = 1
"""Raised when what the readers keep, or how they read it, changes."""

SOURCE = "source"
"""The array that repeats the file's name: a copy under another name is no answer."""

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
"""What ``numpy.load`` raises on files that are torn or no .npz."""


def folder() -> Path:
    """Where parsed data is kept."""
    return cache_folder() / "datasets"


def kept(name: str, digest: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays kept for a source, or None where there are none that can be read.

    Args:
        name: what was read, "fer2013".
        digest: SHA-256 of the source's bytes.
    """
    try:
        with _path(name, digest).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {key: np.asarray(stored[key]) for key in stored.files}
    except UNREADABLE:
        return None
    return arrays if str(arrays.pop(SOURCE, "")) == _path(name, digest).stem else None


def keep(name: str, digest: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Keeps arrays for the next time; a cache that can't be written costs time only, so it is no error."""
    with contextlib.suppress(OSError), atomic_write(_path(name, digest)) as aside:
        np.savez(aside, **{**arrays, SOURCE: np.array(_path(name, digest).stem)})  # type: ignore[arg-type]  # the stubs take **kwds for allow_pickle


def _path(name: str, digest: str) -> Path:
    return folder() / f"{name}-{FORMAT}-{digest}.npz"
