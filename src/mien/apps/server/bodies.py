"""Bodies of requests, counted while they come: no more is read than is taken, and none that comes too slowly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.apps.server.faults import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mien.apps.server.metrics import Metrics

MOST_HEADERS = 4096
"""Bytes of the head of one part."""


@dataclass(frozen=True)
class Allowance:
    """What a body may be.

    Attributes:
        most: bytes.
        seconds: in which it must have come.
        silence: seconds between two pieces.
    """

    most: int
    seconds: float
    silence: float


async def chunks(request: Request, allowed: Allowance, metrics: Metrics) -> AsyncIterator[bytes]:
    """The pieces of a body as they come.

    Raises:
        Refusal: it is too large, or comes too slowly.
        ClientDisconnect: the client went away.
    """
    declared = request.headers.get("content-length", "0")
    if int(declared if declared.isdecimal() else 0) > allowed.most:
        raise _too_large(allowed, f"{int(declared):,}")
    loop = asyncio.get_running_loop()
    until, count, more = loop.time() + allowed.seconds, 0, True
    while more:
        try:
            async with asyncio.timeout_at(min(until, loop.time() + allowed.silence)):
                message = await request.receive()
        except TimeoutError as error:
            raise Refusal(
                "body_too_slow",
                f"expected the body within {allowed.seconds:g} s, without a pause of {allowed.silence:g} s; "
                f"received {count:,} bytes. Send a smaller one, or over a faster line",
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        count += len(piece)
        metrics.count("mien_body_bytes_total", len(piece))
        if count > allowed.most:
            raise _too_large(allowed, "more")
        yield piece


def _too_large(allowed: Allowance, received: str) -> Refusal:
    return Refusal("body_too_large", f"expected at most {allowed.most:,} bytes; received {received}. Send less at once")


class Files:
    """The files in a body of multipart/form-data (RFC 7578), fed as it comes; fields that are no files are left out.

    Args:
        kind: the request's Content-Type.
        begin: called with the name of each file; gives what takes its bytes.
    """

    def __init__(self, kind: str, begin: Callable[[str], Callable[[bytes], object]]) -> None:
        boundary = parse_options_header(kind)[1].get(b"boundary", b"")
        if not boundary:
            raise Refusal("bad_request", "expected multipart/form-data with its boundary; received none")
        self._begin = begin
        self._take: Callable[[bytes], object] = _nowhere
        self._field, self._value, self._disposition, self._size = b"", b"", b"", 0
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers,
            "on_part_data": lambda data, start, end: self._take(data[start:end]),
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def feed(self, piece: bytes) -> None:
        """Takes the next piece.

        Raises:
            Refusal: it is none of such a body.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _malformed() from error

    def close(self) -> None:
        """Says that the body is over.

        Raises:
            Refusal: it was cut short.
        """
        if not self._ended:
            raise _malformed()

    def _part(self) -> None:
        self._take, self._disposition, self._size = _nowhere, b"", 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += self._held(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._held(data[start:end])

    def _held(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size > MOST_HEADERS:
            raise _malformed()
        return piece

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _headers(self) -> None:
        told = parse_options_header(self._disposition)[1]
        if b"filename" in told:
            self._take = self._begin(named(told[b"filename"].decode("utf-8", "replace")))

    def _end(self) -> None:
        self._ended = True


def named(name: str) -> str:
    """The last part of a name that a client gave: it is told again, and never opened."""
    return name.replace("\\", "/").rpartition("/")[2][:200]


def is_multipart(request: Request) -> bool:
    """Whether a body holds several files."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _nowhere(_: bytes) -> None:
    """Where fields go that are no files."""


def _malformed() -> Refusal:
    return Refusal("bad_request", "expected a whole body of multipart/form-data; received a damaged one")
