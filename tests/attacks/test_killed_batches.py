"""Runs with --out whose processes are killed and whose files are damaged: the table has each image's row once.

The workers here are stand-ins that load nothing, so that many can be killed; tests/batch has runs with real ones.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from mien.batch import Pipeline, Plan, parts_folder, run_batch
from mien.batch.local_engine import CRASH_ERROR, run_local
from mien.batch.plan import LOCK_FILE, PLAN_FILE, PartsFolder, only_run
from mien.batch.run import ENGINES
from mien.errors import MienError, UsageError
from mien.outputs import to_json_line
from mien.structures import FrameResult
from mien.workers.process import START_ATTEMPTS
from running import children_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals that kill")

PIPELINE = Pipeline("compact", "0" * 64, "auto", "fused", "0.1.0")
IMAGES = tuple(f"{number:03}.png" for number in range(120))
PLAN = Plan(PIPELINE, IMAGES, shard_size=4)
TIMEOUT_SECONDS = 120

WORKER = """
import json, os, signal, sys, time
from pathlib import Path
from mien.workers import protocol
folder, image_seconds = Path(sys.argv[1]), float(sys.argv[2])

def die_at_first(name, times):
    made = len(list(folder.glob(name + "-*")))
    if made < times:
        (folder / f"{name}-{made}").touch()
        os.kill(os.getpid(), signal.SIGKILL)

die_at_first("start", int(sys.argv[3]))
with protocol.worker_pipes() as pipes:
    requests = protocol.messages(pipes.requests)
    next(requests)
    protocol.send(pipes.replies, {})
    for request in requests:
        lines = []
        for image in request.payload["files"]:
            if image == "013.png":
                die_at_first("image", int(sys.argv[4]))
            time.sleep(image_seconds)
            line = dict.fromkeys(("index", "seconds", "error"))
            lines.append(json.dumps({"source": image, "faces": [], **line}) + "\\n")
        protocol.send(pipes.replies, None, "".join(lines).encode())
