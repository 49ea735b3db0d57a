"""Signals and streams of the process: SIGTERM and SIGHUP end a command as Ctrl-C does; closed streams are replaced."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""Names of the standard streams by their descriptors, and their modes."""

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a process from outside: kill, timeout, a service manager; a terminal or connection that closes."""


class Stop:
    """Turns the first SIGTERM or SIGHUP into ``KeyboardInterrupt``, by which results so far are kept.

    A second SIGTERM ends the process at once; a second SIGHUP, which shells and service managers send along, does
    nothing. A signal that was ignored before (``nohup``) stays ignored.

    Attributes:
        number: of the signal that came; None: none did.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._terminals = [number for number in range(len(STREAMS)) if os.isatty(number)]
        self._previous = {}
        if threading.current_thread() is threading.main_thread():  # Python delivers signals to no other thread
            self._previous = {
                number: signal.signal(number, self._interrupt)
                for number in STOP_SIGNALS
                if signal.getsignal(number) == signal.SIG_DFL
            }

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        if number != signal.SIGTERM:
            self._leave_terminal()
        for other in self._previous:
            signal.signal(other, signal.SIG_DFL if other == signal.SIGTERM else signal.SIG_IGN)
        raise KeyboardInterrupt

    def _leave_terminal(self) -> None:
        """Replace streams on a terminal, which is gone: a progress bar could not be removed from it."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in self._terminals:
                os.dup2(nowhere, number)
            os.close(nowhere)


@contextmanager
def stopped_as_interrupt() -> Iterator[Stop]:
    """Handle SIGTERM and SIGHUP during the block as ``Stop`` does."""
    stop = Stop()
    try:
        yield stop
    finally:
        stop.restore()


def replace_closed_streams() -> None:
    """Open the null device for each standard stream that the parent closed (``mien ... >&-``).

    Python leaves None in their place, and the next file that is opened would get the free descriptor, so that any
    library could print into it.
    """
    for name, mode in STREAMS:
        if getattr(sys, name) is not None:
            continue
        descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is that of the closed stream
        setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
