"""Reliability 19: of two runs on one directory the second refuses; and signals are noted until a run is saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from mien.errors import MissingExtraError, TrainingError
from mien.training.run.guards import SIGNALS, Interrupted, deferred_signals, is_locked, run_lock

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


def test_a_second_run_is_refused_and_names_the_first(tmp_path: Path) -> None:
    expected = rf"process {os.getpid()} is training.*another --out"
    with run_lock(tmp_path / "run" / "lock"):
        with pytest.raises(TrainingError, match=expected), run_lock(tmp_path / "run" / "lock"):
            pytest.fail("both hold it")
        with run_lock(tmp_path / "other" / "lock"):
            pass
        assert is_locked(tmp_path / "run" / "lock")
    assert not is_locked(tmp_path / "run" / "lock")
    assert not is_locked(tmp_path / "none" / "lock")
    assert not (tmp_path / "none").exists()
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


def test_without_filelock_the_pip_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[train\]'"), run_lock(tmp_path / "lock"):
        pytest.fail("there is no lock")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_raised_on_check(number: int) -> None:
    before = [signal.getsignal(known) for known in SIGNALS]
    if signal.SIG_IGN in before:
        pytest.skip("the tests run under nohup")
    with deferred_signals() as interruption:
        interruption.check()
        signal.raise_signal(number)
        assert interruption.number == number
        with pytest.raises(Interrupted) as raised:
            interruption.check()
        assert raised.value.number == number
    assert [signal.getsignal(known) for known in SIGNALS] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred_signals() as interruption:
            signal.raise_signal(signal.SIGHUP)
            interruption.check()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_exits_at_once() -> None:
    with deferred_signals() as interruption:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as raised:
            signal.raise_signal(signal.SIGINT)
        assert not isinstance(raised.value, Interrupted)
        assert interruption.number == signal.SIGINT


def test_handlers_are_given_back_after_an_error() -> None:
    before = [signal.getsignal(known) for known in SIGNALS]
    with pytest.raises(ZeroDivisionError), deferred_signals():
        raise ZeroDivisionError
    assert [signal.getsignal(known) for known in SIGNALS] == before


def test_in_another_thread_signals_are_left_alone() -> None:
    found = []

    def work() -> None:
        with deferred_signals() as interruption:
            found.append((signal.getsignal(signal.SIGINT), interruption.number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGINT), None)]
