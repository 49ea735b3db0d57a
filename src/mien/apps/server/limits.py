"""Limits on requests: slots for those in progress, and bodies that are counted while they arrive."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.apps.server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator

    from mien.apps.server.metrics import Metrics

MAX_PARTS = 256
"""Parts of a multipart body: those of few bytes take more time than memory."""

MAX_PART_HEADERS = 16
"""Headers of one part."""

MAX_PART_HEADER_BYTES = 4096
"""Header size of one part of a multipart body, with its value where that is a text that counts."""


class Slots:
    """Slots for requests in progress; one is taken before any byte of a body is read.

    Args:
        count: requests in progress at once.
        code: of the error where none is free.
        what: the slots are for, in the plural.
    """

    def __init__(self, count: int, code: str, what: str) -> None:
        self._count, self._code, self._what = count, code, what
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Occupy a slot for the block.

        Raises:
            ApiError: all are taken.
        """
        if self.taken >= self._count:
            raise ApiError(
                self._code, f"expected at most {self._count} {self._what} at once; received one more. Retry soon"
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


@dataclass(frozen=True)
class BodyLimits:
    """Limits on one request body.

    Attributes:
        size: bytes.
        seconds: for the whole body.
        silence: seconds between two pieces.
    """

    size: int
    seconds: float
    silence: float


async def body_chunks(request: Request, limits: BodyLimits, metrics: Metrics) -> AsyncIterator[bytes]:
    """The pieces of a body as they arrive.

    Raises:
        ApiError: the body is too large, or arrives too slowly.
        ClientDisconnect: the client closed the connection.
    """
    declared = request.headers.get("content-length", "0")
    if int(declared if declared.isdecimal() else 0) > limits.size:
        raise _too_large(limits, f"{int(declared):,}")
    loop = asyncio.get_running_loop()
    deadline, count, more = loop.time() + limits.seconds, 0, True
    while more:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + limits.silence)):
                message = await request.receive()
        except TimeoutError as error:
            raise ApiError(
                "body_too_slow",
                f"expected the body within {limits.seconds:g} s, without a pause of {limits.silence:g} s; "
                f"received {count:,} bytes. Send a smaller one, or over a faster line",
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        count += len(chunk)
        metrics.count("mien_body_bytes_total", len(chunk))
        if count > limits.size:
            raise _too_large(limits, "more")
        yield chunk


def is_multipart(request: Request) -> bool:
    """Whether a body is a form with files."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


class MultipartFiles:
    """The files in a body of multipart/form-data (RFC 7578), parsed as it arrives.

    Args:
        content_type: the request's Content-Type.
        open_file: called with the name of each file; returns what takes its bytes.
        names: of the text fields that count; the others are ignored.

    Raises:
        ApiError: the Content-Type has no boundary, or one that is too long.
    """

    def __init__(
        self,
        content_type: str,
        open_file: Callable[[str], Callable[[bytes], object]],
        names: Collection[str] = (),
    ) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise ApiError("bad_request", "expected multipart/form-data with its boundary; received none")
        self._open_file, self._names = open_file, names
        self._texts: dict[str, bytearray] = {}
        self._write: Callable[[bytes], object] = _discard
        self._field, self._value, self._disposition, self._header_size = b"", b"", b"", 0
        self._parts, self._headers, self._complete = 0, 0, False
        callbacks: Any = {
            "on_part_begin": self._on_part,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self._write(data[start:end]),
            "on_end": self._on_end,
        }
        self._delimiter = b"\r\n--" + boundary
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise ApiError(
                "bad_request", "expected multipart/form-data with a boundary of at most 70 characters; received more"
            ) from error

    @property
    def fields(self) -> dict[str, str]:
        """The text fields that count, without space around their values."""
        return {name: text.decode("utf-8", "replace").strip() for name, text in self._texts.items()}

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of the body.

        Raises:
            ApiError: it is malformed, or has too many parts.
        """
        if chunk.count(self._delimiter) > MAX_PARTS:  # before they are parsed, which takes a thousand times longer
            raise _too_many_parts()
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error

    def close(self) -> None:
        """Check that the body is complete.

        Raises:
            ApiError: it was cut short.
        """
        if not self._complete:
            raise _malformed()

    def _on_part(self) -> None:
        self._write, self._disposition, self._header_size, self._headers = _discard, b"", 0, 0
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _too_many_parts()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += self._limited(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._limited(data[start:end])

    def _limited(self, piece: bytes) -> bytes:
        self._header_size += len(piece)
        if self._header_size > MAX_PART_HEADER_BYTES:
            raise _malformed()
        return piece

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""
        self._headers += 1
        if self._headers > MAX_PART_HEADERS:
            raise _malformed()

    def _on_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"filename" in options:
            self._write = self._open_file(base_name(options[b"filename"].decode("utf-8", "replace")))
        elif (name := options.get(b"name", b"").decode("utf-8", "replace")) in self._names:
            self._texts[name] = bytearray()
            self._write = lambda data: self._texts[name].extend(self._limited(data))

    def _on_end(self) -> None:
        self._complete = True


def base_name(name: str) -> str:
    """The last part of a file name that a client sent; it appears in results and is never opened."""
    return name.replace("\\", "/").rpartition("/")[2][:200]


def _discard(_: bytes) -> None:
    """Take the bytes of fields that are no files."""


def _too_large(limits: BodyLimits, received: str) -> ApiError:
    return ApiError("body_too_large", f"expected at most {limits.size:,} bytes; received {received}. Send less at once")


def _too_many_parts() -> ApiError:
    return ApiError(
        "bad_request", f"expected a form of at most {MAX_PARTS} parts; received more. Send several requests"
    )


def _malformed() -> ApiError:
    return ApiError("bad_request", "expected a complete body of multipart/form-data; received a malformed one")
