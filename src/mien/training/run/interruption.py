"""Ctrl-C and SIGTERM while a network learns: the step is finished, the run saved, and then left."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop and is saved.

    Attributes:
        number: of the signal: 2 (SIGINT, Ctrl-C) or 15 (SIGTERM).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}; the run is saved")
        self.number = number


class Interruption:
    """Whether a signal came. A second one does what it does elsewhere: it ends the process at once."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # Python gives signals to no other
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}

    def check(self) -> None:
        """Nothing, where no signal came.

        Raises:
            Interrupted: one did.
        """
        if self.number is not None:
            raise Interrupted(self.number)

    def restore(self) -> None:
        """Gives the signals back to who handled them before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        self.restore()


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """Takes note of signals while the block runs, in place of ending it."""
    interruption = Interruption()
    try:
        yield interruption
    finally:
        interruption.restore()
