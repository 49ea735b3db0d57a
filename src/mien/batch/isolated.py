"""Reading in a process beside this one, which may die of an image."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from mien.batch.worker_main import lines_of
from mien.structures import FrameResult
from mien.workers.process import Beside, EndedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.batch.plan import Reader

COMMAND = (sys.executable, "-c", "from mien.batch.worker_main import main; main()")
ENDED = "the process that read it ended without a word: the file may be made to crash what decodes it"


class Apart:
    """Reads images in a process of its own; where that ends of one, its result says so and the others are read.

    Args:
        reader: what reads them.
        command: that begins the process.
    """

    def __init__(self, reader: Reader, command: Sequence[str] = COMMAND) -> None:
        self._process = Beside(command, dataclasses.asdict(reader))

    def read(self, references: Sequence[str]) -> str:
        """What is read in images: JSON Lines, one an image, in order.

        Raises:
            MienError: the process can't begin, or this was closed.
        """
        try:
            return self._ask(references)
        except EndedError:
            return "".join(map(self._read_one, references))

    def close(self) -> None:
        """Ends the process; from another thread too, while it reads."""
        self._process.close()

    def _read_one(self, reference: str) -> str:
        try:
            return self._ask([reference])
        except EndedError:
            return lines_of([FrameResult(reference, error=ENDED)])

    def _ask(self, references: Sequence[str]) -> str:
        return self._process.ask(list(references)).content.decode()
