"""``/healthz``, ``/readyz`` and ``/metrics``: for who watches the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mien.apps.server.faults import Refusal

if TYPE_CHECKING:
    from mien.apps.server.service import Service

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/healthz", summary="Whether the server answers")
    async def healthz() -> Response:
        """Always, and at once."""
        return JSONResponse({"state": "ok"})

    @routes.get("/readyz", summary="Whether images can be read")
    async def readyz() -> Response:
        """503 while no process can read."""
        if not service.pool.alive:
            raise Refusal("not_ready", "expected a process that reads images; none runs. Ask again soon")
        return JSONResponse({"state": "ok"})

    @routes.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        """Counts since the start, and what goes on now."""
        return PlainTextResponse(service.metrics.text(), media_type=PROMETHEUS)

    return routes
