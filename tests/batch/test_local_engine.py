"""Batch runs with worker processes: the same table as one process, whatever is killed, torn, or crashes a worker."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.batch import Pipeline, Plan, run_batch
from mien.batch.local_engine import CRASH_ERROR, run_local
from mien.batch.plan import PARTS_SUFFIX, PartsFolder
from mien.batch.run import ENGINES
from mien.errors import MienError, UsageError
from running import children_of, is_running

PIPELINE = Pipeline("compact", "0" * 64, "auto", "fused", "0.1.0")
TIMEOUT_SECONDS = 120


@pytest.fixture
def images(tmp_path):
    """Forty small images, some with a face, two of them torn."""
    folder = tmp_path / "images"
    folder.mkdir()
    face = Image.fromarray(astronaut()[20:220, 130:330]).resize((96, 96))
    for number in range(40):
        path = folder / f"{number:02}.png"
        if number in (7, 31):
            path.write_bytes(b"\x89PNG torn")
        elif number % 5 == 0:
            face.save(path)
        else:
            Image.fromarray(np.full((16, 16, 3), 6 * number, np.uint8)).save(path)
    return folder


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def command(images, out, *options):
    return [sys.executable, "-m", "mien", "predict", str(images), "--out", str(out), *map(str, options)]


def test_the_pool_writes_the_same_table_as_one_process(images, tmp_path, mien_command):
    alone, pooled = tmp_path / "alone.csv", tmp_path / "pooled.csv"
    assert mien_command("predict", images, "--csv", alone) == 1
    assert mien_command("predict", images, "--out", pooled, "--processes", 2) == 1
    assert read_rows(pooled) == read_rows(alone)
    torn = [row["source"] for row in read_rows(pooled) if row["error"]]
    assert [Path(source).name for source in torn] == ["07.png", "31.png"]
    assert not pooled.with_name(pooled.name + PARTS_SUFFIX).exists()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_other_table_formats_hold_the_same_rows(images, tmp_path, suffix, mien_command):
    table = tmp_path / f"table{suffix}"
    assert mien_command("predict", images, "--out", table, "--processes", 1) == 1
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'mien[parquet]'")
        sources = [row["source"] for row in parquet.read_table(table).to_pylist()]
    else:
        sources = [json.loads(line)["source"] for line in table.read_text().splitlines()]
    assert [Path(source).name for source in sources] == [f"{number:02}.png" for number in range(40)]


def test_killed_at_any_moment_and_resumed_no_image_is_missing_or_duplicated(images, tmp_path):
    table = tmp_path / "table.csv"
    dice = random.Random(4)
    for kill in range(8):
        run = subprocess.Popen(command(images, table, "--processes", 2), stderr=subprocess.DEVNULL)
        children = wait_for_workers(run)
        time.sleep(dice.uniform(0.0, 0.3 * kill))
        if run.poll() is not None:
            break
        if kill % 2 and children:
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself meanwhile
                os.kill(dice.choice(children), signal.SIGKILL)
            run.wait(TIMEOUT_SECONDS)
        run.kill()
        run.wait(TIMEOUT_SECONDS)
    assert kill, "the run ended before its workers could be seen"
    if not table.exists():
        subprocess.run(command(images, table), stderr=subprocess.DEVNULL, check=False)
    names = [Path(row["source"]).name for row in read_rows(table)]
    assert names == [f"{number:02}.png" for number in range(40)]


def wait_for_workers(run):
    """The worker processes as soon as there are any; none where the run ended first."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not (children := children_of(run.pid)) and run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return children


def test_workers_end_with_their_parent(images, tmp_path):
    run = subprocess.Popen(command(images, tmp_path / "table.csv", "--processes", 2), stderr=subprocess.DEVNULL)
    children = wait_for_workers(run)
    assert children
    run.kill()
    run.wait()
    end = time.monotonic() + TIMEOUT_SECONDS
    while any(is_running(child) for child in children):
        assert time.monotonic() < end
        time.sleep(0.1)


CRASHING_WORKER = """
import os, signal
from mien.workers import main as worker
load = worker.ImageLoader.load
def crash_at_thirteen(self, reference):
    if reference.endswith("13.png"):
        os.kill(os.getpid(), signal.SIGKILL)
    return load(self, reference)
worker.ImageLoader.load = crash_at_thirteen
worker.main()
"""


def test_an_image_that_crashes_its_worker_is_a_row_with_an_error(images, tmp_path, monkeypatch):
    """The worker is killed during one image, as a fault in native code would."""
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=(sys.executable, "-c", CRASHING_WORKER)))
    table = tmp_path / "table.csv"
    plan = Plan(PIPELINE, tuple(str(path) for path in sorted(images.iterdir())), shard_size=8)
    report = run_batch(plan, table, LABELS, processes=2)
    assert (report.images, report.failed, report.analyzed) == (40, 3, 40)
    rows = read_rows(table)
    assert [Path(row["source"]).name for row in rows] == [f"{number:02}.png" for number in range(40)]
    assert [Path(row["source"]).name for row in rows if row["error"] == CRASH_ERROR] == ["13.png"]


def test_a_worker_that_can_t_start_is_an_error_of_the_run_not_of_its_images(images, tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "local", partial(run_local, command=(sys.executable, "-c", "raise SystemExit(1)")))
    plan = Plan(PIPELINE, tuple(str(path) for path in sorted(images.iterdir())))
    with pytest.raises(MienError, match="the worker process can't start"):
        run_batch(plan, tmp_path / "table.csv", LABELS, processes=2)


def test_an_unknown_engine_is_refused(images, tmp_path):
    with pytest.raises(UsageError, match="expected an engine of local, ray; received 'spark'"):
        run_batch(Plan(PIPELINE, ("a.png",)), tmp_path / "table.csv", LABELS, engine="spark")


LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    PartsFolder(table, Plan(PIPELINE, ("a.png", "b.png")))
    assert PartsFolder(table, Plan(PIPELINE, ("a.png", "b.png"))).missing() == [0]
    with pytest.raises(UsageError, match="received other images, another model"):
        PartsFolder(table, Plan(PIPELINE, ("a.png",)))


def test_half_written_files_of_a_killed_run_are_removed(tmp_path):
    folder = PartsFolder(tmp_path / "table.csv", Plan(PIPELINE, ("a.png",)))
    (folder.path / ".mien-torn.jsonl").write_text("half")
    PartsFolder(tmp_path / "table.csv", folder.plan)
    assert [path.name for path in folder.path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "table.xlsx"], "expected a table as .parquet, .csv, .jsonl; received table.xlsx"),
        (["--out", "table.csv", "--json"], "expected images alone with --out"),
    ],
)
def test_tables_that_can_t_be_written_are_refused(images, mien_command, capsys, options, message):
    assert mien_command("predict", images, *options) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def mien_command(tmp_path, monkeypatch):
    from mien.apps.cli import main

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments])
        return int(exited.value.code or 0)

    return call
