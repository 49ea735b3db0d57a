"""One connection: none lasts without a request, and after a refusal the client still hears why."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.apps.server.faults import Refusal
from mien.apps.server.guard import ENCODED

if TYPE_CHECKING:
    from mien.apps.server.settings import Limits

PIECE = 1 << 15
"""Bytes that are taken from a connection in one go."""

LINGER = 1.0
"""Seconds in which a client that still sends hears the answer; what it sends meanwhile is dropped."""


class Lingering:
    """A transport that is closed for writing first, so that who still sends hears the answer (RFC 9112, section 9.6).

    Args:
        transport: of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.inner = transport
        self.leaving = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self.leaving or self.inner.is_closing()

    def close(self) -> None:
        """Ends what is written; the rest is closed when the client ends, or soon."""
        if self.is_closing() or not self.inner.can_write_eof():
            self.inner.close()
            return
        self.leaving = True
        self.inner.write_eof()
        self.inner.resume_reading()
        asyncio.get_running_loop().call_later(LINGER, self.inner.abort)


class Connection(H11Protocol):
    """A connection of a client."""

    limits: Limits
    _waiting: asyncio.TimerHandle | None = None
    _is_socket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, unless there are too many."""
        if len(self.connections) >= self.limits.connections:
            transport.abort()
            return
        # asyncio does so for sockets that it made itself: without, the body of an answer waits 40 ms behind its head
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(transport, "max_size"):
            transport.max_size = PIECE
        super().connection_made(cast("asyncio.Transport", Lingering(transport)))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._unwatch()
        if self.transport is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes a piece of a request."""
        if cast("Lingering", self.transport).leaving:
            return
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Makes the connection a socket."""
        self._is_socket = True
        self._unwatch()
        self.transport = cast("Lingering", self.transport).inner
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request."""
        fault = Refusal("bad_request", "expected a request as HTTP/1.1 has it; received something else")
        headers = [*((name.encode(), text.encode()) for name, text in fault.headers.items()), *ENCODED]
        start = h11.Response(status_code=400, headers=[*headers, (b"connection", b"close")], reason=msg.encode())
        for said in (start, h11.Data(data=fault.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(said) or b"")
        self.transport.close()

    def _watch(self) -> None:
        """Has the connection end, unless a request is answered by then."""
        between = not self._is_socket and (self.cycle is None or self.cycle.response_complete)
        if between and self._waiting is None:
            self._waiting = self.loop.call_later(self.limits.silence, self._late)
        elif not between:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _late(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def protocol_for(limits: Limits) -> type[Connection]:
    """The class of connections that keep to limits: uvicorn makes them itself."""
    return type("Limited", (Connection,), {"limits": limits})
