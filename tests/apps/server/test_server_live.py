"""The WebSocket: frames in, results out; one processed, one waiting, the newest wins; clients leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest
from servers import FAKE_WORKER, SMALL_LIMITS, Limits, served
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mien.outputs import to_dict
from mien.recognizer import Recognizer

TOKEN = "0123456789abcdef0123"


def live(server, query="", **choices):
    address = server.address.replace("http", "ws") + "v1/live" + query
    return connect(address, open_timeout=60, proxy=None, compression=None, **choices)


def receive(connection):
    return json.loads(connection.recv(timeout=60))


def test_a_frame_gives_the_result_of_the_command_with_a_track_for_its_face(server, portrait_bytes):
    recognizer = Recognizer.load()
    expected = to_dict(recognizer.predict(portrait_bytes))["faces"][0]
    with live(server) as connection:
        ready = receive(connection)
        assert ready == {
            "type": "ready",
            "model": "compact",
            "labels": list(recognizer.labels),
            "unsure_below": recognizer.output.unsure_below,
        }
        for number in (1, 2, 3):
            connection.send(portrait_bytes)
            reply = receive(connection)
            assert (reply["type"], reply["frame"]) == ("result", number)
            face = reply["result"]["faces"][0]
            assert face["box"] == expected["box"]
            assert face["track"] == 1
            assert face["emotion"] == expected["emotion"]
            assert reply["result"]["index"] == number
        assert reply["result"]["seconds"] > 0
        connection.send('{"type": "forget"}')
        connection.send(portrait_bytes)
        assert receive(connection)["result"]["faces"][0]["track"] == 2


def test_a_broken_frame_gives_an_error_and_the_connection_stays(server, portrait_bytes):
    with live(server) as connection:
        receive(connection)
        for frame, code in ((b"no image", "unreadable_image"), (b"CRASH", "worker_crashed")):
            connection.send(frame)
            reply = receive(connection)
            assert (reply["type"], reply["code"]) == ("error", code)
            assert set(reply) == {"type", "frame", "code", "message"}
        connection.send("what?")
        assert receive(connection)["code"] == "bad_request"
        connection.send(portrait_bytes)
        reply = receive(connection)
        assert (reply["type"], reply["frame"]) == ("result", 3)


def test_of_many_frames_the_first_and_the_newest_are_processed(portrait_bytes):
    with served(FAKE_WORKER) as server, live(server) as connection:
        receive(connection)
        for _ in range(8):
            connection.send(b"SLOW" + portrait_bytes)
        assert [receive(connection)["frame"], receive(connection)["frame"]] == [1, 8]
        connection.send(portrait_bytes)
        assert receive(connection)["frame"] == 9
        assert server.metric("mien_frames_total") == 9


def test_a_websocket_may_be_silent_for_longer_than_a_request(server, portrait_bytes):
    with live(server) as connection:
        receive(connection)
        time.sleep(1.5 * SMALL_LIMITS.silence)
        connection.send(portrait_bytes)
        assert receive(connection)["type"] == "result"


def test_each_connection_has_its_own_tracks(server, portrait_bytes):
    with live(server) as one, live(server) as other:
        for connection in (one, other):
            receive(connection)
            connection.send(portrait_bytes)
            assert receive(connection)["result"]["faces"][0]["track"] == 1


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_a_page_of_another_site_gets_no_websocket(server, origin):
    with pytest.raises(InvalidStatus) as refused, live(server, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"]["code"] == "foreign_origin"
    assert refused.value.response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_s_own_origin_gets_one(server):
    with live(server, origin=server.address.rstrip("/")) as connection:
        assert receive(connection)["type"] == "ready"


def test_a_frame_that_is_too_large_closes_its_own_connection_only(server, portrait_bytes):
    with live(server) as one, live(server) as other:
        receive(one), receive(other)
        with contextlib.suppress(ConnectionClosed):
            one.send(bytes(SMALL_LIMITS.frame + 1))
        with pytest.raises(ConnectionClosed):
            one.recv(timeout=60)
        other.send(portrait_bytes)
        assert receive(other)["type"] == "result"


def test_rude_clients_leave_nothing_behind(server, client, portrait_bytes):
    for _ in range(5):
        with live(server) as connection:
            receive(connection)
            connection.send(b"SLOW" + portrait_bytes)
            connection.send(b"SLOW" + portrait_bytes)
            connection.socket.shutdown(socket.SHUT_RDWR)
    server.eventually("mien_sockets", 0)
    assert client.post("/v1/predict", content=portrait_bytes).status_code == 200
    assert len(server.children) == 1


def test_more_websockets_than_the_limit_are_refused_until_one_closes(portrait_bytes):
    with served(FAKE_WORKER, limits=Limits(sockets=1)) as server:
        with live(server) as connection:
            receive(connection)
            with pytest.raises(InvalidStatus) as refused, live(server):
                pass
            assert refused.value.response.status_code == 503
            assert refused.value.response.headers["Retry-After"] == "1"
        server.eventually("mien_sockets", 0)
        with live(server) as connection:
            assert receive(connection)["type"] == "ready"


def test_the_token_comes_as_a_query_a_header_or_a_subprotocol(portrait_bytes):
    with served(FAKE_WORKER, token=TOKEN) as server:
        for query, choices in (
            (f"?token={TOKEN}", {}),
            ("", {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}),
            ("", {"subprotocols": ["mien", f"token.{TOKEN}"]}),
            ("", {"subprotocols": [TOKEN]}),
        ):
            with live(server, query, **choices) as connection:
                assert receive(connection)["type"] == "ready"
        for query in ("", "?token=wrong"):
            with pytest.raises(InvalidStatus) as refused, live(server, query):
                pass
            assert refused.value.response.status_code == 401


def test_websockets_and_photos_share_the_workers(server, client, portrait_bytes):
    with live(server) as connection:
        receive(connection)
        responses = []
        sending = threading.Thread(target=lambda: responses.append(client.post("/v1/predict", content=portrait_bytes)))
        sending.start()
        connection.send(portrait_bytes)
        assert receive(connection)["type"] == "result"
        sending.join()
        assert responses[0].status_code == 200
