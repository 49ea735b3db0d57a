"""Writing files so that a reader finds either the old one or the new one, never a torn one; and names for them."""

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
"""What the names of files that are being written begin with; one that stays was left by a killed process."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name in the same folder; renamed to ``path`` when the block ends without error.

    The folder is made if need be; the file is fsynced first, and removed if the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix="".join(path.suffixes[-2:])[-32:], dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file, or nothing."""
    with written_whole(path) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes a whole UTF-8 file, or nothing."""
    write_bytes(path, content.encode())


class Names:
    """Names for files of one folder, all different also where a disk does not tell A from a.

    Args:
        taken: names that are not to be given.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in taken}
        self._last: dict[str, int] = {}

    def free(self, stem: str, suffix: str) -> str:
        """The stem with the suffix, numbered from 2 where that was given before."""
        name = wanted = f"{stem}{suffix}"
        number = self._last.get(wanted.casefold(), 1)
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        self._last[wanted.casefold()] = number
        return name


def named_by_time(folder: Path, suffix: str, before: str = "") -> Path:
    """A name that no file of a folder has, with the time in it to the second: 20261121-190305.png, -2 for the next.

    Args:
        folder: where the file is to be; it need not exist.
        suffix: of the name, with its dot.
        before: what the name begins with.
    """
    name = before + time.strftime("%Y%m%d-%H%M%S")
    path, more = folder / f"{name}{suffix}", 1
    while path.exists():
        more += 1
        path = folder / f"{name}-{more}{suffix}"
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where mien keeps what it fetched: the folder that MIEN_CACHE names, else the system's cache folder for mien.

    It need not exist yet.
    """
    named = os.environ.get("MIEN_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("mien")


def redirect_library_caches() -> None:
    """Makes Keras and matplotlib write what they keep into mien's cache folder, where the user has no folder of theirs.

    Both create files in the home directory when they are imported. Call this before; what the user has set or made
    is left alone.
    """
    home = Path.home()
    theirs = {
        "KERAS_HOME": (home / ".keras",),
        "MPLCONFIGDIR": (home / ".config/matplotlib", home / ".cache/matplotlib"),
    }
    for variable, folders in theirs.items():
        if variable not in os.environ and not any(folder.exists() for folder in folders):
            os.environ[variable] = str(cache_folder() / variable.lower())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
