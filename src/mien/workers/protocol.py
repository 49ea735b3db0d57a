"""The protocol between a process and its workers: a line of JSON over a pipe, followed by optional bytes.

The parent sends a ``WorkerSpec`` first; the worker loads its models and replies with their name and output heads. Each
request then gets one reply, except "video", which reports its progress first. A reply with an ``error`` is of the form
``{"error": {"code": ..., "message": ...}}``.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker loads and how it runs.

    Attributes:
        model: a model's name or path.
        detector: a detector's name or path.
        max_pixels: of one image; larger ones are refused before they are decoded. None: no limit.
        niceness: added to the worker's own, so that more urgent processes run first.
        opencv_threads: of OpenCV, for the Haar detector; None leaves it to OpenCV.
    """

    model: str
    detector: str = "auto"
    max_pixels: int | None = None
    niceness: int = 0
    opencv_threads: int | None = 1


class Message(NamedTuple):
    """One message, in either direction.

    Attributes:
        payload: anything that JSON can hold.
        content: bytes, such as an encoded image; may be empty.
    """

    payload: Any
    content: bytes = b""


class Pipes(NamedTuple):
    """The two streams of a worker: incoming requests and outgoing replies."""

    requests: BinaryIO
    replies: BinaryIO


def send(stream: BinaryIO, payload: object, content: bytes = b"") -> None:
    """Write a message and flush the stream.

    Raises:
        OSError: the other end is closed.
    """
    line = json.dumps([payload, len(content)]).encode("ascii") + b"\n"
    stream.write(line + content)  # one write wakes the reader once
    stream.flush()


def receive(stream: BinaryIO) -> Message | None:
    """The next message; None if the other end closed, even in the middle of a message."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    payload, count = json.loads(line)
    content = stream.read(count) if count else b""
    return Message(payload, content) if len(content) == count else None


def messages(stream: BinaryIO) -> Iterator[Message]:
    """All messages until the other end closes."""
    while (message := receive(stream)) is not None:
        yield message


@contextmanager
def worker_pipes() -> Iterator[Pipes]:
    """The pipes of this process; output of libraries goes to stderr, so it can't corrupt the replies."""
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)
        yield Pipes(sys.stdin.buffer, replies)
