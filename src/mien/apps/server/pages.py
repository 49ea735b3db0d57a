"""Pages and static files: the web page, onnxruntime-web, and the API reference; all from this machine."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from mien.apps.server.downloads import cached_response
from mien.apps.server.errors import ERROR_CODES, ApiError
from mien.apps.server.security import REPORT_POLICY
from mien.visualization.report import page, section, table, tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.apps.server.service import Service

INDEX_FILE = "ui/index.html"
PAGE_FOLDERS = ("ui", "inference")
"""Folders of the web page that are served; Python's own files lie next to them."""

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
"""Content types by suffix; browsers refuse modules with any other."""


def router(service: Service, openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes.

    Args:
        service: of the server.
        openapi: gives the OpenAPI description of the server.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index(request: Request) -> Response:
        return await _static_file(request, service, INDEX_FILE)

    @routes.get("/assets/{name:path}")
    async def assets(request: Request, name: str) -> Response:
        return await _static_file(request, service, name)

    @routes.get("/ort/{name}")
    async def ort(request: Request, name: str) -> Response:
        content = await asyncio.to_thread(service.web_runtime.file, name)
        return cached_response(request, content, content_type(name), service.web_runtime.sha256, service.download_slots)

    @routes.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(_api_reference(openapi()), headers={"Content-Security-Policy": REPORT_POLICY})

    return routes


def content_type(name: str) -> str:
    """The content type of a file."""
    return CONTENT_TYPES.get("." + name.rpartition(".")[2].lower(), "application/octet-stream")


async def _static_file(request: Request, service: Service, name: str) -> Response:
    content = await asyncio.to_thread(_read_file, service.settings.page, name)
    sha256 = hashlib.sha256(content).hexdigest()
    return cached_response(request, content, content_type(name), sha256, service.download_slots)


def _read_file(folder: Path, name: str) -> bytes:
    """A file that the page's folders list, so that no name leads outside."""
    paths = [path for part in PAGE_FOLDERS if (folder / part).is_dir() for path in (folder / part).iterdir()]
    files = {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
    if name not in files:
        raise ApiError("not_found", "expected a file of the page; received another name")
    return files[name].read_bytes()


def _api_reference(openapi: dict[str, Any]) -> str:
    """Routes and errors as a page without scripts."""
    routes = [
        [tag("code", f"{method.upper()} {path}"), route.get("summary", ""), route.get("description", "")]
        for path, methods in openapi["paths"].items()
        for method, route in methods.items()
    ]
    socket = [tag("code", "WS /v1/live"), "Camera frames", "Binary frames in, results out; the newest frame wins."]
    errors = [[tag("code", code), str(status), meaning] for code, (status, meaning) in ERROR_CODES.items()]
    return page(
        "mien: API reference",
        "For programs: openapi.json, at the same address.",
        section("Routes", table(["route", "", ""], [*routes, socket], text_columns=3)),
        section("Errors", table(["code", "status", ""], errors, text_columns=3)),
    )
