"""Reading in a process beside this one, which may die of a picture."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, cast

from mien.errors import MienError
from mien.faces import FrameResult
from mien.scale.reading import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.scale.plan import Reader

COMMAND = (sys.executable, "-c", "from mien.scale.reading import main; main()")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Unless they are set: NumPy's products are small here, and a second thread of theirs takes a core only to wait."""

ENDED = "the process that read it ended without a word: the file may be made to crash what decodes it"


class _EndedError(Exception):
    """The process ended while it read."""


class Apart:
    """Reads pictures in a process of its own; where that ends of one, its result says so and the others are read.

    Args:
        reader: what reads them.
        command: that begins the process.
    """

    def __init__(self, reader: Reader, command: Sequence[str] = COMMAND) -> None:
        self._reader, self._command = reader, command
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def read(self, references: Sequence[str]) -> str:
        """What is read in pictures: JSON Lines, one a picture, in order.

        Raises:
            MienError: the process can't begin, or this was closed.
        """
        try:
            return self._ask(references)
        except _EndedError:
            return "".join(map(self._read_one, references))

    def close(self) -> None:
        """Ends the process; from another thread too, while it reads."""
        self._closed = True
        self._end()

    def _read_one(self, reference: str) -> str:
        try:
            return self._ask([reference])
        except _EndedError:
            return lines_of([FrameResult(reference, error=ENDED)])

    def _ask(self, references: Sequence[str]) -> str:
        if self._closed:
            raise MienError("nothing is read any more: this was closed")
        process = self._process or self._begin()
        try:
            return _said(process, list(references))
        except _EndedError:
            self._end()
            raise

    def _begin(self) -> subprocess.Popen[str]:
        # a session of its own: Ctrl-C is for the process that asks, which says when to end
        self._process = subprocess.Popen(  # noqa: S603  the command is ours
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
            start_new_session=True,
            env=ONE_THREAD | os.environ,
        )
        try:
            _said(self._process, dataclasses.asdict(self._reader))
        except _EndedError as error:
            self._end()
            raise MienError(f"the process that reads pictures can't begin: {' '.join(self._command)}") from error
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _said(process: subprocess.Popen[str], asked: object) -> str:
    """What a process answers."""
    to, back = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    try:
        to.write(json.dumps(asked) + "\n")
        to.flush()
        line = back.readline()
    except (OSError, ValueError) as error:  # its pipe is broken, or closed by another thread
        raise _EndedError from error
    if not line.endswith("\n"):
        raise _EndedError
    answer: str = json.loads(line)
    return answer
