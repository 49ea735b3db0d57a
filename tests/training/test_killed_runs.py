"""Reliability 17: kill -9 at random moments, half of them while a checkpoint is written."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from test_resume import assert_same_run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork"),
]

WRITES = 4 * 3 * 5  # steps of all epochs, files of a checkpoint: about as many as there are


class Teacher:
    """The process that teaches; see ``killed_runs``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._say, self._hear = process.stdin, process.stdout

    def train(self, run: Path, fatal: int = 0, seconds: float | None = None) -> int:
        """Begins a run or goes on with it; its exit status, -9 where it was killed."""
        self._say.write(json.dumps({"run": str(run), "fatal": fatal}).encode() + b"\n")
        pid = int(self._hear.readline())
        if seconds is not None and not select.select([self._hear], [], [], seconds)[0]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return int(self._hear.readline())


@contextmanager
def training_() -> Iterator[Teacher]:
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, "-W", "ignore", str(script)]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **streams) as process:
        yield Teacher(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("kills", [8, *(pytest.param(kills, marks=pytest.mark.long) for kills in (30, 200))])
def test_a_killed_run_ends_as_one_that_was_not(kills: int, tmp_path: Path) -> None:
    dice = random.Random(17)
    with training_() as teacher:
        assert teacher.train(tmp_path / "whole") == 0
        started = time.monotonic()
        assert teacher.train(tmp_path / "again") == 0
        length = time.monotonic() - started
        assert_same_run(tmp_path / "whole", tmp_path / "again")
        killed, number = 0, 0
        while killed < kills:
            run, number = tmp_path / str(number), number + 1
            while killed < kills:
                in_a_write = killed % 2 == 0
                fatal = dice.randint(1, WRITES) if in_a_write else 0
                status = teacher.train(run, fatal, None if in_a_write else dice.uniform(0.0, length))
                if status == 0:  # it came to its end before the kill
                    break
                assert status == -signal.SIGKILL
                killed += 1
            assert teacher.train(run) == 0
            assert_same_run(tmp_path / "whole", run)
