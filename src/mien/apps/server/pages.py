"""The web page, the files that it takes, and the page that tells of the API; nothing of them comes from elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from mien.apps.server.faults import FAULTS, Refusal
from mien.apps.server.guard import PAGE_POLICY
from mien.visualization.report import page, section, table, tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.apps.server.service import Service

INDEX_FILE = "ui/index.html"
PAGE_FOLDERS = ("ui", "inference")
"""Folders of the web page that are served; Python's own files lie next to them."""

KINDS = {
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
"""Content types by suffix; browsers take a module under no other."""


def router(service: Service, schema: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes.

    Args:
        service: of the server.
        schema: gives the description of the API, as OpenAPI has it.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index(request: Request) -> Response:
        return await _static(request, service.settings.page, INDEX_FILE)

    @routes.get("/assets/{name:path}")
    async def assets(request: Request, name: str) -> Response:
        return await _static(request, service.settings.page, name)

    @routes.get("/ort/{name}")
    async def ort(request: Request, name: str) -> Response:
        content = await asyncio.to_thread(service.package.file, name)
        return unless_known(request, content, kind_of(name), service.package.digest)

    @routes.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(_docs(schema()), headers={"Content-Security-Policy": PAGE_POLICY})

    return routes


def unless_known(request: Request, content: bytes, kind: str, digest: str) -> Response:
    """A file, or that the client has it already: it keeps it, and asks each time whether it is still the same."""
    headers = {"ETag": f'"{digest[:32]}"', "Cache-Control": "no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def kind_of(name: str) -> str:
    """The content type of a file."""
    return KINDS.get("." + name.rpartition(".")[2].lower(), "application/octet-stream")


async def _static(request: Request, folder: Path, name: str) -> Response:
    content = await asyncio.to_thread(_content, folder, name)
    return unless_known(request, content, kind_of(name), hashlib.sha256(content).hexdigest())


def _content(folder: Path, name: str) -> bytes:
    """A file of the page: one that its folders list, so that no name leads elsewhere."""
    paths = [path for part in PAGE_FOLDERS if (folder / part).is_dir() for path in (folder / part).iterdir()]
    files = {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
    if name not in files:
        raise Refusal("not_found", "expected a file of the page; there is none of that name")
    return files[name].read_bytes()


def _docs(schema: dict[str, Any]) -> str:
    """The API and its errors as a page without scripts."""
    routes = [
        [tag("code", f"{method.upper()} {path}"), told.get("summary", ""), told.get("description", "")]
        for path, methods in schema["paths"].items()
        for method, told in methods.items()
    ]
    socket = [tag("code", "WS /v1/live"), "Frames of a camera", "Binary frames in, results out; the newest wins."]
    errors = [[tag("code", code), str(status), words] for code, (status, words) in FAULTS.items()]
    return page(
        "mien: the API",
        "For programs: openapi.json, under the same address.",
        section("Routes", table(["route", "", ""], [*routes, socket], words=3)),
        section("Errors", table(["code", "status", ""], errors, words=3)),
    )
