"""The application with its routes and error handlers, and the server that runs it until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from mien import __version__
from mien.apps.server import live, pages, routes, videos
from mien.apps.server.connection import protocol_for
from mien.apps.server.errors import ERROR_CODES, ApiError
from mien.apps.server.security import SecurityMiddleware, closes_connection
from mien.apps.server.service import Service, WorkerCommands
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import HTTPConnection
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from mien.apps.server.settings import Settings

    Handler = Callable[[Any, Exception], Awaitable[Any]]

ROUTER_CODES = {404: "not_found", 405: "method_not_allowed"}
"""Error codes by the status that the router sets."""

NO_TELEMETRY: Any = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"enum": list(ERROR_CODES)}, "message": {"type": "string"}},
        }
    },
}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "An error", "content": {"application/json": {"schema": ERROR_SCHEMA}}}
}
"""The response of every route where it is no success, in OpenAPI."""

BACKLOG = 256

STALL_SECONDS = 60
"""Time after which a connection is cut whose client takes nothing of a response; one that is slow is not."""

UNSENT_BYTES = 1 << 17
"""Bytes of a response that the system holds for a connection before they can be sent."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

logger = logging.getLogger(__name__)


def make_app(service: Service) -> ASGIApp:
    """The application around a service."""
    app = FastAPI(
        title="mien",
        version=__version__,
        summary="Facial expression recognition in images, videos and camera frames.",
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        responses=ERROR_RESPONSES,
    )
    routers = [*(module.router(service) for module in (routes, videos, live)), pages.router(service, app.openapi)]
    known = [*app.routes, *(route for router in routers for route in router.routes)]
    for router in routers:
        app.include_router(router)
    for kind, convert in CONVERTERS.items():
        app.add_exception_handler(kind, _handler(service, convert, known))
    return SecurityMiddleware(app, service.settings, service.metrics)


def listen(settings: Settings) -> socket.socket:
    """The listening socket of a server.

    Raises:
        UsageError: the address is none of this machine's, or in use.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"expected a free port at an address of this machine; received {settings.host} port {settings.port} "
            f"({error.strerror}). Choose another: --port 0 takes a free one"
        ) from error
    # its connections inherit them, on systems that have them
    for option, value in (("TCP_USER_TIMEOUT", 1000 * STALL_SECONDS), ("TCP_NOTSENT_LOWAT", UNSENT_BYTES)):
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return listener


def run(settings: Settings, on_ready: Callable[[str], None], commands: WorkerCommands | None = None) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; accepted requests are finished first.

    Args:
        settings: of the server.
        on_ready: called with the server's address once it accepts requests.
        commands: that start the workers.

    Raises:
        MienError: the model can't be loaded, or the address is not available.
    """
    with listen(settings) as listener:
        asyncio.run(_serve(Service(settings, commands or WorkerCommands()), listener, on_ready))


async def _serve(service: Service, listener: socket.socket, on_ready: Callable[[str], None]) -> None:
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
    # uvicorn raises a signal again once it has stopped; by then there is nothing left to do
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        await service.start()
        host, port = listener.getsockname()[:2]
        on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await service.close()


def _handler(service: Service, convert: Callable[[Any], ApiError], known: Sequence[BaseRoute]) -> Handler:
    """A handler that turns an exception of a route into an error response."""

    async def handle(connection: HTTPConnection, exception: Exception) -> Any:
        error = convert(exception)
        service.metrics.count("mien_errors_total", code=error.code)
        more = {"Connection": "close"} if closes_connection(connection.scope) else {}
        if error.code == "method_not_allowed":
            more["Allow"] = _allowed_methods(connection.scope["path"], known)
        response = Response(error.body, error.status, {**error.headers, **more})
        if not isinstance(connection, WebSocket):
            return response
        await connection.send_denial_response(response)
        return None  # Starlette would send it once more

    return handle


def _allowed_methods(path: str, known: Sequence[BaseRoute]) -> str:
    """The methods of all routes at an address; Starlette names those of the first."""
    routes_there = [route for route in known if isinstance(route, Route) and route.path_regex.match(path)]
    return ", ".join(sorted({method for route in routes_there for method in route.methods or ()}))


def _from_router(error: HTTPException) -> ApiError:
    code = ROUTER_CODES.get(error.status_code, "bad_request")
    return ApiError(code, "expected a route and a method of the API; received others. See /docs")


def _from_validation(error: RequestValidationError) -> ApiError:
    names = ", ".join(sorted({str(each["loc"][-1]) for each in error.errors()}))
    return ApiError("bad_request", f"expected valid parameters; received others: {names}. See /docs")


def _from_disconnect(_: ClientDisconnect) -> ApiError:
    return ApiError("bad_request", "expected a complete body; the connection closed first")


def _from_bug(_: Exception) -> ApiError:
    return ApiError("internal", "expected a result; received an internal error, see the log")


CONVERTERS: dict[type[Exception], Callable[[Any], ApiError]] = {
    ApiError: lambda error: error,
    HTTPException: _from_router,
    RequestValidationError: _from_validation,
    ClientDisconnect: _from_disconnect,
    Exception: _from_bug,
}
"""The API error for each kind of exception."""