"""

DRIVER = """
import sys
from functools import partial
from mien.batch import Pipeline, Plan, run_batch
from mien.batch.local_engine import run_local
from mien.batch.run import ENGINES
table, *command = sys.argv[1:]
ENGINES["local"] = partial(run_local, command=command)
plan = Plan(Pipeline("compact", "0" * 64, "auto", "fused", "0.1.0"), tuple(f"{n:03}.png" for n in range(120)), 4)
run_batch(plan, table, [], processes=2)
"""


def worker(folder, image_seconds=0.0, deaths_at_start=0, deaths_at_image=0):
    arguments = map(str, (folder, image_seconds, deaths_at_start, deaths_at_image))
    return (sys.executable, "-c", WORKER, *arguments)


def driver(table, command):
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(table), *command], stderr=subprocess.PIPE, text=True)


def rows(table):
    return [json.loads(line) for line in table.read_text().splitlines()]


def assert_exact(table):
    assert [row["source"] for row in rows(table)] == list(IMAGES)
    assert {row["error"] for row in rows(table)} == {None}
    assert not parts_folder(table).exists()


def line_of(image):
    return to_json_line(FrameResult(image)) + "\n"


# kills


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.long)])
def test_a_driver_that_is_killed_costs_no_row(tmp_path, kills):
    table, dice, done = tmp_path / "table.jsonl", random.Random(7), 0
    while done < kills:
        run = driver(table, worker(tmp_path, 0.02))
        time.sleep(dice.uniform(0.2, 1.5))
        run.kill()
        run.communicate(timeout=TIMEOUT_SECONDS)
        done += run.returncode == -signal.SIGKILL
        if table.exists():
            assert_exact(table)
            table.unlink()
    run = driver(table, worker(tmp_path))
    assert run.communicate(timeout=TIMEOUT_SECONDS)[1] == ""
    assert_exact(table)


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.long)])
def test_workers_that_are_killed_cost_no_row(tmp_path, monkeypatch, kills):
    """At any moment, also while they load; each run ends by itself and has all rows, none with an error."""
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=worker(tmp_path, 0.01)))
    table, dice, killed, ended = tmp_path / "table.jsonl", random.Random(5), [], threading.Event()

    def kill():
        while not ended.wait(dice.uniform(0.1, 0.4)):
            if (children := children_of(os.getpid())) and len(killed) < kills:
                victim = dice.choice(children)
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        while len(killed) < kills:
            run_batch(PLAN, table, [], processes=2)
            assert_exact(table)
            table.unlink()
    finally:
        ended.set()
        killer.join()


@pytest.mark.parametrize(("deaths", "loads"), [(1, True), (START_ATTEMPTS - 1, True), (START_ATTEMPTS, False)])
def test_a_worker_that_is_killed_while_it_loads_is_started_again(tmp_path, monkeypatch, deaths, loads):
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=worker(tmp_path, deaths_at_start=deaths)))
    if loads:
        run_batch(PLAN, tmp_path / "table.jsonl", [], processes=1)
        assert_exact(tmp_path / "table.jsonl")
    else:
        with pytest.raises(MienError, match="the worker process can't start"):
            run_batch(PLAN, tmp_path / "table.jsonl", [], processes=1)


def test_a_worker_that_exits_by_itself_is_not_started_again(tmp_path, monkeypatch):
    program = "import sys; open(sys.argv[1], 'a').write('.'); raise SystemExit(1)"
    command = (sys.executable, "-c", program, str(tmp_path / "starts"))
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=command))
    with pytest.raises(MienError, match="the worker process can't start"):
        run_batch(PLAN, tmp_path / "table.jsonl", [], processes=1)
    assert (tmp_path / "starts").read_text() == "."


@pytest.mark.parametrize(("deaths", "error"), [(1, None), (2, None), (4, None), (5, CRASH_ERROR)])
def test_an_image_is_blamed_only_where_it_crashes_each_time(tmp_path, monkeypatch, deaths, error):
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=worker(tmp_path, deaths_at_image=deaths)))
    report = run_batch(PLAN, tmp_path / "table.jsonl", [], processes=2)
    assert report.failed == (error is not None)
    assert [row["source"] for row in rows(tmp_path / "table.jsonl")] == list(IMAGES)
    assert [row["error"] for row in rows(tmp_path / "table.jsonl")][13] == error


# two runs


def test_a_second_run_on_the_same_table_is_refused_while_the_first_goes_on(tmp_path, monkeypatch):
    table = tmp_path / "table.jsonl"
    first = driver(table, worker(tmp_path, 0.02))
    try:
        end = time.monotonic() + TIMEOUT_SECONDS
        while not (parts_folder(table) / PLAN_FILE).exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        second = driver(table, worker(tmp_path))
        message = second.communicate(timeout=TIMEOUT_SECONDS)[1]
        assert "expected one run at a time for a table; another process is writing" in message
    finally:
        assert first.communicate(timeout=TIMEOUT_SECONDS)[1] == ""
    assert_exact(table)


def test_a_run_holds_its_folder_until_it_ends(tmp_path):
    table = tmp_path / "table.jsonl"
    with only_run(table):
        PartsFolder(table, PLAN)
    assert sorted(path.name for path in parts_folder(table).iterdir()) == [LOCK_FILE, PLAN_FILE]
    with only_run(table), pytest.raises(UsageError, match="another process"), only_run(table):
        pass
    with only_run(table):
        PartsFolder(table, PLAN).remove()
    assert not parts_folder(table).exists()


def test_files_of_others_in_the_folder_are_kept(tmp_path, stand_in):
    table = tmp_path / "table.jsonl"
    parts_folder(table).mkdir()
    (parts_folder(table) / "notes.txt").write_text("mine")
    run_batch(PLAN, table, [])
    assert [row["source"] for row in rows(table)] == list(IMAGES)
    assert [path.name for path in parts_folder(table).iterdir()] == ["notes.txt"]


# damaged files


@pytest.fixture
def stand_in(monkeypatch):
    """An engine within this process; its list has the shards that were analyzed."""
    analyzed = []

    def run(plan, shards, write, processes):
        for shard in shards:
            analyzed.append(shard)
            write(shard, "".join(map(line_of, plan.images_of(shard))))

    monkeypatch.setitem(ENGINES, "local", run)
    return analyzed


GOOD = [line_of(image) for image in PLAN.images_of(3)]
DAMAGED_PARTS = {
    "empty": "",
    "one line of four": GOOD[0],
    "three lines of four": "".join(GOOD[:3]),
    "without its first line": "".join(GOOD[1:]),
    "a line twice": "".join([*GOOD[:3], GOOD[2]]),
    "five lines": "".join([*GOOD, GOOD[0]]),
    "another order": "".join(reversed(GOOD)),
    "of another shard": "".join(map(line_of, PLAN.images_of(4))),
    "cut in a line": "".join(GOOD)[:-20],
    "without the last line break": "".join(GOOD)[:-1],
    "an empty line at the end": "".join(GOOD) + "\n",
    "zeros, as after a power cut": "\0" * len("".join(GOOD)),
    "zeros at the end": "".join(GOOD)[:-40] + "\0" * 40,
    "no UTF-8": b"\xff\xfe" + "".join(GOOD).encode("utf-16-le"),
    "no JSON": "junk\n" * 4,
    "other JSON": "17\n[]\nnull\n{}\n",
    "JSON nested deep": "[" * 200_000 + "\n",
    "a number of 5,000 digits": "".join([*GOOD[:3], GOOD[3].replace('"index": 0', '"index": ' + "9" * 5_000)]),
    "faces that are none": "".join([*GOOD[:3], GOOD[3].replace('"faces": []', '"faces": [1, null]')]),
    "a box without end": "".join([*GOOD[:3], GOOD[3].replace('"faces": []', '"faces": [{"box": [1e999, 0, 1, 1]}]')]),
    "of a newer mien": "".join([*GOOD[:3], GOOD[3].replace('"schema": 2', '"schema": 99')]),
    "without errors": "".join([*GOOD[:3], GOOD[3].replace('"error"', '"fault"')]),
}


@pytest.mark.parametrize("damage", DAMAGED_PARTS)
def test_a_damaged_part_is_analyzed_again(tmp_path, stand_in, damage):
    folder = PartsFolder(tmp_path / "table.jsonl", PLAN)
    for shard in PLAN.shards:
        folder.write(shard, "".join(map(line_of, PLAN.images_of(shard))))
    content = DAMAGED_PARTS[damage]
    folder.part(3).write_bytes(content if isinstance(content, bytes) else content.encode())
    report = run_batch(PLAN, tmp_path / "table.jsonl", [])
    assert (stand_in, report.analyzed) == ([3], 4)
    assert_exact(tmp_path / "table.jsonl")


def test_whole_parts_are_not_analyzed_again(tmp_path, stand_in):
    names = ("a b.png", "ü\u2028\x85.png", "\udc80.png", 'quoted".png', "line\nbreak.png", "many.parquet#3")
    plan = Plan(PIPELINE, names, shard_size=2)
    folder = PartsFolder(tmp_path / "table.jsonl", plan)
    for shard in plan.shards:
        folder.write(shard, "".join(map(line_of, plan.images_of(shard))))
    assert run_batch(plan, tmp_path / "table.jsonl", []).analyzed == 0
    assert stand_in == []


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b"null", b"[" * 200_000, b"\0" * 100])
def test_a_damaged_plan_is_reported(tmp_path, stand_in, junk):
    folder = PartsFolder(tmp_path / "table.jsonl", PLAN)
    (folder.path / PLAN_FILE).write_bytes(junk)
    with pytest.raises(UsageError, match=r"received a file that is damaged. Remove the folder"):
        run_batch(PLAN, tmp_path / "table.jsonl", [])
    assert stand_in == []
