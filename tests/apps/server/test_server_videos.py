"""Video jobs: a bounded queue, results and a page, and no files left behind."""

from __future__ import annotations

import json
import sys
import time

import pytest
from servers import FAKE_WORKER, TIMEOUT_SECONDS, Limits, served

from mien.errors import IncompleteVideoError
from mien.media.video import Sampling
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from mien.workers.main import Worker
from mien.workers.protocol import Message, WorkerSpec
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
INCOMPLETE_WORKER = """
from pathlib import Path
from mien.workers.protocol import receive, send, worker_pipes
with worker_pipes() as pipes:
    receive(pipes.requests)
    send(pipes.replies, "ready")
    Path(receive(pipes.requests).payload["results"]).write_text("{}\\n")
    send(pipes.replies, {"error": {"code": "incomplete_video", "message": "frames are missing"}})
    receive(pipes.requests)
"""
INCOMPLETE = (sys.executable, "-c", INCOMPLETE_WORKER)
"""The same: a video that ends early."""

CRASHING = (sys.executable, "-c", STUCK_WORKER.replace("time.sleep(3600)", "raise SystemExit"))
"""The same: killed by each video."""

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


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    ("params", "seconds"),
    [
        ({"from": 0, "to": 0}, [0.0]),
        ({"from": 1.0, "to": 1.0}, [1.0]),
        ({"every": 10}, [0.0]),
        ({"stride": 100}, [0.0]),
        ({"from": 1.85}, [1.9]),
        ({"every": 0.5, "from": 0.5, "to": 1.2}, [0.5, 1.0]),
    ],
)
def test_one_frame_of_a_video_is_enough(client, clip, params, seconds, form):
    sent = {"files": {"file": ("a.avi", clip.read_bytes())}} if form else {"content": clip.read_bytes()}
    fields = {name: str(value) for name, value in params.items()}
    job = client.post("/v1/video", **({"data": fields} if form else {"params": fields}), **sent).json()
    assert wait_for_end(client, job) == {"id": job["id"], "state": "done", "progress": 1.0}
    lines = client.get(f"/v1/video/{job['id']}/results").text.splitlines()
    assert [json.loads(line)["seconds"] for line in lines] == pytest.approx(seconds, abs=0.01)
    assert "face 1" in client.get(f"/v1/video/{job['id']}/page").text


def test_a_video_of_one_frame_has_results_and_a_page(client, tmp_path):
    content = write_frames(tmp_path / "one.avi", swaying_face(1), fps=10).read_bytes()
    job = client.post("/v1/video", content=content).json()
    assert wait_for_end(client, job)["state"] == "done"
    assert len(client.get(f"/v1/video/{job['id']}/results").text.splitlines()) == 1
    assert client.get(f"/v1/video/{job['id']}/page").status_code == 200


def test_a_part_without_a_frame_is_an_error(client, clip):
    job = wait_for_end(client, client.post("/v1/video?from=20", content=clip.read_bytes()).json())
    assert (job["state"], job["error"]["code"]) == ("failed", "unreadable_video")
    assert "expected frames from 20 s on" in job["error"]["message"]


def test_an_incomplete_video_keeps_its_results(tmp_path):
    with served(FAKE_WORKER, INCOMPLETE, folder=tmp_path) as server, server.client() as client:
        job = wait_for_end(client, client.post("/v1/video", content=b"video").json())
        assert (job["state"], job["progress"]) == ("done", 1.0)
        assert job["error"] == {"code": "incomplete_video", "message": "frames are missing"}
        assert client.get(f"/v1/video/{job['id']}/results").text == "{}\n"


def test_the_worker_writes_what_it_has_of_an_incomplete_video(tmp_path, clip):
    class Torn(Recognizer):
        def watch(self, source, *choices):
            for number, pair in enumerate(super().watch(source, *choices)):
                if number == 5:
                    raise IncompleteVideoError(f"expected frames in {clip}; they are missing from 0.5 s on")
                yield pair

    worker = Worker(WorkerSpec("compact"))
    worker._fused = Torn(worker._fused.detector, worker._fused.classifier)
    files = {"video": str(clip), "results": str(tmp_path / "results.jsonl"), "page": str(tmp_path / "page.html")}
    request = {"name": "a.avi", "sampling": {}, **files}
    *_, last = worker.handle(Message({"do": "video", **request}))
    message = "expected frames in a.avi; they are missing from 0.5 s on"
    assert last.payload == {"error": {"code": "incomplete_video", "message": message}}
    lines = list(map(json.loads, (tmp_path / "results.jsonl").read_text().splitlines()))
    assert [line["error"] for line in lines] == [None] * 5 + [message]
    assert "face 1" in (tmp_path / "page.html").read_text()


def test_an_unreadable_video_fails_without_revealing_a_path(client, files):
    job = wait_for_end(client, client.post("/v1/video", files={"file": ("holiday.mp4", b"\0\1no video" * 100)}).json())
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


def test_a_video_that_crashes_its_worker_twice_fails_alone(tmp_path, portrait_bytes):
    with served(FAKE_WORKER, CRASHING, folder=tmp_path) as server, server.client() as client:
        job = wait_for_end(client, client.post("/v1/video", content=b"video").json())
        assert (job["state"], job["progress"], job["error"]["code"]) == ("failed", 0.5, "unreadable_video")
        assert "twice" in job["error"]["message"]
        assert client.post("/v1/predict", content=portrait_bytes).status_code == 200


def test_when_the_server_stops_no_file_is_left(tmp_path):
    with served(FAKE_WORKER, STUCK, folder=tmp_path) as server:
        with server.client() as client:
            assert client.post("/v1/video", content=b"video").status_code == 202
        assert list(tmp_path.glob("mien-*/*"))
    assert server.process.returncode == 0
    assert not list(tmp_path.glob("mien-*"))
