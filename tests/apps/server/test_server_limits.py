"""Too much, too slow, too many: what is refused, how early, and that others are answered meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections import Counter

import httpx
import pytest
from servers import FAKE_WORKER, SMALL_LIMITS, Limits, served

REQUEST = "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def answer_of(connection) -> tuple[int, dict]:
    """Status and body of the one answer that a connection gives."""
    got = b""
    while piece := connection.recv(65536):
        got += piece
        _, found, body = got.partition(b"\r\n\r\n")
        if found and body.endswith(b"}}"):
            break
    return int(got.split()[1]), json.loads(got.partition(b"\r\n\r\n")[2])


@pytest.fixture
def connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as one:
        yield one


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(server, connection):
    before = server.metric("mien_body_bytes_total")
    connection.sendall(f"{REQUEST}Content-Length: {SMALL_LIMITS.body + 1}\r\n\r\n".encode())
    status, said = answer_of(connection)
    assert (status, said["error"]["code"]) == (413, "body_too_large")
    assert server.metric("mien_body_bytes_total") == before


def test_a_body_without_a_length_is_read_no_further_than_its_limit(server, connection):
    before = server.metric("mien_body_bytes_total")
    connection.sendall(f"{REQUEST}Transfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    for _ in range(SMALL_LIMITS.body // 0x8000 + 20):
        connection.sendall(piece)
    status, said = answer_of(connection)
    assert (status, said["error"]["code"]) == (413, "body_too_large")
    read = server.metric("mien_body_bytes_total") - before
    assert SMALL_LIMITS.body < read <= SMALL_LIMITS.body + 65536


def test_a_client_that_sends_all_before_it_listens_still_hears_why(client):
    def endless():
        for _ in range(200):
            yield bytes(65536)

    assert client.post("/v1/predict", content=endless()).status_code == 413


@pytest.mark.parametrize("head", ["Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"])
def test_a_body_that_stops_coming_is_left(connection, head):
    begun = time.monotonic()
    connection.sendall(f"{REQUEST}{head}".encode())
    status, said = answer_of(connection)
    assert (status, said["error"]["code"]) == (408, "body_too_slow")
    assert time.monotonic() - begun >= SMALL_LIMITS.silence * 0.9


def test_a_body_that_trickles_is_left(server, connection):
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.2):
            connection.sendall(b"x")

    connection.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode())
    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert answer_of(connection)[1]["error"]["code"] == "body_too_slow"
    finally:
        stop.set()
        sender.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: "])
def test_a_connection_that_asks_nothing_is_closed(connection, sent):
    connection.sendall(sent)
    assert connection.recv(100) == b""


def test_what_is_no_request_is_told_so(connection):
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert answer_of(connection)[1]["error"]["code"] == "bad_request"


def test_many_slow_bodies_leave_the_rest_of_the_server_alone(server, client, portrait_bytes):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(SMALL_LIMITS.waiting + 1)]
    try:
        for one in slow:
            one.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode())
        server.eventually("mien_requests_in_progress", len(slow))
        assert client.get("/healthz").status_code == 200
        refused = client.post("/v1/predict", content=portrait_bytes)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        server.eventually("mien_requests_in_progress", 0)
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
    finally:
        for one in slow:
            one.close()


def test_a_client_that_goes_in_the_middle_leaves_nothing_behind(server, client, portrait_bytes):
    for sent in (b"", b"half an image"):
        with socket.create_connection(("127.0.0.1", server.port)) as rude:
            rude.sendall(f"{REQUEST}Content-Length: 1000\r\n\r\n".encode() + sent)
    server.eventually("mien_requests_in_progress", 0)
    assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_overload_is_refused_at_once_and_over_when_it_is_over(portrait_bytes):
    """Far more than ten times what one process that takes 0.3 s an image can do, for three seconds."""
    answers, codes, healthy = Counter(), Counter(), []

    def ask(server):
        with server.client() as client:
            while time.monotonic() < end:
                answer = client.post("/v1/predict", content=b"SLOW" + portrait_bytes)
                answers[answer.status_code] += 1
                if answer.status_code != 200:
                    assert answer.headers["Retry-After"] == "1"
                    codes[answer.json()["error"]["code"]] += 1

    def watch(server):
        with server.client() as client:
            while time.monotonic() < end:
                healthy.append(client.get("/healthz").status_code)
                time.sleep(0.05)

    with served(FAKE_WORKER, limits=Limits(waiting=4, response=5.0)) as server:
        end = time.monotonic() + 3.0
        threads = [threading.Thread(target=ask, args=(server,)) for _ in range(15)]
        threads.append(threading.Thread(target=watch, args=(server,)))
        for thread in threads:
            thread.start()
        seen = [server.metric("mien_requests_in_progress") for _ in range(5)]
        for thread in threads:
            thread.join()
        assert set(answers) == {200, 503}
        assert set(codes) == {"busy"}
        assert answers[503] > answers[200] > 0
        assert max(seen) <= 5
        assert set(healthy) == {200}
        with server.client() as client:
            assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_a_image_that_takes_timeout_is_left_and_the_next_one_read(portrait_bytes):
    with served(FAKE_WORKER, limits=Limits(response=2.0)) as server, server.client() as client:
        stuck = client.post("/v1/predict", content=b"STUCK")
        assert (stuck.status_code, stuck.json()["error"]["code"]) == (504, "timeout")
        end = time.monotonic() + 60
        while client.post("/v1/predict", content=portrait_bytes).status_code != 200:
            assert time.monotonic() < end


def test_processes_killed_by_chance_cost_no_answer(portrait_bytes):
    with served(FAKE_WORKER, workers=2) as server, server.client() as client:
        for _ in range(3):
            for child in server.children:
                os.kill(child, signal.SIGKILL)
            assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_a_process_killed_while_it_reads_costs_no_answer(portrait_bytes):
    with served(FAKE_WORKER) as server, server.client() as client:
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(client.post("/v1/predict", content=b"SLOW" + portrait_bytes))
        )
        asking.start()
        server.eventually("mien_requests_in_progress", 1)
        os.kill(server.children[0], signal.SIGKILL)
        asking.join()
        assert answers[0].status_code == 200
        assert server.metric("mien_worker_crashes_total") == 1


def test_ready_means_that_a_process_can_read():
    with served(FAKE_WORKER) as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        with pytest.raises(httpx.HTTPStatusError):
            client.get("/nowhere").raise_for_status()
