"""``/v1/live``: frames of a camera over one socket; one is read, one waits, and the newest wins."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mien.apps.server.faults import Refusal
from mien.apps.server.wire import from_wire
from mien.outputs import to_dict
from mien.structures import FrameResult
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from typing import Any

    from mien.apps.server.service import Service

PROTOCOL = "mien"
FORGET = "forget"


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        with service.sockets.place():
            offered = socket.scope["subprotocols"]
            await socket.accept(PROTOCOL if PROTOCOL in offered else next(iter(offered), None))
            await Connection(socket, service).run()

    return routes


class Connection:
    """One socket: a task that takes frames, one that has them read.

    Args:
        socket: that was accepted.
        service: what reads.
    """

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._service = socket, service
        self._tracker, self._begun = Tracker(), asyncio.get_running_loop().time()
        self._waiting: tuple[int, float, bytes] | None = None
        self._came = asyncio.Event()
        self._frames = 0

    async def run(self) -> None:
        """Answers frames until the client goes."""
        labels, told = next(iter(self._service.label_sets.items()))
        self._labels = labels
        try:
            await self._say({"type": "ready", "model": self._service.told["name"], **told})
            async with asyncio.TaskGroup() as tasks:
                answering = tasks.create_task(self._answer())
                await self._take()
                answering.cancel()
        except* WebSocketDisconnect:
            pass

    async def _take(self) -> None:
        """Takes what comes; a frame that is not read yet goes for a newer one."""
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            frame = message.get("bytes")
            if frame is not None:
                self._frames += 1
                if self._waiting is not None:
                    self._service.metrics.count("mien_frames_total", what="dropped")
                self._waiting = self._frames, asyncio.get_running_loop().time(), frame
                self._came.set()
            elif _kind(message.get("text") or "") == FORGET:
                self._tracker.reset()
            else:
                fault = Refusal("bad_request", 'expected a frame, or {"type": "forget"}; received something else')
                await self._say({"type": "error", "frame": self._frames, **fault.said})

    async def _answer(self) -> None:
        """Has the newest frame read, one at a time."""
        while True:
            await self._came.wait()
            self._came.clear()
            if self._waiting is None:
                continue
            (number, came, frame), self._waiting = self._waiting, None
            try:
                said = {"type": "result", "frame": number, "result": await self._read(number, came, frame)}
            except Refusal as fault:
                said = {"type": "error", "frame": number, **fault.said}
            self._service.metrics.count("mien_frames_total", what="answered")
            await self._say(said)

    async def _read(self, number: int, came: float, frame: bytes) -> dict[str, Any]:
        asked = {"do": "see", "labels": self._labels}
        answer = await self._service.pool.ask(asked, frame, came + self._service.limits.answer)
        seconds = came - self._begun
        found = self._tracker.follow(from_wire(json.loads(answer.content)), seconds)
        return to_dict(FrameResult("live", number, seconds, found))

    async def _say(self, said: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(said, ensure_ascii=False, allow_nan=False))


def _kind(text: str) -> str:
    try:
        said = json.loads(text)
    except ValueError:
        return ""
    return str(said.get("type")) if isinstance(said, dict) else ""
