"""Attacks on the server: each is refused with a status or a close code, takes no memory, and leaves no traceback."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import resource
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parents[1] / "apps" / "server"))

from servers import FAKE_WORKER, TIMEOUT_SECONDS, Limits, face, served

from mien.apps.server.downloads import CheckedFile, Download, state_of
from mien.apps.server.errors import ApiError
from mien.apps.server.limits import MAX_PART_HEADERS, MAX_PARTS, MultipartFiles, Slots
from mien.errors import ModelError
from mien.media.formats import read_header
from mien.workers.main import Worker
from mien.workers.protocol import WorkerSpec

TOKEN = "0123456789abcdef0123"
MODEL = "large-int8"
FORM = "multipart/form-data; boundary="


@pytest.fixture(scope="module")
def server():
    limits = Limits(sockets=2, messages=20, socket_silence=5.0, downloads=8)
    with served(FAKE_WORKER, limits=limits) as one:
        yield one


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one
    assert "Traceback" not in "".join(server.log)


def code_of(response):
    assert "nosniff" in response.headers["X-Content-Type-Options"]
    return response.status_code, response.json()["error"]["code"]


def live(server, path="v1/live"):
    return connect(server.address.replace("http", "ws") + path, open_timeout=60, proxy=None, compression=None)


def receive(connection):
    return json.loads(connection.recv(timeout=60))


# -- downloads


def resident_bytes(server):
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    return int(found[1]) * 1024


def download(server, path=f"/v1/models/{MODEL}/file"):
    """A client that takes little at once, and nothing yet."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(TIMEOUT_SECONDS)
    one.connect(("127.0.0.1", server.port))
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    return one


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_clients_that_never_read_take_slots_and_no_memory(server, client):
    size = len(client.get(f"/v1/models/{MODEL}/file").content)
    before = resident_bytes(server)
    with contextlib.ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(download(server))
        end = time.monotonic() + TIMEOUT_SECONDS
        while (refused := client.get(f"/v1/models/{MODEL}/file")).status_code == 200:
            assert time.monotonic() < end
            clients.enter_context(download(server))  # this client itself had the last slot
        assert code_of(refused) == (503, "busy")
        assert refused.headers["Retry-After"] == "1"
        assert client.get("/healthz").status_code == 200
        assert resident_bytes(server) - before < 4 * size
    while client.get(f"/v1/models/{MODEL}/file").status_code != 200:
        assert time.monotonic() < end


def test_a_slow_download_is_complete(server):
    """A pause is longer than the time in which a connection that ends is closed."""
    with download(server, "/v1/models/compact-int8/file") as one:
        received = one.recv(1000)
        time.sleep(2.5)
        while piece := one.recv(1 << 16):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert len(body) == int(re.search(rb"content-length: (\d+)", head.lower())[1])


def test_a_file_that_changes_while_it_is_sent_never_arrives_whole(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(200_000))
    response = Download(CheckedFile(path, "", state_of(path)), Slots(1, "busy", "downloads"), "", {})
    path.write_bytes(b"x" * 200_001)
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with ThreadPoolExecutor(1) as thread:  # browser tests leave a loop running in theirs
        running = thread.submit(lambda: asyncio.run(response(scope, None, send)))
        with pytest.raises(ModelError, match="changed"):
            running.result()
    assert [message["type"] for message in sent] == ["http.response.start"]


# -- forms


TINY_PARTS = {
    "no header": b"--x\r\n\r\n\r\n",
    "a name": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
    "a file": b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n\r\n',
}


@pytest.mark.parametrize("part", TINY_PARTS.values(), ids=TINY_PARTS)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/video"])
def test_a_form_of_many_parts_is_refused(client, part, path):
    body = part * (MAX_PARTS + 1) + b"--x--\r\n"
    status, code = code_of(client.post(path, content=body, headers={"Content-Type": f"{FORM}x"}))
    assert (status, code) in ((400, "bad_request"), (413, "too_many_images"))


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_parts_are_counted_however_the_form_arrives(size):
    parser = MultipartFiles(f"{FORM}x", lambda _: io.BytesIO().write)
    body = TINY_PARTS["no header"] * (MAX_PARTS + 1)
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    with pytest.raises(ApiError, match=f"at most {MAX_PARTS} parts"):
        list(map(parser.feed, pieces))


