"""One run at a time in a directory: a lock that the system takes back from a process that dies, however it dies."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mien.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCKED_BYTE = 1 << 20  # Windows locks bytes, and lets nobody read a locked one: far behind the process id


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file, which stays when the block ends; its text is the id of the process that last held it.

    Args:
        path: the file; its folder is made if need be.

    Raises:
        TrainingError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode(errors="replace") if hasattr(os, "pread") else "?"
            raise TrainingError(
                f"expected a directory that no other run is using; received {path.parent}, in which the process "
                f"{holder.strip() or '?'} is training. Wait for it, stop it, or choose another --out"
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)  # and with it the lock


def is_held(path: Path) -> bool:
    """Whether a process holds a lock file; nothing is written, and a file that is not there is held by nobody."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        _lock(handle)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int) -> None:
    """Takes the lock or raises OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
