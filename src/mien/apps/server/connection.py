"""HTTP connections with limits: idle ones are closed, and a client that still sends receives the error response."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.apps.server.errors import ApiError
from mien.apps.server.security import RAW_SECURITY_HEADERS

if TYPE_CHECKING:
    from mien.apps.server.settings import Limits

READ_BYTES = 1 << 15
"""Bytes read from a connection at once."""

SOCKET_READ_BYTES = 1 << 12
"""The same of a WebSocket: they may be hundreds of messages, which are parsed before any other client has its turn."""

LINGER_SECONDS = 1.0
"""Time in which a client that still sends can receive the response; what it sends meanwhile is dropped.

A WebSocket has as long to end when it is closed.
"""


class LingeringTransport:
    """A transport that closes its write side first, so that a sending client receives the response (RFC 9112, 9.6).

    Args:
        transport: of the connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.inner = transport
        self.lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def is_closing(self) -> bool:
        """Whether writing is over."""
        return self.lingering or self.inner.is_closing()

    def close(self) -> None:
        """Close the write side; the rest closes when the client does, or ``LINGER_SECONDS`` after all was sent."""
        if self.is_closing() or not self.inner.can_write_eof():
            self.inner.close()
            return
        self.lingering = True
        self.inner.write_eof()
        self.inner.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end)

    def _end(self) -> None:
        if self.inner.get_write_buffer_size():  # a slow client still receives the response
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end)
        else:
            self.inner.abort()


class Connection(H11Protocol):
    """A client's connection."""

    limits: Limits
    _idle_timer: asyncio.TimerHandle | None = None
    _is_websocket = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's type is narrower
        """Accept a connection, unless there are too many."""
        if len(self.connections) >= self.limits.connections:
            transport.abort()
            return
        # asyncio sets this for sockets that it made itself; without it a response body waits 40 ms behind its header
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES
        super().connection_made(cast("asyncio.Transport", LingeringTransport(transport)))
        self._update_idle_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the idle timer."""
        self._stop_idle_timer()
        if self.transport is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive a piece of a request."""
        if cast("LingeringTransport", self.transport).lingering:
            return
        super().data_received(data)
        self._update_idle_timer()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Turn the connection into a WebSocket."""
        self._is_websocket = True
        self._stop_idle_timer()
        self.transport = cast("LingeringTransport", self.transport).inner
        if hasattr(self.transport, "max_size"):
            self.transport.max_size = SOCKET_READ_BYTES
        super().handle_websocket_upgrade(event)
        # what a client still sends is read until then, at the cost of all others
        cast("Any", self.transport.get_protocol()).close_timeout = LINGER_SECONDS

    def send_400_response(self, msg: str) -> None:
        """Respond to malformed requests."""
        error = ApiError("bad_request", "expected an HTTP/1.1 request; received something else")
        headers = [*((name.encode(), text.encode()) for name, text in error.headers.items()), *RAW_SECURITY_HEADERS]
        start = h11.Response(status_code=400, headers=[*headers, (b"connection", b"close")], reason=msg.encode())
        for event in (start, h11.Data(data=error.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _update_idle_timer(self) -> None:
        """Start the idle timer between requests, and stop it during one."""
        is_idle = not self._is_websocket and (self.cycle is None or self.cycle.response_complete)
        if is_idle and self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.limits.silence, self._close_idle)
        elif not is_idle:
            self._stop_idle_timer()

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _close_idle(self) -> None:
        self._idle_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def protocol_for(limits: Limits) -> type[Connection]:
    """A connection class with these limits: uvicorn instantiates it itself."""
    return type("LimitedConnection", (Connection,), {"limits": limits})
