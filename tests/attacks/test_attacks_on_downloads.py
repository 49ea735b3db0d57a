"""Servers and addresses that would hold a download for ever, and names that would control a terminal."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socketserver
import threading

import pytest

from mien.errors import FetchError
from mien.models.download import Remote, Timeouts, fetch

BODY = b"model" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

REPLIES = {
    # what the server sends at once, and what it then sends byte by byte for ever
    "the status line trickles": (b"HTTP/1.1 200 ", b"O"),
    "a header trickles": (HEAD + b"X-Long: ", b"a"),
    "headers trickle": (HEAD, b"X: y\r\n"),
    "a line before the headers trickles": (b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n"),
    "the size of a chunk trickles": (CHUNKED, b"0"),
    "an extension of a chunk trickles": (CHUNKED + b"5;", b"x"),
    "the body trickles": (HEAD + b"\r\n", b"m"),
}


class Trickle(socketserver.BaseRequestHandler):
    def handle(self):
        request = self.request.recv(65536)
        kind = request.split()[1].decode().strip("/").replace("_", " ")
        first, then = REPLIES[kind]
        with contextlib.suppress(OSError):
            self.request.sendall(first)
            at = 0
            while not self.server.over.wait(0.01):
                self.request.sendall(then[at % len(then) :][:1])
                at += 1


class Redirect(socketserver.BaseRequestHandler):
    """Redirects with a body that never ends."""

    def handle(self):
        self.request.recv(65536)
        with contextlib.suppress(OSError):
            self.request.sendall(b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:9/\r\n\r\n")
            while not self.server.over.is_set():
                self.request.sendall(bytes(65536))


@contextlib.contextmanager
def serving(handler):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.over = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.over.set()
        server.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", REPLIES)
def test_whatever_trickles_counts_in_the_time(tmp_path, kind):
    with serving(Trickle) as address:
        remote = Remote(f"{address}/{kind.replace(' ', '_')}", len(BODY), DIGEST)
        with pytest.raises(FetchError, match=r"is too slow: \d+ of 5000 bytes"):
            fetch(remote, tmp_path / "model.onnx", timeouts=Timeouts(silence=5.0, total=0.3))
    assert names(tmp_path) == []


def test_the_body_of_a_redirect_is_not_read(tmp_path):
    with serving(Redirect) as address, pytest.raises(FetchError, match="ConnectionRefused"):
        fetch(Remote(address, len(BODY), DIGEST), tmp_path / "model.onnx", timeouts=Timeouts(total=20.0))
    assert names(tmp_path) == []


def test_no_thread_stays_after_a_download(tmp_path):
    source = tmp_path / "source.onnx"
    source.write_bytes(BODY)
    before = threading.active_count()
    fetch(Remote(source.as_uri(), len(BODY), DIGEST), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == BODY
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names need a POSIX system")
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "a link to a pipe"])
def test_a_file_address_of_something_else_is_refused(tmp_path, kind):
    place = tmp_path / "some where"
    if kind == "a folder":
        place.mkdir()
    elif kind == "a device":
        place.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        place = tmp_path / "pipe"
        if kind == "a link to a pipe":
            place = tmp_path / "link"
            place.symlink_to("pipe")
    with pytest.raises(FetchError, match="received a folder, a pipe or a device"):
        fetch(Remote(place.as_uri(), len(BODY), DIGEST), tmp_path / "to" / "model.onnx")


@pytest.mark.parametrize("name", ["\x1b[2J", "\x07bell", "\x9b31m", "[red]markup[/red]", "two\nlines\r"])
def test_the_title_of_a_progress_bar_is_printed_as_text(monkeypatch, capsys, name):
    from mien.apps.cli.options import progress
    from mien.errors import printable

    for variable, value in (("TERM", "xterm"), ("FORCE_COLOR", "1"), ("COLUMNS", "100")):
        monkeypatch.setenv(variable, value)
    with progress(f"downloading {name}") as update:
        update(0.5)
    printed = capsys.readouterr().err
    assert f"downloading {printable(name, keep='')}" in printed
    assert name.isprintable() or name not in printed
