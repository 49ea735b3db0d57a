"""A process beside this one, which is asked over its pipes and may die of what it is asked."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING, cast

from mien.errors import MienError
from mien.workers import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from mien.workers.protocol import Message


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Unless they are set: NumPy's products are small here, and a second thread of theirs takes a core only to wait."""


class EndedError(Exception):
    """The process ended before it answered."""


class Beside:
    """A process that answers one question after the other; begun when it is first asked, and again after its end.

    For one thread at a time, but ``kill`` and ``close``, which others may call while it works.

    Args:
        command: that begins it.
        told: what it is told first, to which it answers when it is ready.
    """

    def __init__(self, command: Sequence[str], told: object) -> None:
        self._command, self._told = tuple(command), told
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._ending = threading.Lock()
        self.ready: Message | None = None

    @property
    def pid(self) -> int | None:
        """The process's number; None where none runs."""
        return self._process.pid if self._process else None

    def begin(self) -> None:
        """Begins the process, unless it runs.

        Raises:
            MienError: it ends before it is ready, or this was closed.
        """
        if self._closed.is_set():
            raise MienError("nothing is read any more: this was closed")
        if self._process is not None:
            return
        # a session of its own: Ctrl-C is for the process that asks, which says when to end
        process = self._process = subprocess.Popen(  # noqa: S603  the command is ours
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=ONE_THREAD | os.environ,
        )
        if self._closed.is_set():  # meanwhile, by another thread
            self._end()
        try:
            self.ready = self._said(process, self._told)
        except EndedError as error:
            raise MienError(f"the process that reads images can't begin: {' '.join(self._command)}") from error

    def ask(self, said: object, content: bytes = b"") -> Message:
        """What it answers.

        Raises:
            EndedError: it ended before it answered; the next question begins it again.
            MienError: it can't begin, or this was closed.
        """
        self.begin()
        return self._said(self._process, said, content)

    def more(self) -> Message:
        """What it says next, of what it says several things to.

        Raises:
            EndedError: it ended before it did.
        """
        return self._heard(self._process)

    def kill(self) -> None:
        """Ends the process in the middle of what it does; who asked is told, and may ask again."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Ends the process for good."""
        self._closed.set()
        self._end()

    def _said(self, process: subprocess.Popen[bytes] | None, said: object, content: bytes = b"") -> Message:
        """What a process answers; None: another thread has ended it."""
        try:
            if process is not None:
                protocol.put(cast("BinaryIO", process.stdin), said, content)
        except (OSError, ValueError) as error:  # its pipe is broken, or closed by another thread
            self._end()
            raise EndedError from error
        return self._heard(process)

    def _heard(self, process: subprocess.Popen[bytes] | None) -> Message:
        try:
            message = protocol.get(cast("BinaryIO", process.stdout)) if process else None
        except (OSError, ValueError) as error:
            self._end()
            raise EndedError from error
        if message is None:
            self._end()
            raise EndedError
        return message

    def _end(self) -> None:
        with self._ending:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
