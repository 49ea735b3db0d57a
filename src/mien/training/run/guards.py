"""Guards around a run: one process per directory, and a clean stop on Ctrl-C, SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mien.errors import MissingExtraError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What stops a run; SIGHUP comes when its terminal or connection closes."""


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Lock a run directory for this process; the system frees the lock when the process dies, however it dies.

    Args:
        path: the lock file, which stays when the block ends; its folder is created if needed. Its content is the
            id of the process that last held the lock.

    Raises:
        TrainingError: another process holds the lock.
        MissingExtraError: filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("training", "filelock", "train") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrainingError(
            f"expected a directory that no other run uses; received {path.parent}, in which the process "
            f"{_holder(path)} is training. Wait for it, stop it, or choose another --out"
        ) from error
    try:
        with suppress(PermissionError):  # Windows lets nobody write a locked file
            path.write_text(f"{os.getpid()}\n", encoding="ascii")
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds a run's lock. False when the file does not exist; nothing is written."""
    if not path.is_file():
        return False
    try:
        from filelock import FileLock, Timeout
    except ImportError:  # where nothing is trained
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a directory that can only be read
        return False


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or "?"
    except OSError:
        return "?"


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run; its state is saved.

    Attributes:
        number: of the signal: 2 (SIGINT, Ctrl-C), 15 (SIGTERM) or 1 (SIGHUP).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}; the run is saved")
        self.number = number


class Interruption:
    """Notes the first of these signals. A second one has its usual effect and ends the process at once.

    A SIGHUP that is ignored (``nohup``) stays ignored.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._previous = {}
        if threading.current_thread() is threading.main_thread():  # Python delivers signals to no other thread
            ignored = {number for number in SIGNALS[2:] if signal.getsignal(number) == signal.SIG_IGN}
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS if number not in ignored}

    def check(self) -> None:
        """Does nothing unless a signal came.

        Raises:
            Interrupted: a signal came.
        """
        if self.number is not None:
            raise Interrupted(self.number)

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        self.restore()


@contextmanager
def deferred_signals() -> Iterator[Interruption]:
    """Note these signals during the block, so that the caller can save its state before it stops."""
    interruption = Interruption()
    try:
        yield interruption
    finally:
        interruption.restore()
