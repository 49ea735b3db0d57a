"""Atomic file writes, unique file names, and the cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator


TEMPORARY = ".mien-"
"""Prefix of files that are being written; one that stays was left by a killed process."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the same folder, which replaces ``path`` when the block ends without error.

    A reader finds the old file or the new one, never a partial one. The folder is created if need be. The temporary
    file is synced to disk before it is renamed, and removed if the block fails.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from mien.media.files import atomic_write
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(Path(folder) / "scores.txt") as temporary:
        ...         _ = temporary.write_text("0.73")
        ...     (Path(folder) / "scores.txt").read_text()
        '0.73'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix="".join(path.suffixes[-2:])[-32:], dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, path: Path) -> None:
    """Sync a file to disk, give it the permissions of any new file and rename it, replacing what was there.

    Args:
        temporary: the complete file, on the same file system.
        path: its final name.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.chmod(0o666 & ~_umask())
    temporary.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 file atomically."""
    write_bytes(path, content.encode())


class UniqueNames:
    """Gives out file names for one folder, distinct on case-insensitive file systems too.

    Args:
        taken: names that are in use already.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}
        self._last: dict[str, int] = {}

    def unique(self, stem: str, suffix: str) -> str:
        """The stem with the suffix, numbered from 2 if that name was given out before."""
        name = proposed = f"{stem}{suffix}"
        number = self._last.get(proposed.casefold(), 1)
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        self._last[proposed.casefold()] = number
        return name


def timestamped_path(folder: Path, suffix: str, prefix: str = "") -> Path:
    """An unused path named after the current second: 20261121-190305.png, then 20261121-190305-2.png.

    Args:
        folder: where the file will be; it need not exist.
        suffix: of the name, with its dot.
        prefix: of the name.
    """
    name = prefix + time.strftime("%Y%m%d-%H%M%S")
    path, number = folder / f"{name}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}{suffix}"
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder of downloads: that in MIEN_CACHE, else the system's cache folder for mien. It may not exist."""
    folder = os.environ.get("MIEN_CACHE")
    return Path(folder).expanduser() if folder else platformdirs.user_cache_path("mien")


def redirect_library_caches() -> None:
    """Make Keras and matplotlib keep their caches in mien's cache folder.

    Both create files in the home directory on import, so call this before. Folders and environment variables of the
    user's own are respected.
    """
    home = Path.home()
    usual_folders = {
        "KERAS_HOME": (home / ".keras",),
        "MPLCONFIGDIR": (home / ".config/matplotlib", home / ".cache/matplotlib"),
    }
    for variable, folders in usual_folders.items():
        if variable not in os.environ and not any(folder.exists() for folder in folders):
            os.environ[variable] = str(cache_folder() / variable.lower())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
