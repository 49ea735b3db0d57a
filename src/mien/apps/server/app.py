"""The application: all routes, and what becomes of their mistakes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.websockets import WebSocket

from mien import __version__
from mien.apps.server import health, live, models, pages, predicting, videos
from mien.apps.server.faults import Refusal
from mien.apps.server.guard import Guard, ends

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp

    from mien.apps.server.service import Service

    Handler = Callable[[Any, Exception], Awaitable[Response]]

BY_STATUS = {404: "not_found", 405: "method_not_allowed"}
"""Codes of what the router itself refuses."""

QUIET: Any = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}
"""Nothing is told to anybody else."""

logger = logging.getLogger(__name__)


def make_app(service: Service) -> ASGIApp:
    """The application around a service that is begun."""
    app = FastAPI(
        title="mien",
        version=__version__,
        summary="The expressions that faces in images show.",
        docs_url=None,
        redoc_url=None,
        telemetry=QUIET,
    )
    for part in (predicting, videos, models, live, health):
        app.include_router(part.router(service))
    app.include_router(pages.router(service, app.openapi))
    for kind, fault_of in FAULTS_OF.items():
        app.add_exception_handler(kind, _handler(service, fault_of))
    return Guard(app, service.settings, service.metrics)


def _handler(service: Service, fault_of: Callable[[Any], Refusal]) -> Handler:
    """What answers an exception of a route."""

    async def handle(connection: HTTPConnection, error: Exception) -> Response:
        fault = fault_of(error)
        service.metrics.count("mien_refusals_total", code=fault.code)
        more = {"Connection": "close"} if ends(connection.scope) else {}
        response = Response(fault.body, fault.status, {**fault.headers, **more})
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(response)
        return response

    return handle


def _of_status(error: HTTPException) -> Refusal:
    code = BY_STATUS.get(error.status_code, "bad_request")
    return Refusal(code, "expected a route and a method of the API; received others. See /docs")


def _of_parameters(error: RequestValidationError) -> Refusal:
    names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
    return Refusal("bad_request", f"expected parameters as the API has them; received others: {names}. See /docs")


def _gone(_: ClientDisconnect) -> Refusal:
    return Refusal("bad_request", "expected a whole body; the connection ended before")


def _mistake(_: Exception) -> Refusal:
    return Refusal("internal", "the server made a mistake; its log tells which")


FAULTS_OF: dict[type[Exception], Callable[[Any], Refusal]] = {
    Refusal: lambda refusal: refusal,
    HTTPException: _of_status,
    RequestValidationError: _of_parameters,
    ClientDisconnect: _gone,
    Exception: _mistake,
}
"""What is told of each kind of exception."""
