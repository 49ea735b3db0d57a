"""A server from its start to its end: what was accepted is finished when it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from mien.apps.server.app import make_app
from mien.apps.server.connection import protocol_for
from mien.apps.server.service import Commands, Service
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.apps.server.settings import Settings

__all__ = ["Commands", "listen", "run"]

BACKLOG = 256
STOPPING = (signal.SIGINT, signal.SIGTERM)


def listen(settings: Settings) -> socket.socket:
    """The socket that clients come to.

    Raises:
        UsageError: the address is none of this machine's, or taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"expected a free port at an address of this machine; received {settings.host} port {settings.port} "
            f"({error.strerror}). Name another: --port 0 takes a free one"
        ) from error


def run(settings: Settings, tell: Callable[[str], None], commands: Commands | None = None) -> None:
    """Serves until a signal comes.

    Args:
        settings: of the server.
        tell: called with the server's address once it answers.
        commands: what begins its processes.

    Raises:
        MienError: the model, or the address, can't be had.
    """
    with listen(settings) as door:
        asyncio.run(_serve(Service(settings, commands or Commands()), door, tell))


async def _serve(service: Service, door: socket.socket, tell: Callable[[str], None]) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    limits = service.limits
    config = uvicorn.Config(
        make_app(service),
        http=protocol_for(limits),
        ws="websockets-sansio",
        ws_max_size=limits.frame,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(limits.stop),
    )
    # uvicorn gives a signal back when it has stopped; then it has done its work
    for number in STOPPING:
        signal.signal(number, lambda *_: None)
    try:
        await service.begin()
        host, port = door.getsockname()[:2]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        await uvicorn.Server(config).serve(sockets=[door])
    finally:
        await service.end()
