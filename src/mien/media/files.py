"""Atomic file writes, unique file names, and the cache folder."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator


TEMPORARY = ".mien-"
"""Prefix of files that are being written; one that stays was left by a killed process."""

IN_PLACE_ERRORS = frozenset({errno.EACCES, errno.EBUSY, errno.EPERM, errno.EROFS, errno.EXDEV})
"""Why a rename fails where overwriting may do: a closed folder, a mount point, another file system."""

MAX_LINKS = 40
"""Symbolic links in a row that are followed, as in Linux."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file, which takes the place of ``path`` when the block ends without error.

    A reader finds the old file or the new one, never a partial one. The folder is created if need be. The temporary
    file lies in the folder of the target, where that can be written, and is removed if the block fails. How its
    content gets to ``path``: see ``move_into_place``.

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
    suffix = "".join(path.suffixes[-2:])[-32:]
    folder = None if is_stream(path) else _target(path).parent
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=suffix, dir=folder)
    except OSError as error:
        if error.errno not in IN_PLACE_ERRORS or not path.is_file():
            raise
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=suffix)  # the folder is closed, the file is not
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, path: Path) -> None:
    """Give a complete file its final name.

    - A plain file is replaced by a rename, after a sync to disk, and keeps its permissions, and its owner where the
      system allows that. A symbolic link stays, and its target is replaced. Of a file with several hard links only
      this name gets the new content.
    - Where no rename is possible (a folder that is closed, a file that is a mount point) a plain file is overwritten.
    - A stream (see ``is_stream``) is written through: it is never replaced.

    Args:
        temporary: the complete file.
        path: its final name.
    """
    if is_stream(path):
        _copy(temporary, path)
        return
    target = _target(path)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    before = target.stat() if target.exists() else None
    _copy_permissions(temporary, before)
    try:
        temporary.replace(target)
    except OSError as error:
        if before is None or error.errno not in IN_PLACE_ERRORS:
            raise
        _copy(temporary, target)


def is_stream(path: Path) -> bool:
    """Whether a path is written through: a pipe, a device, a socket, or a descriptor such as ``/dev/stdout``."""
    if descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file or folder, the same under each of its names; None where there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if state.st_ino else None


def descriptor_of(path: Path) -> int | None:
    """The number of this process's descriptor that a path names: 1 for ``/dev/stdout``; None for any other path."""
    own = {os.path.realpath("/proc/self/fd"), os.path.realpath("/dev/fd")}
    for _ in range(MAX_LINKS):
        if path.name.isdecimal() and os.path.realpath(path.parent) in own:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


def _target(path: Path) -> Path:
    """The file that a path names once symbolic links are followed; it need not exist."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _copy(source: Path, path: Path) -> None:
    """Copy the bytes of a file into another, or into a stream."""
    number = descriptor_of(path)
    # opened anew, a redirected stdout would be cut to nothing, and a socket can't be opened
    target: int | Path = path if number is None else os.dup(number)
    with source.open("rb") as content, open(target, "wb") as file:  # noqa: PTH123  a descriptor is no path
        shutil.copyfileobj(content, file)


def _copy_permissions(temporary: Path, before: os.stat_result | None) -> None:
    """Give a temporary file the owner and permissions of the file before it, or those of any new file."""
    if before is None:
        temporary.chmod(0o666 & ~_umask())
        return
    if hasattr(os, "chown"):
        for owner in (before.st_uid, -1):  # others than root may choose the group alone
            with suppress(OSError):
                os.chown(temporary, owner, before.st_gid)
    temporary.chmod(before.st_mode & 0o777)


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
