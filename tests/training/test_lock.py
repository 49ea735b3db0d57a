"""Reliability 19: two runs on one directory: the second refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mien.errors import TrainingError
from mien.training.run.guards import run_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from mien.training.run.guards import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    expected = rf"process {os.getpid()} is training.*another --out"
    with run_lock(tmp_path / "run" / "lock"):
        with pytest.raises(TrainingError, match=expected), run_lock(tmp_path / "run" / "lock"):
            pytest.fail("both hold it")
        with run_lock(tmp_path / "other" / "lock"):
            pass
    with run_lock(tmp_path / "run" / "lock"):
        pass


def test_an_error_in_the_block_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "lock"):
        raise ZeroDivisionError
    with run_lock(tmp_path / "lock"):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match=f"process {holder.pid} "), run_lock(path):
            pytest.fail("both hold it")
        holder.kill()
    with run_lock(path):
        assert path.read_text() == f"{os.getpid()}\n"