def test_lines_that_begin_like_a_boundary_are_counted_before_they_are_parsed():
    parser = MultipartFiles(f"{FORM}x", lambda _: io.BytesIO().write)
    parser.feed(b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n')
    with pytest.raises(ApiError, match="parts"):
        parser.feed(b"\r\n--xa" * (MAX_PARTS + 1))


def test_a_part_of_many_headers_is_refused():
    parser = MultipartFiles(f"{FORM}x", lambda _: io.BytesIO().write)
    with pytest.raises(ApiError, match="malformed"):
        parser.feed(b"--x\r\n" + b"a:b\r\n" * (MAX_PART_HEADERS + 1))


@pytest.mark.parametrize("length", [257, 1000, 4000])
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/video"])
def test_a_boundary_that_is_too_long_is_refused(client, length, path):
    headers = {"Content-Type": FORM + "b" * length}
    assert code_of(client.post(path, content=b"x", headers=headers)) == (400, "bad_request")


# -- headers


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://a]b", "//[x", "http://\uff0e".encode()])
@pytest.mark.parametrize("path", ["/v1/models", "/healthz", "/nowhere"])
def test_an_origin_that_is_no_address_is_foreign(client, origin, path):
    assert code_of(client.get(path, headers={"Origin": origin})) == (403, "foreign_origin")


def test_the_token_is_checked_before_the_origin():
    with served(FAKE_WORKER, token=TOKEN) as server, server.client() as client:
        headers = {"Origin": "http://["}
        assert code_of(client.get("/v1/models", headers=headers)) == (401, "unauthorized")
        headers["Authorization"] = f"Bearer {TOKEN}"
        assert code_of(client.get("/v1/models", headers=headers)) == (403, "foreign_origin")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/predict", "POST"),
        ("PUT", "/v1/video/x", "DELETE, GET"),
        ("DELETE", "/v1/video", "POST"),
        ("POST", "/healthz", "GET"),
        ("PATCH", "/v1/models/x/file", "GET"),
        ("TRACE", "/", "GET"),
    ],
)
def test_another_method_gets_those_that_are_allowed(client, method, path, allowed):
    response = client.request(method, path)
    assert code_of(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == allowed


def test_every_route_documents_its_errors(client):
    for methods in client.get("/openapi.json").json()["paths"].values():
        for route in methods.values():
            assert "default" in route["responses"]
            assert "422" not in route["responses"]


# -- the disk


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux limits the files of a running process")
@pytest.mark.parametrize("size", [10_000, 1_000_000, 3_000_000])
@pytest.mark.parametrize("form", [True, False])
def test_a_video_for_which_there_is_no_space_is_refused(server, client, form, size):
    """A limit on the size of files stands for a full disk: writing fails in the same places."""
    before = server.metric("mien_videos")
    sent = {"files": {"file": ("a.avi", bytes(size))}} if form else {"content": bytes(size)}
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    try:
        response = client.post("/v1/video", **sent)
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert code_of(response) == (507, "no_space")
    assert "/" not in response.json()["error"]["message"]
    assert server.metric("mien_videos") == before
    job = client.post("/v1/video", **sent)
    assert job.status_code == 202
    client.delete(f"/v1/video/{job.json()['id']}")


def test_results_for_which_there_is_no_space_fail_by_that_name(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mien.workers.main._analyze_video", refuse)
    worker = object.__new__(Worker)
    worker._fused = None
    (reply,) = worker.video({"video": str(tmp_path), "name": "a.avi"}, b"")
    assert reply.payload["error"]["code"] == "no_space"
    assert str(tmp_path) not in reply.payload["error"]["message"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"8BPS\0\1" + bytes(40), "PSD"), (b"%PDF-1.4\n1 0 obj\n", "PDF"), (b"PK\3\4" + bytes(60), "ZIP")],
)
@pytest.mark.parametrize("form", [True, False])
def test_a_foreign_format_is_no_video(client, content, kind, form):
    sent = {"files": {"file": ("a.mp4", content)}} if form else {"content": content}
    response = client.post("/v1/video", **sent)
    assert code_of(response) == (422, "unreadable_video")
    assert kind.lower() in response.json()["error"]["message"].lower()


# -- images


