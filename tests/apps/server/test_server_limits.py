"""Requests that are too large, too slow or too many: refused early, while others are served."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter

import pytest
from servers import FAKE_WORKER, SMALL_LIMITS, TIMEOUT_SECONDS, Limits, served

REQUEST = "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def read_response(connection) -> tuple[int, dict]:
    """Status and body of the one response on a connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        _, found, body = received.partition(b"\r\n\r\n")
        if found and body.endswith(b"}}"):
            break
    return int(received.split()[1]), json.loads(received.partition(b"\r\n\r\n")[2])


@pytest.fixture
def connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        yield one


def test_a_body_that_declares_too_large_a_size_is_refused_before_it_is_read(server, connection):
    before = server.metric("mien_body_bytes_total")
    connection.sendall(f"{REQUEST}Content-Length: {SMALL_LIMITS.body + 1}\r\n\r\n".encode())
    status, body = read_response(connection)
    assert (status, body["error"]["code"]) == (413, "body_too_large")
    assert server.metric("mien_body_bytes_total") == before


def test_a_body_without_a_length_is_read_no_further_than_its_limit(server, connection):
    before = server.metric("mien_body_bytes_total")
    connection.sendall(f"{REQUEST}Transfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    for _ in range(SMALL_LIMITS.body // 0x8000 + 20):
        connection.sendall(piece)
    status, body = read_response(connection)
    assert (status, body["error"]["code"]) == (413, "body_too_large")
    read = server.metric("mien_body_bytes_total") - before
    assert SMALL_LIMITS.body < read <= SMALL_LIMITS.body + 65536


def test_a_client_that_sends_everything_first_still_receives_the_error(client):
    def endless():
        for _ in range(200):
            yield bytes(65536)

    assert client.post("/v1/predict", content=endless()).status_code == 413


@pytest.mark.parametrize("head", ["Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"])
def test_a_body_that_stalls_is_refused(connection, head):
    begun = time.monotonic()
    connection.sendall(f"{REQUEST}{head}".encode())
    status, body = read_response(connection)
    assert (status, body["error"]["code"]) == (408, "body_too_slow")
    assert time.monotonic() - begun >= SMALL_LIMITS.silence * 0.9


def test_a_body_that_trickles_is_refused(server, connection):
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.2):
            connection.sendall(b"x")

    connection.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode())
    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert read_response(connection)[1]["error"]["code"] == "body_too_slow"
    finally:
        stop.set()
        sender.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: "])
def test_an_idle_connection_is_closed(connection, sent):
    connection.sendall(sent)
    assert connection.recv(100) == b""


def test_a_malformed_request_gets_an_error(connection):
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert read_response(connection)[1]["error"]["code"] == "bad_request"


def test_many_slow_bodies_do_not_block_the_rest_of_the_server(server, client, portrait_bytes):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(SMALL_LIMITS.waiting + 1)]
    try:
        for client_socket in slow:
            client_socket.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode())
        server.eventually("mien_requests_in_progress", len(slow))
        assert client.get("/healthz").status_code == 200
        refused = client.post("/v1/predict", content=portrait_bytes)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        server.eventually("mien_requests_in_progress", 0)
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
    finally:
        for client_socket in slow:
            client_socket.close()


def test_a_client_that_disconnects_during_a_body_leaves_nothing_behind(server, client, portrait_bytes):
    for sent in (b"", b"half an image"):
        with socket.create_connection(("127.0.0.1", server.port)) as rude:
            rude.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode() + sent)
    server.eventually("mien_requests_in_progress", 0)
    assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_overload_is_refused_at_once_and_ends_without_trace(portrait_bytes):
    """Far more than ten times the capacity of one worker that takes 0.3 s an image, for three seconds."""
    statuses, codes, healthy = Counter(), Counter(), []

    def send_requests(server):
        with server.client() as client:
            while time.monotonic() < end:
                response = client.post("/v1/predict", content=b"SLOW" + portrait_bytes)
                statuses[response.status_code] += 1
                if response.status_code != 200:
                    assert response.headers["Retry-After"] == "1"
                    codes[response.json()["error"]["code"]] += 1

    def poll_health(server):
        with server.client() as client:
            while time.monotonic() < end:
                healthy.append(client.get("/healthz").status_code)
                time.sleep(0.05)

    with served(FAKE_WORKER, limits=Limits(waiting=4, response=5.0)) as server:
        end = time.monotonic() + 3.0
        threads = [threading.Thread(target=send_requests, args=(server,)) for _ in range(15)]
        threads.append(threading.Thread(target=poll_health, args=(server,)))
        for thread in threads:
            thread.start()
        seen = [server.metric("mien_requests_in_progress") for _ in range(5)]
        for thread in threads:
            thread.join()
        assert set(statuses) == {200, 503}
        assert set(codes) == {"busy"}
        assert statuses[503] > statuses[200] > 0
        assert max(seen) <= 5
        assert set(healthy) == {200}
        with server.client() as client:
            assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_an_image_over_the_time_limit_is_dropped_and_the_next_is_predicted(portrait_bytes):
    with served(FAKE_WORKER, limits=Limits(response=2.0)) as server, server.client() as client:
        stuck = client.post("/v1/predict", content=b"STUCK")
        assert (stuck.status_code, stuck.json()["error"]["code"]) == (504, "timeout")
        end = time.monotonic() + 60
        while client.post("/v1/predict", content=portrait_bytes).status_code != 200:
            assert time.monotonic() < end


def test_workers_killed_while_idle_cost_no_response(portrait_bytes):
    with served(FAKE_WORKER, workers=2) as server, server.client() as client:
        for _ in range(3):
            for child in server.children:
                os.kill(child, signal.SIGKILL)
            assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_a_worker_killed_during_a_request_costs_no_response(portrait_bytes):
    with served(FAKE_WORKER) as server, server.client() as client:
        responses = []
        sending = threading.Thread(
            target=lambda: responses.append(client.post("/v1/predict", content=b"SLOW" + portrait_bytes))
        )
        sending.start()
        server.eventually("mien_requests_in_progress", 1)
        os.kill(server.children[0], signal.SIGKILL)
        sending.join()
        assert responses[0].status_code == 200
        assert server.metric("mien_worker_crashes_total") == 1


def test_readyz_is_503_while_the_workers_have_exited_or_start_again(tmp_path, portrait_bytes):
    """Nobody sends an image meanwhile: the server itself restarts the workers."""
    blocker = tmp_path / "blocker"
    with (
        served(FAKE_WORKER, workers=2, environment={"STARTS_AFTER": str(blocker)}) as server,
        server.client() as client,
    ):
        assert client.get("/readyz").status_code == 200
        blocker.touch()
        first, second = server.children
        os.kill(first, signal.SIGKILL)
        server.eventually("mien_workers", 1)
        assert client.get("/readyz").status_code == 200
        os.kill(second, signal.SIGKILL)
        server.eventually("mien_workers", 0)
        not_ready = client.get("/readyz")
        assert (not_ready.status_code, not_ready.json()["error"]["code"]) == (503, "not_ready")
        assert not_ready.headers["Retry-After"] == "1"
        server.eventually("mien_worker_crashes_total", 2)
        end = time.monotonic() + TIMEOUT_SECONDS
        while set(server.children) <= {first, second} or len(server.children) < 2:  # they start, and load their models
            assert time.monotonic() < end
            time.sleep(0.02)
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        blocker.unlink()
        server.eventually("mien_workers", 2)
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
