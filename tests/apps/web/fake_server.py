"""A server with the page's endpoints, made of the standard library and a real recognizer."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.web import constants
from mien.errors import ImageError
from mien.media.image import read
from mien.models.store import ModelStore
from mien.outputs import to_dict
from mien.structures import FrameResult
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from typing import Any

    from mien.recognizer import Recognizer

PAGE = constants.CONSTANTS_FILE.parents[1]
KINDS = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".svg": "image/svg+xml", ".wasm": "application/wasm",
}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(self), microphone=()",
}
HANDSHAKE = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE = 1, 2, 8


class FakeServer:
    """Serves the page, the models, ``/v1/predict`` and ``/v1/live`` on a free port.

    Args:
        recognizer: runs on the images that arrive.
        runtime: the folder of onnxruntime-web's files; None: they are missing.

    Attributes:
        requests: method and path of every request, and ("frame", size) of each frame received over a WebSocket.
        is_down: whether WebSockets are refused, as by a server that was stopped.
    """

    def __init__(self, recognizer: Recognizer, runtime: Path | None = None) -> None:
        self.recognizer, self.runtime = recognizer, runtime
        self.requests: list[tuple[str, str]] = []
        self.is_down = False
        self.sockets: list[Any] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def hang_up(self) -> None:
        """Closes every WebSocket, as a server does that is stopped."""
        for handler in self.sockets:
            with suppress(OSError):  # the page may have closed it first
                handler.connection.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def close(self) -> None:
        self.hang_up()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.fake.requests.append(("GET", path))
        if path == "/v1/live":
            with suppress(OSError):  # the page may close it at any time
                self._live()
        elif path == "/":
            self._file(PAGE / "ui" / "index.html")
        elif path.startswith("/assets/"):
            self._file(PAGE / path.removeprefix("/assets/"))
        elif path.startswith("/ort/"):
            self._file(self.fake.runtime / Path(path).name if self.fake.runtime else Path())
        elif path.startswith("/v1/models"):
            self._models(path.split("/")[3:])
        else:
            self._error(404, "not_found")

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.fake.requests.append(("POST", path))
        content = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self._json(to_dict(FrameResult("", predictions=self.fake.recognizer.predict(content).predictions)))
        except ImageError as error:
            self._error(422, "not_an_image", str(error))

    def _models(self, parts: list[str]) -> None:
        cards = {"compact": self.fake.recognizer.classifier.card, "faces": self.fake.recognizer.detector.card}
        if not parts:
            models = [
                {"name": name, "kind": "detector" if name == "faces" else "classifier", "labels": [], "here": True}
                for name in cards
            ]
            self._json({"default": "compact", "models": models})
        elif len(parts) == 1:
            self._json({"name": parts[0], "card": json.loads(cards[parts[0]].to_json())})
        else:
            self._respond(200, ModelStore().load(parts[0]), "application/octet-stream")

    def _file(self, path: Path) -> None:
        if path.is_file() and path.suffix in KINDS:
            self._respond(200, path.read_bytes(), KINDS[path.suffix])
        else:
            self._error(404, "missing_package", "expected onnxruntime-web; it is not on this machine")

    def _json(self, payload: dict[str, Any], status: int = 200) -> None:
        self._respond(status, json.dumps(payload).encode(), "application/json")

    def _error(self, status: int, code: str, message: str = "") -> None:
        self._json({"error": {"code": code, "message": message}}, status)

    def _respond(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    # -- the WebSocket, RFC 6455

    def _live(self) -> None:
        if self.fake.is_down:
            self._error(503, "stopping")
            return
        accepted = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + HANDSHAKE).encode()).digest()
        self.send_response(101)
        for name, value in {
            "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(accepted).decode(),
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.fake.sockets.append(self)
        self.close_connection = True
        recognizer, tracker, frames = self.fake.recognizer, Tracker(), 0
        self._send({"type": "ready", "model": "compact", "labels": recognizer.labels, "unsure_below": 0.6})
        while (message := self._message()) is not None:
            kind, content = message
            if kind == TEXT:
                tracker.reset()
                continue
            frames += 1
            self.fake.requests.append(("frame", str(len(content))))
            self._send({"type": "result", "frame": frames, "result": self._predict(content, tracker)})

    def _predict(self, content: bytes, tracker: Tracker) -> dict[str, Any]:
        frame, recognizer = read(content), self.fake.recognizer
        predictions = recognizer.classify(frame, recognizer.detector.detect(frame))
        return to_dict(FrameResult("", predictions=tracker.follow(predictions, time.monotonic())))

    def _send(self, payload: dict[str, Any]) -> None:
        content = json.dumps(payload).encode()
        length = bytes([len(content)]) if len(content) < 126 else b"\x7e" + struct.pack(">H", len(content))
        self.wfile.write(bytes([0x80 | TEXT]) + length + content)

    def _message(self) -> tuple[int, bytes] | None:
        """One whole message, joined from its fragments; None at the end."""
        kind, content = 0, b""
        while True:
            first = self.rfile.read(2)
            if len(first) < 2 or first[0] & 15 == CLOSE:
                return None
            length = first[1] & 127
            if length >= 126:
                length = int.from_bytes(self.rfile.read(2 if length == 126 else 8), "big")
            mask, masked = self.rfile.read(4), self.rfile.read(length)
            whole = int.from_bytes(mask * (length // 4 + 1), "big") >> 8 * (4 - length % 4)
            content += (int.from_bytes(masked, "big") ^ whole).to_bytes(length, "big")
            kind = kind or first[0] & 15
            if first[0] & 0x80:
                return kind, content
