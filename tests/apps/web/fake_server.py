"""A server with the page's endpoints, made of the standard library and a real recognizer.

It responds as ``mien.apps.server`` does: ``test_fake_server.py`` compares the two.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from mien.apps.server.catalog import ModelCatalog
from mien.apps.server.errors import ApiError
from mien.apps.server.pages import INDEX_FILE, PAGE_FOLDERS, content_type
from mien.apps.server.security import SECURITY_HEADERS
from mien.apps.server.settings import PAGE_FOLDER
from mien.errors import ImageError
from mien.media.image import read
from mien.models.store import ModelStore
from mien.outputs import to_dict
from mien.structures import FrameResult
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from mien.recognizer import Recognizer
    from mien.structures import Prediction

MODEL = "compact"
FILE_HEADERS = {"Cache-Control": "no-cache"}
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
        self.catalog = ModelCatalog(ModelStore(), MODEL, lambda: MODEL)
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
        else:
            self._answer(self._get, path)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        self.fake.requests.append(("POST", path))
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self._post, path, content)

    def _answer(self, handle: Callable[..., None], *arguments: object) -> None:
        try:
            handle(*arguments)
        except ApiError as error:
            self._respond(error.status, error.body, error.headers)

    def _get(self, path: str) -> None:
        match path.split("/")[1:]:
            case [""]:
                self._file(PAGE_FOLDER / INDEX_FILE)
            case ["assets", folder, name] if folder in PAGE_FOLDERS:
                self._file(PAGE_FOLDER / folder / name)
            case ["ort", name]:
                if self.fake.runtime is None:
                    raise ApiError("missing_package", "expected onnxruntime-web; it is not on this machine")
                self._file(self.fake.runtime / name)
            case ["v1", "models"]:
                catalog = self.fake.catalog
                self._json({"default": catalog.default, "models": list(map(asdict, catalog.entries()))})
            case ["v1", "models", name]:
                self._json(self.fake.catalog.card(name))
            case ["v1", "models", name, "file"]:
                content = self.fake.catalog.file(name).path.read_bytes()
                self._respond(200, content, {"Content-Type": "application/octet-stream", **FILE_HEADERS})
            case _:
                raise ApiError("not_found", "expected an address of the page; received another")

    def _post(self, path: str, content: bytes) -> None:
        if path != "/v1/predict":
            raise ApiError("not_found", "expected an address of the page; received another")
        if not content:
            raise ApiError("no_image", "expected an image; received none")
        try:
            self._json(to_dict(FrameResult("", predictions=self.fake.recognizer.predict(content).predictions)))
        except ImageError as error:
            raise ApiError("unreadable_image", str(error)) from error

    def _file(self, path: Path) -> None:
        if not path.is_file():
            raise ApiError("not_found", "expected a file of the page; received another name")
        self._respond(200, path.read_bytes(), {"Content-Type": content_type(path.name), **FILE_HEADERS})

    def _json(self, payload: dict[str, Any]) -> None:
        self._respond(200, json.dumps(payload).encode(), {"Content-Type": "application/json"})

    def _respond(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**dict(SECURITY_HEADERS), "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    # -- the WebSocket, RFC 6455

    def _live(self) -> None:
        if self.fake.is_down:
            error = ApiError("busy", "expected fewer WebSockets; received one more. Retry soon")
            self._respond(error.status, error.body, error.headers)
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
        recognizer, tracker, frames, started = self.fake.recognizer, Tracker(), 0, time.monotonic()
        unsure_below = recognizer.output.unsure_below
        self._send({"type": "ready", "model": MODEL, "labels": recognizer.labels, "unsure_below": unsure_below})
        while (message := self._message()) is not None:
            kind, content = message
            if kind == TEXT:
                tracker.reset()
                continue
            frames += 1
            self.fake.requests.append(("frame", str(len(content))))
            seconds = time.monotonic() - started
            try:
                predictions = tracker.follow(self._predict(content), seconds)
            except ImageError as error:
                self._send({"type": "error", "frame": frames, **ApiError("unreadable_image", str(error)).payload})
            else:
                result = to_dict(FrameResult("live", frames, seconds, predictions))
                self._send({"type": "result", "frame": frames, "result": result})

    def _predict(self, content: bytes) -> tuple[Prediction, ...]:
        frame, recognizer = read(content), self.fake.recognizer
        return tuple(recognizer.classify(frame, recognizer.detector.detect(frame)))

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
