"""Checks of every request: host, origin, token; and the security headers of every response."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from servers import FAKE_WORKER, served

from mien.apps.server import Settings, listen
from mien.apps.server.security import SECURITY_HEADERS
from mien.errors import UsageError

TOKEN = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def locked(page_folder):
    """A server with a token."""
    with served(FAKE_WORKER, token=TOKEN, page=str(page_folder)) as one:
        yield one


def code_of(response):
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nowhere", "/v1/models", "/assets/ui/page.mjs", "/docs", "/v1/video/x"]
)
def test_every_response_restricts_the_browser_to_this_origin(client, path):
    headers = client.get(path).headers
    for name, value in SECURITY_HEADERS:
        if name not in ("Cache-Control", "Content-Security-Policy"):
            assert headers[name] == value
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-eval'" not in headers["Content-Security-Policy"].replace("'wasm-unsafe-eval'", "")
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""]
)
def test_a_foreign_host_name_is_refused(client, host):
    response = client.get("/v1/models", headers={"Host": host})
    assert response.status_code in (400, 421)
    assert response.json()["error"]["code"] in ("wrong_host", "bad_request")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_host_names_of_this_machine_are_accepted(client, host):
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/predict"), ("GET", "/v1/models"), ("DELETE", "/v1/video/x")]
)
def test_a_page_of_another_site_is_refused(client, origin, method, path):
    assert code_of(client.request(method, path, headers={"Origin": origin})) == (403, "foreign_origin")


def test_the_page_s_own_origin_is_accepted(client, server, portrait_bytes):
    origin = server.address.rstrip("/")
    assert client.post("/v1/predict", content=portrait_bytes, headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/docs", "/openapi.json", "/", "/v1/predict", "/nowhere"])
def test_without_the_token_nothing_is_revealed(locked, headers, path):
    with locked.client() as client:
        response = client.get(path, headers=headers, params={"token": "wrong"})
        assert code_of(response) == (401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in response.text


def test_with_the_token_everything_is_accessible(locked, portrait_bytes):
    with locked.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
    with locked.client() as client:
        assert client.get("/", params={"token": TOKEN}).status_code == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/assets/ui/page.mjs").status_code == 200
        # in a query only for the page and the WebSocket, where a browser can send no header
        assert client.get("/v1/models", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "expected --host 127.0.0.1; received 0.0.0.0"),
        ({"host": "0.0.0.0", "remote": True}, "expected --host 127.0.0.1"),
        ({"host": "0.0.0.0", "token": TOKEN}, "expected --host 127.0.0.1"),
        ({"host": "example.com"}, "expected --host 127.0.0.1"),
        ({"token": "short"}, "expected a token of at least 16 letters and digits"),
        ({"token": 'x"; drop' * 4}, "expected a token"),
        ({"port": 65536}, "expected a port up to 65535"),
    ],
)
def test_a_server_that_others_could_reach_by_mistake_does_not_start(settings, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Settings("compact", **settings)


def test_other_machines_are_accepted_when_explicitly_allowed():
    assert not Settings("compact", host="0.0.0.0", remote=True, token=TOKEN).is_local
    assert Settings("compact", host="::1").is_local


def test_a_port_in_use_is_an_error(server):
    with pytest.raises(UsageError, match="expected a free port"):
        listen(Settings("compact", port=server.port))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0", "--port", "0"], "expected --host 127.0.0.1; received 0.0.0.0"),
        (["--port", "0", "--model", "nowhere.onnx"], "expected the path of an .onnx file"),
        (["--port", "0", "--detector", "eagle"], "expected a detector of auto"),
    ],
)
def test_the_command_reports_what_is_wrong_and_exits(arguments, message):
    command = [sys.executable, "-m", "mien", "serve", "--workers", "1", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
