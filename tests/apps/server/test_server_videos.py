"""Video jobs: a bounded queue, results and a page, and no files left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest
from servers import FAKE_WORKER, TIMEOUT_SECONDS, Limits, served

from mien.media.video import Sampling
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from videos import swaying_face, write_frames

STUCK_WORKER = """
import time
from mien.workers.protocol import receive, send, worker_pipes
with worker_pipes() as pipes:
    receive(pipes.requests)
    send(pipes.replies, "ready")
    receive(pipes.requests)
    send(pipes.replies, {"progress": 0.5})
    time.sleep(3600)
"""
STUCK = (sys.executable, "-c", STUCK_WORKER)
"""In place of the video worker: never done."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("clip") / "face.avi", swaying_face(20), fps=10)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(files):
    with served(limits=Limits(videos=2, finished_videos=2, video=3_000_000), folder=files) as one:
        yield one


@pytest.fixture
def stuck(tmp_path):
    with served(FAKE_WORKER, STUCK, limits=Limits(videos=2), folder=tmp_path) as one:
        yield one


def wait_for_end(client, job):
    """The state of a job once it has ended."""
    end, seen = time.monotonic() + TIMEOUT_SECONDS, [job]
    while seen[-1]["state"] in ("queued", "processing"):
        assert time.monotonic() < end
        time.sleep(0.05)
        seen.append(client.get(f"/v1/video/{job['id']}").json())
    assert [state["progress"] for state in seen] == sorted(state["progress"] for state in seen)
    return seen[-1]


def code_of(response):
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("form", [True, False])
def test_a_video_gives_the_results_and_the_page_of_the_command(client, clip, files, form):
    body = {"files": {"file": ("../my clip.avi", clip.read_bytes())}} if form else {"content": clip.read_bytes()}
    response = client.post("/v1/video", params={"stride": 2, "from": 0.4}, **body)
    assert response.status_code == 202
    job = wait_for_end(client, response.json())
    assert job == {"id": response.json()["id"], "state": "done", "progress": 1.0}
    name = "my clip.avi" if form else ""
    results = client.get(f"/v1/video/{job['id']}/results")
    lines = [json.loads(line) for line in results.text.splitlines()]
    expected = [json.loads(to_json_line(result)) for result in Recognizer.load().stream(clip, Sampling(None, 2, 0.4))]
    assert lines == [{**line, "source": name} for line in expected]
    page = client.get(f"/v1/video/{job['id']}/page")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "style-src 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert "face 1" in page.text
    assert not [path for path in files.rglob("video") if path.is_file()]
    assert client.delete(f"/v1/video/{job['id']}").status_code == 200
    assert code_of(client.get(f"/v1/video/{job['id']}")) == (404, "not_found")
    assert not list(files.glob("mien-*/*"))


@pytest.fixture
def client(server):
    with server.client() as one:
        yield one


def test_an_unreadable_video_fails_without_revealing_a_path(client, files):
    job = wait_for_end(client, client.post("/v1/video", files={"file": ("holiday.mp4", b"no video" * 100)}).json())
    assert (job["state"], job["error"]["code"]) == ("failed", "unreadable_video")
    assert "holiday.mp4" in job["error"]["message"]
    assert str(files) not in json.dumps(job)
    assert code_of(client.get(f"/v1/video/{job['id']}/results")) == (422, "unreadable_video")


def test_an_incomplete_video_is_done_with_the_results_that_it_gives(client, tmp_path):
    whole = write_frames(tmp_path / "whole.mkv", swaying_face(30), 10, "libx264", "yuv420p", g="10")
    content = whole.read_bytes()[: whole.stat().st_size * 6 // 10]
    job = wait_for_end(client, client.post("/v1/video", files={"file": ("cut.mkv", content)}).json())
    assert (job["state"], job["error"]["code"]) == ("done", "incomplete_video")
    assert "cut.mkv; frames are missing from" in job["error"]["message"]
    *lines, last = map(json.loads, client.get(f"/v1/video/{job['id']}/results").text.splitlines())
    assert len(lines) >= 10
    assert all(line["error"] is None for line in lines)
    assert last["error"] == job["error"]["message"]
    assert "face 1" in client.get(f"/v1/video/{job['id']}/page").text


@pytest.mark.parametrize(
    ("params", "body", "expected"),
    [
        ({"stride": 0}, b"x", (400, "bad_request")),
        ({"every": "often"}, b"x", (400, "bad_request")),
        ({"from": 3, "to": 2}, b"x", (400, "bad_request")),
        ({}, b"", (422, "unreadable_video")),
        ({}, bytes(3_000_001), (413, "body_too_large")),
    ],
)
def test_an_invalid_request_is_refused_at_once_and_keeps_no_slot(server, client, files, params, body, expected):
    assert code_of(client.post("/v1/video", params=params, content=body)) == expected
    assert server.metric("mien_videos") == 0
    assert not list(files.rglob("video"))


@pytest.mark.parametrize("path", ["x", "..%2f..", "x/results", "x/page"])
def test_other_ids_are_unknown(client, path):
    assert code_of(client.get(f"/v1/video/{path}")) == (404, "not_found")


def test_the_oldest_results_are_removed_when_there_are_many(client, clip, files):
    body, jobs = clip.read_bytes(), []
    for _ in range(4):
        jobs.append(client.post("/v1/video", params={"stride": 10}, content=body).json())
        wait_for_end(client, jobs[-1])
    statuses = [client.get(f"/v1/video/{job['id']}").status_code for job in jobs]
    assert statuses[0] == 404
    assert statuses[-1] == 200
    assert len(list(files.glob("mien-*/*"))) == statuses.count(200)


def test_more_videos_than_the_limit_are_refused_until_one_is_cancelled(stuck, tmp_path):
    with stuck.client() as client:
        first, second = (client.post("/v1/video", content=b"video").json() for _ in range(2))
        response = client.post("/v1/video", content=b"video")
        assert code_of(response) == (429, "too_many_videos")
        assert response.headers["Retry-After"] == "1"
        assert code_of(client.get(f"/v1/video/{second['id']}/results")) == (409, "not_done")
        assert client.delete(f"/v1/video/{first['id']}").json()["state"] == "cancelled"
        stuck.eventually("mien_videos", 1)
        assert client.post("/v1/video", content=b"video").status_code == 202
        assert len(list(tmp_path.glob("mien-*/*"))) == 2


def test_a_video_that_crashes_its_worker_fails_alone(stuck, clip, portrait_bytes):
    with stuck.client() as client:
        before = set(stuck.children)
        job = client.post("/v1/video", content=clip.read_bytes()).json()
        end = time.monotonic() + TIMEOUT_SECONDS
        while client.get(f"/v1/video/{job['id']}").json()["progress"] != 0.5:
            assert time.monotonic() < end
            time.sleep(0.05)
        (worker,) = set(stuck.children) - before
        os.kill(worker, signal.SIGKILL)
        assert wait_for_end(client, client.get(f"/v1/video/{job['id']}").json())["error"]["code"] == "unreadable_video"
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_when_the_server_stops_no_file_is_left(tmp_path):
    with served(FAKE_WORKER, STUCK, folder=tmp_path) as server:
        with server.client() as client:
            assert client.post("/v1/video", content=b"video").status_code == 202
        assert list(tmp_path.glob("mien-*/*"))
    assert server.process.returncode == 0
    assert not list(tmp_path.glob("mien-*"))