def test_the_header_of_an_image_is_read_once(monkeypatch):
    headers = []

    def counted(content):
        headers.append(read_header(content))
        return headers[-1]

    monkeypatch.setattr("mien.media.image.read_header", counted)
    worker = Worker(WorkerSpec("compact", max_pixels=300 * 300))
    (reply,) = worker.analyze({"head": "fused", "source": ""}, face())
    assert reply.payload is None
    assert len(headers) == 1
    worker._max_pixels = 100
    (reply,) = worker.analyze({"head": "fused", "source": ""}, face())
    assert reply.payload["error"]["code"] == "too_many_pixels"
    assert len(headers) == 2


# -- sockets


@pytest.mark.parametrize("path", ["", "v1", "v1/live/x", "v1/video", "nowhere?model=x"])
def test_a_socket_at_another_address_is_refused(server, client, path):
    with pytest.raises(InvalidStatus) as refused, live(server, path):
        pass
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["error"]["code"] == "not_found"
    assert refused.value.response.headers["X-Content-Type-Options"] == "nosniff"


DEEP = {"lists": "[" * 500, "many lists": "[" * 100_000, "objects": '{"a":' * 150, "closed": "[" * 400 + "]" * 400}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_deep_json_on_a_socket_is_an_error_of_its_own(server, client, text):
    with live(server) as connection:
        receive(connection)
        connection.send(text)
        assert receive(connection)["code"] == "bad_request"


@pytest.mark.parametrize("message", ["junk", '{"type": "forget"}', b"x", ""])
def test_many_messages_in_a_second_close_a_socket(server, client, message):
    with live(server) as connection:
        receive(connection)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(200):
                connection.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            list(iter(lambda: connection.recv(timeout=60), None))
        assert closed.value.rcvd.code == 1008
    server.eventually("mien_sockets", 0)


def test_one_socket_too_many_is_refused_without_a_traceback(server, client):
    with live(server) as one, live(server) as other:
        receive(one), receive(other)
        before = len(server.log)
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused, live(server):
                pass
            assert refused.value.response.status_code == 503
        assert client.get("/healthz").status_code == 200
        assert len(server.log) <= before + 3  # uvicorn says for each that no handshake was completed


def test_silent_sockets_leave_their_places():
    with served(FAKE_WORKER, limits=Limits(sockets=2, socket_silence=1.0)) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(live(server)) for _ in range(2)]
        for connection in silent:
            assert receive(connection)["type"] == "ready"
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(timeout=60)
            assert closed.value.rcvd.code == 1001
        server.eventually("mien_sockets", 0)
        with live(server) as connection:
            assert receive(connection)["type"] == "ready"
    assert "Traceback" not in "".join(server.log)


# -- killed readers


@pytest.fixture
def stuck_worker(tmp_path):
    """A worker that waits during the first video, and is done at once with the next."""
    marker = tmp_path / "begun"
    code = f"""
import time
from pathlib import Path
from mien.workers.protocol import receive, send, worker_pipes
with worker_pipes() as pipes:
    receive(pipes.requests)
    send(pipes.replies, "ready")
    files = receive(pipes.requests).payload
    if not Path({str(marker)!r}).exists():
        Path({str(marker)!r}).touch()
        time.sleep(3600)
    Path(files["results"]).write_text("")
    send(pipes.replies, None)
    receive(pipes.requests)
"""
    return marker, (sys.executable, "-c", code)


@pytest.mark.parametrize("ending", ["killed", "deleted", "stopped"])
def test_a_video_whose_reader_ends(stuck_worker, ending, tmp_path):
    marker, command = stuck_worker
    with served(FAKE_WORKER, command, folder=tmp_path) as server, server.client() as client:
        before = set(server.children)
        job = client.post("/v1/video", content=b"video").json()
        end = time.monotonic() + TIMEOUT_SECONDS
        while not marker.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        (worker,) = set(server.children) - before
        if ending == "killed":
            os.kill(worker, signal.SIGKILL)
            while (state := client.get(f"/v1/video/{job['id']}").json()["state"]) == "processing":
                assert time.monotonic() < end
            assert state == "done"
        elif ending == "deleted":
            assert client.delete(f"/v1/video/{job['id']}").json()["state"] == "cancelled"
            server.eventually("mien_videos", 0)
    assert [line for line in server.log if not line.startswith("http://")] == []
