"""What two processes say to each other over pipes: a line of JSON, and bytes behind it where there are any."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


class Message(NamedTuple):
    """One of them.

    Attributes:
        said: anything that JSON can say.
        content: bytes, such as those of an image; may be empty.
    """

    said: Any
    content: bytes = b""


class Pipes(NamedTuple):
    """The two ends that a process has: where it is asked, and where it answers."""

    asked: BinaryIO
    answers: BinaryIO


def put(stream: BinaryIO, said: object, content: bytes = b"") -> None:
    """Says something, at once.

    Raises:
        OSError: nobody listens any more.
    """
    line = json.dumps([said, len(content)]).encode("ascii") + b"\n"
    stream.write(line + content)  # in one piece: who reads is woken once
    stream.flush()


def get(stream: BinaryIO) -> Message | None:
    """What is said next; None where the other side ended, also in the middle of a message."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    said, count = json.loads(line)
    content = stream.read(count) if count else b""
    return Message(said, content) if len(content) == count else None


def all_of(stream: BinaryIO) -> Iterator[Message]:
    """What is said, one after the other, until the other side ends."""
    while (message := get(stream)) is not None:
        yield message


@contextmanager
def pipes() -> Iterator[Pipes]:
    """The ends of this process; what a library prints goes to stderr, and so can't come between the answers."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        yield Pipes(sys.stdin.buffer, answers)
