"""Stopping a server: accepted requests finish, nothing is left, and nothing is ever sent elsewhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
from servers import FAKE_WORKER, TIMEOUT_SECONDS, Limits, served

from running import is_running

REQUEST = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_accepted_requests_finish_and_the_server_exits(portrait_bytes, number, tmp_path):
    held = tmp_path / "held"
    held.touch()
    limits = Limits(waiting=6, response=TIMEOUT_SECONDS)  # until all six have arrived, however busy the machine
    with served(FAKE_WORKER, limits=limits, environment={"HELD_BY": str(held)}) as server:
        children, statuses = server.children, []

        def send_request():
            with server.client() as client:
                statuses.append(client.post("/v1/predict", content=b"HELD" + portrait_bytes).status_code)

        sending = [threading.Thread(target=send_request) for _ in range(6)]
        for thread in sending:
            thread.start()
        server.eventually("mien_requests_in_progress", 6)
        begun = time.monotonic()
        server.process.send_signal(number)
        held.unlink()
        assert server.process.wait(TIMEOUT_SECONDS) == 0
        # six images of 0.3 s each; a busy machine may be slow, but not for ever
        assert time.monotonic() - begun < 60
        for thread in sending:
            thread.join()
        assert statuses == [200] * 6
        with pytest.raises(httpx.ConnectError):
            server.metric("mien_workers")
    assert not any(map(is_running, children))
    assert "Traceback" not in "".join(server.log)


def test_idle_connections_and_half_a_body_do_not_delay_the_stop():
    with served(FAKE_WORKER, limits=Limits(silence=2.0, upload=2.0)) as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        half = socket.create_connection(("127.0.0.1", server.port))
        half.sendall(REQUEST % 1000 + b"half")
        server.eventually("mien_requests_in_progress", 1)
        server.process.terminate()
        assert server.process.wait(TIMEOUT_SECONDS) == 0
        idle.close()
        half.close()


def test_workers_exit_when_the_server_is_killed():
    with served(FAKE_WORKER) as server:
        children = server.children
        server.process.kill()
        server.process.wait()
        end = time.monotonic() + TIMEOUT_SECONDS
        while any(map(is_running, children)):
            assert time.monotonic() < end
            time.sleep(0.05)


AUDITED_SERVER = """
import os, socket, sys
def audit(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        if not (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            sys.stderr.write(f"CONNECTED TO {address!r}\\n")
            os._exit(9)
    if event in ("socket.getaddrinfo", "socket.gethostbyname") and arguments[0] not in (None, "127.0.0.1", "::1"):
        sys.stderr.write(f"RESOLVED {arguments[0]!r}\\n")
        os._exit(9)
    if event == "open" and isinstance(arguments[0], str) and set(str(arguments[1] or "")) & set("wax+"):
        sys.stderr.write(f"WROTE {arguments[0]!r}\\n")
sys.addaudithook(audit)
from mien.__main__ import main
sys.argv = ["mien", "serve", "--port", "0", "--workers", "1"]
main()
"""


def test_no_connection_is_opened_and_nothing_is_written(portrait_bytes, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "MIEN_CACHE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", AUDITED_SERVER], stderr=subprocess.PIPE, env=environment) as process:
        log = [process.stderr.readline().decode()]
        while "serves at" not in log[-1]:
            assert log[-1], "".join(log)
            log.append(process.stderr.readline().decode())
        address = log[-1].split()[3]
        with httpx.Client(base_url=address, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
            files = {"file": ("a.jpg", portrait_bytes)}
            assert client.post("/v1/predict", files=files).status_code == 200
            for path in ("/docs", "/openapi.json", "/v1/models", "/v1/models/compact", "/metrics"):
                assert client.get(path).status_code == 200
        process.terminate()
        log += [line.decode() for line in process.stderr]
    assert process.returncode == 0
    assert [line for line in log if line.startswith(("CONNECTED TO", "RESOLVED", "WROTE"))] == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("mien")] == []
