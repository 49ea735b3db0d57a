"""Checks of every request: its host, origin and token.

Every response gets headers that restrict a browser to this origin.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from mien.apps.server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mien.apps.server.metrics import Metrics
    from mien.apps.server.settings import Settings

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""Content-Security-Policy of self-contained reports."""

SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), microphone=()"),
    ("Cache-Control", "no-store"),
)
"""Headers of every response that does not set them itself."""

RAW_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS]

OPEN_PATHS = ("/healthz", "/readyz")
OPEN_FOLDERS = ("/assets/", "/ort/")
"""Addresses without a token: they reveal nothing, or are published anyway."""

MAX_UNREAD_BYTES = 1 << 16
"""Bytes of a body that may still arrive after an error response; for more the connection is closed."""


class SecurityMiddleware:
    """Checks requests before an application sees them, and adds headers to its responses.

    Args:
        app: handles the requests that pass.
        settings: of the server.
        metrics: counts responses.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        response = _Response(scope, send, self._metrics)
        error = self._check(scope)
        if error is None:
            await self._app(scope, receive, response.send)
        else:
            self._metrics.count("mien_errors_total", code=error.code)
            await _send_error(scope, response.send, error)

    def _check(self, scope: Scope) -> ApiError | None:
        """The error of a request's headers; None where they pass."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not (self._settings.token or _host_name(hosts[0]) in self._settings.host_names):
            return ApiError("wrong_host", "expected a request to this machine; received one that names another host")
        if self._settings.token and not self._is_authorized(scope):
            return ApiError(
                "unauthorized",
                "expected the token that the server was started with; received no token or a wrong one. Send it as "
                "Authorization: Bearer TOKEN, or open the page with ?token=TOKEN",
            )
        if any(_network_location(origin) != hosts[0].lower() for origin in origins):
            return ApiError("foreign_origin", "expected a request of this server's own page; received another site's")
        return None

    def _is_authorized(self, scope: Scope) -> bool:
        """Whether a request has the token, or needs none."""
        if scope["path"] in OPEN_PATHS or scope["path"].startswith(OPEN_FOLDERS):
            return True
        candidates = [value[7:] for value in _values(scope, b"authorization") if value[:7].lower() == "bearer "]
        if scope["type"] == "websocket" or scope["path"] == "/":
            candidates += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            candidates += [name.removeprefix("token.") for name in scope.get("subprotocols", ())]
        token = self._settings.token.encode()
        return any(hmac.compare_digest(each.encode("utf-8", "replace"), token) for each in candidates)


class _Response:
    """Sends a response with the security headers, and counts it."""

    def __init__(self, scope: Scope, send: Send, metrics: Metrics) -> None:
        self._scope, self._send, self._metrics = scope, send, metrics

    async def send(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            present = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in RAW_SECURITY_HEADERS if name not in present]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
            route = getattr(self._scope.get("route"), "path", "none")
            self._metrics.count("mien_requests_total", route=route, status=str(message["status"]))
        await self._send(message)


async def _send_error(scope: Scope, send: Send, error: ApiError) -> None:
    """Send an error response, over HTTP or in place of a WebSocket."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers: list[tuple[bytes, bytes]] = [
        (name.lower().encode(), text.encode()) for name, text in error.headers.items()
    ]
    if closes_connection(scope):
        headers.append((b"connection", b"close"))
    start: dict[str, Any] = {"type": f"{kind}.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": f"{kind}.body", "body": error.body})


def closes_connection(scope: Scope) -> bool:
    """Whether the connection is closed after an error, since much of a body may still arrive."""
    lengths = _values(scope, b"content-length")
    return bool(_values(scope, b"transfer-encoding")) or any(
        not length.isdecimal() or int(length) > MAX_UNREAD_BYTES for length in lengths
    )


def _values(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _network_location(origin: str) -> str | None:
    """Host and port of an origin; None where it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _host_name(host: str) -> str:
    """A host without its port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).lower()
