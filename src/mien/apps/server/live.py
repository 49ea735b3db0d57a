"""The WebSocket ``/v1/live``: camera frames in, tracked results out; the newest frame replaces a waiting one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mien.apps.server.errors import ApiError
from mien.apps.server.request_body import check_parameters
from mien.outputs import from_dict, to_dict
from mien.structures import FrameResult
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from typing import Any

    from mien.apps.server.service import Service

SUBPROTOCOL = "mien"
FORGET = "forget"

MAX_TEXT_LENGTH = 1000
"""Characters of a text message; longer ones are not parsed."""

IDLE, TOO_MANY = 1001, 1008
"""Close codes (RFC 6455): no frame for a long time; too many messages in a second."""


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        check_parameters(socket, ("model", "token"))
        service.catalog.check_served(socket.query_params.get("model"))
        with service.socket_slots.take():
            offered = socket.scope["subprotocols"]
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else next(iter(offered), None))
            await LiveSession(socket, service).run()

    @routes.websocket("/{path:path}")
    async def unknown(_: WebSocket) -> None:
        raise ApiError("not_found", "expected a WebSocket at /v1/live; received one at another address. See /docs")

    return routes


class _Frame(NamedTuple):
    """An encoded frame: its number, counted from 1, and its arrival by the clock of the event loop."""

    number: int
    arrived: float
    image: bytes


class LiveSession:
    """One WebSocket: a task receives frames, another has the newest analyzed, one at a time.

    Args:
        socket: accepted already.
        service: with the workers.
    """

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._service = socket, service
        self._tracker, self._started = Tracker(), asyncio.get_running_loop().time()
        self._waiting: _Frame | None = None
        self._arrival = asyncio.Event()
        self._frames = 0
        self._rate = _Rate(service.limits.messages)

    async def run(self) -> None:
        """Serve the client until it disconnects."""
        self._head, output = next(iter(self._service.heads.items()))
        try:
            await self._send({"type": "ready", "model": self._service.model_name, **output})
            async with asyncio.TaskGroup() as tasks:
                analyzing = tasks.create_task(self._analyze_frames())
                closing = await self._receive_messages()
                analyzing.cancel()
            if closing is not None:
                await self._socket.close(*closing)
        except* WebSocketDisconnect:
            pass

    async def _receive_messages(self) -> tuple[int, str] | None:
        """Receive messages; a newer frame replaces one that waits.

        Returns:
            Code and reason with which to close the connection; None where the client closed it.
        """
        loop, limits = asyncio.get_running_loop(), self._service.limits
        last_frame = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(last_frame + limits.socket_silence):
                    message = await self._socket.receive()
            except TimeoutError:
                return IDLE, f"expected a frame within {limits.socket_silence:g} s; received none"
            if message["type"] == "websocket.disconnect":
                return None
            if not self._rate.allows(loop.time()):
                return TOO_MANY, f"expected at most {limits.messages} messages a second; received more"
            image = message.get("bytes")
            if image is not None:
                last_frame = loop.time()
                self._frames += 1
                if self._waiting is not None:
                    self._service.metrics.count("mien_frames_total", outcome="dropped")
                self._waiting = _Frame(self._frames, last_frame, image)
                self._arrival.set()
            elif _message_type(message.get("text") or "") == FORGET:
                self._tracker.reset()
            else:
                error = ApiError("bad_request", 'expected a frame, or {"type": "forget"}; received something else')
                await self._send({"type": "error", "frame": self._frames, **error.payload})

    async def _analyze_frames(self) -> None:
        """Analyze the newest frame, one at a time."""
        while True:
            await self._arrival.wait()
            self._arrival.clear()
            if self._waiting is None:
                continue
            frame, self._waiting = self._waiting, None
            try:
                reply = {"type": "result", "frame": frame.number, "result": await self._analyze(frame)}
            except ApiError as error:
                reply = {"type": "error", "frame": frame.number, **error.payload}
            self._service.metrics.count("mien_frames_total", outcome="processed")
            await self._send(reply)

    async def _analyze(self, frame: _Frame) -> dict[str, Any]:
        payload = {"do": "analyze", "head": self._head, "source": "live"}
        content = await self._service.pool.request(payload, frame.image, frame.arrived + self._service.limits.response)
        seconds = frame.arrived - self._started
        predictions = self._tracker.follow(from_dict(json.loads(content)).predictions, seconds)
        return to_dict(FrameResult("live", frame.number, seconds, predictions))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message, ensure_ascii=False, allow_nan=False))


class _Rate:
    """Counts messages, each second anew."""

    def __init__(self, limit: int) -> None:
        self._limit, self._second, self._count = limit, 0, 0

    def allows(self, now: float) -> bool:
        """Count a message; whether it is within the limit."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._limit


def _message_type(text: str) -> str:
    if len(text) > MAX_TEXT_LENGTH:
        return ""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return str(message.get("type")) if isinstance(message, dict) else ""
