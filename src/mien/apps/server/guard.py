"""What every request passes: which host it names, from which page it comes, whether it knows the token.

Every answer gets the headers that hold a browser to this origin; every mistake becomes an answer without a traceback.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from mien.apps.server.faults import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mien.apps.server.metrics import Metrics
    from mien.apps.server.settings import Settings

POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""Of pages of results, which hold all that they show."""

HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), microphone=()"),
    ("Cache-Control", "no-store"),
)
"""Of every answer that has no such header of its own."""

OPEN = ("/healthz", "/readyz")
OPEN_FOLDERS = ("/assets/", "/ort/")
"""What needs no token: it tells nothing, or is published anyway."""

SMALL = 1 << 16
"""Bytes of a body that may still come after a refusal; for more the connection is closed."""


class Guard:
    """Around an application.

    Args:
        app: what answers.
        settings: of the server.
        metrics: where answers are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send, self._metrics)
        fault = self._fault(scope)
        if fault is None:
            await self._app(scope, receive, answer.send)
        else:
            self._metrics.count("mien_refusals_total", code=fault.code)
            await refuse(scope, answer.send, fault)

    def _fault(self, scope: Scope) -> Refusal | None:
        """What is wrong with the head of a request, if anything is."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not (self._settings.token or _name(hosts[0]) in self._settings.names):
            return Refusal("wrong_host", "expected a request to this machine; received one that names another host")
        if any(urlsplit(origin).netloc.lower() != hosts[0].lower() for origin in origins):
            return Refusal("foreign_origin", "expected a request of this server's own page; received one of another's")
        if self._settings.token and not self._known(scope):
            return Refusal(
                "unauthorized",
                "expected the token that the server was started with; received none, or another. Send it as "
                "Authorization: Bearer TOKEN, or open the page with ?token=TOKEN",
            )
        return None

    def _known(self, scope: Scope) -> bool:
        """Whether a request knows the token, or needs none."""
        if scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDERS):
            return True
        told = [value[7:] for value in _values(scope, b"authorization") if value[:7].lower() == "bearer "]
        if scope["type"] == "websocket" or scope["path"] == "/":
            told += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            told += [name.removeprefix("token.") for name in scope.get("subprotocols", ())]
        token = self._settings.token.encode()
        return any(hmac.compare_digest(one.encode("utf-8", "replace"), token) for one in told)


class _Answer:
    """Sends an answer, with the headers that all have, and counts it."""

    def __init__(self, scope: Scope, send: Send, metrics: Metrics) -> None:
        self._scope, self._send, self._metrics = scope, send, metrics

    async def send(self, message: Message) -> None:
        """Sends a part of it."""
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            there = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in ENCODED if name not in there]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
            route = getattr(self._scope.get("route"), "path", "none")
            self._metrics.count("mien_requests_total", route=route, status=str(message["status"]))
        await self._send(message)


ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS]


async def refuse(scope: Scope, send: Send, fault: Refusal) -> None:
    """Answers with a refusal, over HTTP or in place of a socket."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers: list[tuple[bytes, bytes]] = [
        (name.lower().encode(), text.encode()) for name, text in fault.headers.items()
    ]
    if ends(scope):
        headers.append((b"connection", b"close"))
    start: dict[str, Any] = {"type": f"{kind}.start", "status": fault.status, "headers": headers}
    await send(start)
    await send({"type": f"{kind}.body", "body": fault.body})


def ends(scope: Scope) -> bool:
    """Whether the connection is closed after a refusal, since much of a body may still come."""
    told = _values(scope, b"content-length")
    return bool(_values(scope, b"transfer-encoding")) or any(
        not length.isdecimal() or int(length) > SMALL for length in told
    )


def _values(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _name(host: str) -> str:
    """A host without its port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).lower()
