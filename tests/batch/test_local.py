"""Many images by a pool: the same table as one process, whatever is killed, torn, or deadly to read."""

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
from mien.batch.isolated import ENDED, Apart
from PIL import Image
from skimage.data import astronaut

from mien.batch import Plan, Reader, read_all
from mien.batch.local_engine import read_here
from mien.batch.plan import PARTS, Folder
from mien.batch.run import ENGINES
from mien.errors import MienError, UsageError
from running import children_of, is_running

READER = Reader("compact", "0" * 64, "auto", "fused", "0.1.0")
PATIENCE = 120


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


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def command(images, out, *more):
    return [sys.executable, "-m", "mien", "predict", str(images), "--out", str(out), *map(str, more)]


def test_the_pool_writes_the_table_that_one_process_does(images, tmp_path, mien_command):
    alone, pooled = tmp_path / "alone.csv", tmp_path / "pooled.csv"
    assert mien_command("predict", images, "--csv", alone) == 1
    assert mien_command("predict", images, "--out", pooled, "--processes", 2) == 1
    assert rows_of(pooled) == rows_of(alone)
    torn = [row["source"] for row in rows_of(pooled) if row["error"]]
    assert [Path(source).name for source in torn] == ["07.png", "31.png"]
    assert not pooled.with_name(pooled.name + PARTS).exists()


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_the_other_forms_hold_the_same(images, tmp_path, suffix, mien_command):
    table = tmp_path / f"table{suffix}"
    assert mien_command("predict", images, "--out", table, "--processes", 1) == 1
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'mien[parquet]'")
        sources = [row["source"] for row in parquet.read_table(table).to_pylist()]
    else:
        sources = [json.loads(line)["source"] for line in table.read_text().splitlines()]
    assert [Path(source).name for source in sources] == [f"{number:02}.png" for number in range(40)]


def test_killed_at_any_moment_and_begun_again_none_is_missing_and_none_there_twice(images, tmp_path):
    table = tmp_path / "table.csv"
    dice = random.Random(4)
    for kill in range(8):
        run = subprocess.Popen(command(images, table, "--processes", 2), stderr=subprocess.DEVNULL)
        children = begun(run)
        time.sleep(dice.uniform(0.0, 0.3 * kill))
        if run.poll() is not None:
            break
        if kill % 2 and children:
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself meanwhile
                os.kill(dice.choice(children), signal.SIGKILL)
            run.wait(PATIENCE)
        run.kill()
        run.wait(PATIENCE)
    assert kill, "ended before its processes could be seen"
    if not table.exists():
        subprocess.run(command(images, table), stderr=subprocess.DEVNULL, check=False)
    names = [Path(row["source"]).name for row in rows_of(table)]
    assert names == [f"{number:02}.png" for number in range(40)]


def begun(run):
    """The processes of the pool, as soon as there are any; none where the run ended before they were seen."""
    end = time.monotonic() + PATIENCE
    while not (children := children_of(run.pid)) and run.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    return children


def test_processes_end_with_their_parent(images, tmp_path):
    run = subprocess.Popen(command(images, tmp_path / "table.csv", "--processes", 2), stderr=subprocess.DEVNULL)
    children = begun(run)
    assert children
    run.kill()
    run.wait()
    end = time.monotonic() + PATIENCE
    while any(is_running(child) for child in children):
        assert time.monotonic() < end
        time.sleep(0.1)


DEADLY = """
import os, signal
from mien.batch import worker_main as reading
get = reading.Images.get
def dies_of_thirteen(self, reference):
    if reference.endswith("13.png"):
        os.kill(os.getpid(), signal.SIGKILL)
    return get(self, reference)
reading.Images.get = dies_of_thirteen
reading.main()
"""


def test_a_image_that_ends_its_process_is_a_row_with_an_error(images, tmp_path, monkeypatch):
    """A process that dies of one image, as a fault in native code would end it."""
    deadly = partial(Apart, command=(sys.executable, "-c", DEADLY))
    monkeypatch.setitem(ENGINES, "local", partial(read_here, begin=deadly))
    table = tmp_path / "table.csv"
    plan = Plan(READER, tuple(str(path) for path in sorted(images.iterdir())), shard=8)
    report = read_all(plan, table, LABELS, processes=2)
    assert (report.images, report.failed, report.read) == (40, 3, 40)
    rows = rows_of(table)
    assert [Path(row["source"]).name for row in rows] == [f"{number:02}.png" for number in range(40)]
    assert [Path(row["source"]).name for row in rows if row["error"] == ENDED] == ["13.png"]


def test_a_process_that_can_t_begin_is_told_not_taken_for_bad_images(images, tmp_path, monkeypatch):
    dumb = partial(Apart, command=(sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setitem(ENGINES, "local", partial(read_here, begin=dumb))
    plan = Plan(READER, tuple(str(path) for path in sorted(images.iterdir())))
    with pytest.raises(MienError, match="the process that reads images can't begin"):
        read_all(plan, tmp_path / "table.csv", LABELS, processes=2)


def test_an_unknown_engine_is_refused(images, tmp_path):
    with pytest.raises(UsageError, match="expected an engine of local, ray; received 'spark'"):
        read_all(Plan(READER, ("a.png",)), tmp_path / "table.csv", LABELS, engine="spark")


LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    Folder(table, Plan(READER, ("a.png", "b.png")))
    assert Folder(table, Plan(READER, ("a.png", "b.png"))).missing() == [0]
    with pytest.raises(UsageError, match="received other images, another model"):
        Folder(table, Plan(READER, ("a.png",)))


def test_what_a_killed_run_left_half_written_is_swept(tmp_path):
    folder = Folder(tmp_path / "table.csv", Plan(READER, ("a.png",)))
    (folder.path / ".mien-torn.jsonl").write_text("half")
    Folder(tmp_path / "table.csv", folder.plan)
    assert [path.name for path in folder.path.iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--out", "table.xlsx"], "expected a table as .parquet, .csv, .jsonl; received table.xlsx"),
        (["--out", "table.csv", "--json"], "expected images alone with --out"),
    ],
)
def test_what_can_t_be_written_is_refused(images, mien_command, capsys, more, words):
    assert mien_command("predict", images, *more) == 2
    assert words in capsys.readouterr().err


@pytest.fixture
def mien_command(tmp_path, monkeypatch):
    from mien.apps.cli import main

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return int(left.value.code or 0)

    return call
