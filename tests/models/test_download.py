import contextlib
import hashlib
import http.server
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from mien.errors import FetchError
from mien.media.files import atomic_write
from mien.models.download import STALE_SECONDS, Remote, Timeouts, fetch

BODY = random.Random(3).randbytes(150_001)
DIGEST = hashlib.sha256(BODY).hexdigest()
WRONG = bytes([BODY[0] ^ 1]) + BODY[1:]


class Mirror(http.server.BaseHTTPRequestHandler):
    """Fails in a different way on each path; /whole is right, /cut/N closes after N bytes."""

    def do_GET(self):
        word, _, number = self.path.strip("/").partition("/")
        self.server.requests.append(self.path)
        if word == "redirect":
            self.send_response(302)
            self.send_header("Location", urllib.parse.unquote(number))
            self.end_headers()
        elif word == "missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str({"long": 10**9}.get(word, len(BODY))))
            self.end_headers()
            with contextlib.suppress(OSError):
                getattr(self, word)(number)

    def whole(self, _):
        self.wfile.write(BODY)

    def cut(self, number):
        self.wfile.write(BODY[: int(number)])

    def wrong(self, _):
        self.wfile.write(WRONG)

    def long(self, _):
        while True:
            self.wfile.write(BODY)

    def trickle(self, _):
        for at in range(0, len(BODY), 1000):
            self.wfile.write(BODY[at : at + 1000])
            self.server.sent.set()
            time.sleep(0.02)

    def silent(self, _):
        self.wfile.write(BODY[:10])
        self.server.over.wait(20)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.requests, server.sent, server.over = [], threading.Event(), threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(server):
    return lambda path: Remote(f"http://127.0.0.1:{server.server_port}{path}", len(BODY), DIGEST)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_file_arrives_complete_and_alone(remote, tmp_path):
    seen = []
    fetch(remote("/whole"), tmp_path / "new" / "model.onnx", lambda *numbers: seen.append(numbers))
    assert (tmp_path / "new" / "model.onnx").read_bytes() == BODY
    assert names(tmp_path / "new") == ["model.onnx"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert [count for count, _ in seen] == sorted({count for count, _ in seen})


def test_a_file_address_serves_as_a_mirror(tmp_path):
    source = tmp_path / "source.onnx"
    source.write_bytes(BODY)
    fetch(Remote(source.as_uri(), len(BODY), DIGEST), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing", "answered 404"),
        ("/cut/70000", "the connection ended after 70000"),
        ("/cut/0", "the connection ended after 0"),
        ("/long", f"expected {len(BODY)} bytes from .*; received more"),
        ("/wrong", f"expected SHA-256 {DIGEST}"),
        ("/redirect/http%3A%2F%2F127.0.0.1%2Fwhole", "redirects to http://127.0.0.1/whole, which is not https"),
        ("/redirect/file%3A%2F%2F%2Fetc%2Fhostname", "answered 302 .*not allowed"),
        ("/redirect/https%3A%2F%2F127.0.0.1%3A9%2F", "could not be fetched .*ConnectionRefused"),
    ],
)
@pytest.mark.parametrize("before", [None, b"the old file"])
def test_a_failed_fetch_leaves_what_was_there(remote, tmp_path, path, message, before):
    place = tmp_path / "model.onnx"
    if before is not None:
        place.write_bytes(before)
    with pytest.raises(FetchError, match=message):
        fetch(remote(path), place)
    assert names(tmp_path) == ([] if before is None else ["model.onnx"])
    assert before is None or place.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "timeouts", "message"),
    [
        ("/silent", Timeouts(silence=0.2), "timed out"),
        ("/trickle", Timeouts(total=0.2), "is too slow"),
    ],
)
def test_a_slow_server_is_given_up(remote, tmp_path, path, timeouts, message):
    with pytest.raises(FetchError, match=message):
        fetch(remote(path), tmp_path / "model.onnx", timeouts=timeouts)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/model.onnx",
        "ftp://127.0.0.1/m",
        "data:,abc",
        "/etc/hostname",
        "http://127.0.0.1.example.com/m",
    ],
)
def test_an_insecure_address_is_refused_before_anything_is_sent(tmp_path, url):
    with pytest.raises(FetchError, match="expected an https address"):
        fetch(Remote(url, len(BODY), DIGEST), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:9/m", "http://localhost:9/m", "http://[::1]:9/m", "file:///nowhere/m"]
)
def test_an_allowed_address_that_does_not_respond(tmp_path, url):
    with pytest.raises(FetchError, match="could not be fetched"):
        fetch(Remote(url, len(BODY), DIGEST), tmp_path / "model.onnx")


def test_a_connection_cut_at_any_byte_never_leaves_a_wrong_file(remote, tmp_path):
    place = tmp_path / "model.onnx"
    for number in random.Random(11).sample(range(len(BODY)), 100):
        with pytest.raises(FetchError):
            fetch(remote(f"/cut/{number}"), place)
        assert names(tmp_path) == []
    fetch(remote("/whole"), place)
    assert place.read_bytes() == BODY


FETCH = """
import sys
from pathlib import Path
from mien.models.download import Remote, fetch
url, size, sha256, place = sys.argv[1:]
fetch(Remote(url, int(size), sha256), Path(place))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 needs a POSIX system")
@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.7, 1.5])
def test_a_fetch_that_is_killed_never_leaves_a_wrong_file(server, remote, tmp_path, after):
    place, slow = tmp_path / "model.onnx", remote("/trickle")
    server.sent.clear()
    process = subprocess.Popen([sys.executable, "-c", FETCH, slow.url, str(slow.size), slow.sha256, str(place)])
    assert server.sent.wait(60)
    time.sleep(after)
    process.kill()
    process.wait()
    assert not place.exists()
    fetch(remote("/whole"), place)
    assert place.read_bytes() == BODY


def test_leftovers_of_killed_downloads_are_swept_and_downloads_in_progress_are_not(remote, tmp_path):
    with atomic_write(tmp_path / "model.onnx") as first, atomic_write(tmp_path / "model.onnx") as second:
        old, recent = first, second
    (tmp_path / "model.onnx").unlink()
    old.write_bytes(b"1")
    recent.write_bytes(b"2")
    long_ago = time.time() - STALE_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    fetch(remote("/whole"), tmp_path / "model.onnx")
    assert names(tmp_path) == [recent.name, "model.onnx"]


def test_a_folder_that_cannot_be_created_is_reported(remote, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match="could not be fetched"):
        fetch(remote("/whole"), tmp_path / "file" / "model.onnx")


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fetch(remote("/whole"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == BODY


def test_nothing_is_printed_and_pooch_s_logger_is_left_as_it_was(remote, tmp_path, capfd):
    import pooch

    before = pooch.get_logger().level
    fetch(remote("/whole"), tmp_path / "model.onnx")
    assert pooch.get_logger().level == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 needs a POSIX system")
def test_the_leftovers_of_a_killed_download_are_swept_by_a_later_one(server, remote, tmp_path):
    place, slow = tmp_path / "model.onnx", remote("/trickle")
    server.sent.clear()
    process = subprocess.Popen([sys.executable, "-c", FETCH, slow.url, str(slow.size), slow.sha256, str(place)])
    assert server.sent.wait(60)
    process.kill()
    process.wait()
    (leftover,) = tmp_path.iterdir()
    long_ago = time.time() - STALE_SECONDS - 60
    os.utime(leftover, (long_ago, long_ago))
    fetch(remote("/whole"), place)
    assert names(tmp_path) == ["model.onnx"]
