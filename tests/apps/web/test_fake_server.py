"""The fake server responds to the requests of the page as ``mien serve`` does: same status, types, fields, messages."""

from __future__ import annotations

import io
import json

import httpx
import pytest
from browser import RUNTIME
from fake_server import FakeServer
from PIL import Image
from serving import serving
from websockets.sync.client import connect

from mien.apps.server.security import SECURITY_HEADERS
from mien.models.store import ModelStore

HEADERS = ("Content-Type", *(name for name, _ in SECURITY_HEADERS))
FILES = ["/", "/assets/ui/app.js", "/assets/ui/style.css", "/assets/ui/icon.svg", "/assets/inference/worker.js"]
ORT = ["/ort/ort.wasm.min.mjs", "/ort/gone.mjs"]
GET = [
    *FILES,
    *ORT,
    *("/assets/ui/gone.js", "/assets/constants.py", "/assets/../settings.py", "/gone"),
    *("/v1/models", "/v1/models/compact", "/v1/models/faces", "/v1/models/gone"),
    *("/v1/models/compact/file", "/v1/models/faces/file", "/v1/models/gone/file"),
]


@pytest.fixture(scope="module", params=["without onnxruntime-web", "with onnxruntime-web"])
def pair(request, recognizer, tmp_path_factory):
    """The addresses of the real server and the fake one, both with the same models."""
    cache, runtime = tmp_path_factory.mktemp("cache"), None
    if request.param == "with onnxruntime-web":
        runtime = request.getfixturevalue("runtime")
        (archive,) = request.getfixturevalue("npm")(RUNTIME).parent.glob("*.tgz")
        ModelStore(cache=cache / "models").add(archive)
    with pytest.MonkeyPatch.context() as patch, serving(cache) as real:
        patch.setenv("MIEN_CACHE", str(cache))
        fake = FakeServer(recognizer, runtime)
        yield real, fake.address
        fake.close()


@pytest.fixture(scope="module")
def portrait_bytes(portrait):
    content = io.BytesIO()
    Image.fromarray(portrait).save(content, "JPEG", quality=90)
    return content.getvalue()


def shape(value):
    """The fields and types of a JSON value; a number is a number, whether 1 or 1.0."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(part)) for part in value})
    return "number" if type(value) in (int, float) else type(value).__name__


def compared(response):
    """What must be the same of both servers; of an error all but its message."""
    content = response.content
    if response.headers["Content-Type"] == "application/json":
        content = shape(response.json()), (response.json().get("error") or {}).get("code")
    return response.status_code, {name: response.headers.get(name) for name in HEADERS}, content


@pytest.mark.parametrize("path", GET)
def test_a_get_gives_the_same(pair, path):
    real, fake = (compared(httpx.get(address + path, trust_env=False, timeout=60)) for address in pair)
    assert fake == real


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/compact", "/v1/models/faces"])
def test_the_models_and_their_cards_are_the_same(pair, path):
    real, fake = (httpx.get(address + path, trust_env=False, timeout=60).json() for address in pair)
    assert fake == real


@pytest.mark.parametrize("content", ["portrait", "no image", ""])
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/gone"])
def test_a_post_gives_the_same(pair, path, content, portrait_bytes):
    body = portrait_bytes if content == "portrait" else content.encode()
    headers = {"Content-Type": "image/jpeg"}
    real, fake = (
        httpx.post(address + path, content=body, headers=headers, trust_env=False, timeout=60) for address in pair
    )
    assert compared(fake) == compared(real)
    if real.is_success:
        assert [face["emotion"] for face in fake.json()["faces"]] == [face["emotion"] for face in real.json()["faces"]]


def live_messages(address, *sent):
    """The server's messages: the first, and one per message sent."""
    url = address.replace("http", "ws") + "/v1/live"
    with connect(url, open_timeout=60, proxy=None, compression=None) as connection:
        messages = [json.loads(connection.recv(timeout=60))]
        for content in sent:
            connection.send(content)
            if isinstance(content, bytes):
                messages.append(json.loads(connection.recv(timeout=60)))
        return messages


def test_the_websocket_gives_the_same_messages(pair, portrait_bytes):
    sent = [portrait_bytes, portrait_bytes, b"no image", '{"type": "forget"}', portrait_bytes]
    real, fake = (live_messages(address, *sent) for address in pair)
    assert fake[0] == real[0]
    assert [shape(message) for message in fake] == [shape(message) for message in real]
    for field in ("type", "frame", "code"):
        assert [message.get(field) for message in fake] == [message.get(field) for message in real]
    tracks = [[face["track"] for face in message.get("result", {}).get("faces", [])] for message in real]
    assert tracks == [[], [1], [1], [], [2]]
    assert [[face["track"] for face in message.get("result", {}).get("faces", [])] for message in fake] == tracks
