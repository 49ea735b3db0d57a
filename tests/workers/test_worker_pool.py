"""Worker processes and their pool: crashes, cancellation, failed starts, restarts."""

from __future__ import annotations

import sys
import time

import pytest

from mien.errors import MienError
from mien.workers import WorkerExitedError, WorkerPool, WorkerSpec

SPEC = WorkerSpec("compact")
TIMEOUT_SECONDS = 60

WORKER = """
import os, signal, sys, time
from mien.workers import protocol
time.sleep(float(sys.argv[1]))
with protocol.worker_pipes() as pipes:
    requests = protocol.messages(pipes.requests)
    assert next(requests).payload["model"] == "compact"
    protocol.send(pipes.replies, os.getpid())
    for request in requests:
        if request.payload == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        print("a library prints")
        protocol.send(pipes.replies, os.getpid(), request.content)
"""


def command(start_seconds=0.0):
    return (sys.executable, "-c", WORKER, str(start_seconds))


def echo(worker):
    return worker.request("echo", b"content\n").content


def crash(worker):
    return worker.request("crash")


def test_a_reply_holds_what_was_sent_whatever_a_library_prints():
    with WorkerPool(2, SPEC, command()) as pool:
        assert [pool.submit(echo).future.result(TIMEOUT_SECONDS) for _ in range(4)] == [b"content\n"] * 4


def test_a_crash_is_retried_once_and_the_second_blames_the_request():
    exits = []
    with WorkerPool(1, SPEC, command(), on_exit=lambda: exits.append(None)) as pool:
        with pytest.raises(WorkerExitedError):
            pool.submit(crash).future.result(TIMEOUT_SECONDS)
        assert len(exits) == 2
        with pytest.raises(WorkerExitedError):
            pool.submit(crash, attempts=1).future.result(TIMEOUT_SECONDS)
        assert len(exits) == 3
        assert pool.submit(echo).future.result(TIMEOUT_SECONDS) == b"content\n"


def test_workers_are_ready_once_they_have_replied_and_start_again_after_a_crash():
    with WorkerPool(1, SPEC, command(0.5)) as pool:
        assert pool.ready == 0
        first = pool.start()
        assert pool.ready == 1
        with pytest.raises(WorkerExitedError):
            pool.submit(crash, attempts=1).future.result(TIMEOUT_SECONDS)
        assert pool.ready == 0
        wait_until(lambda: pool.ready == 1)
        assert pool.submit(lambda worker: worker.request("pid").payload).future.result(TIMEOUT_SECONDS) != first


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3])
def test_a_task_that_is_cancelled_while_its_worker_starts_ends_at_once(delay):
    with WorkerPool(1, SPEC, command(3600), keep_running=False) as pool:
        task = pool.submit(echo, attempts=1)
        time.sleep(delay)
        if not pool.cancel(task):
            assert isinstance(task.future.exception(TIMEOUT_SECONDS), MienError | WorkerExitedError)


def test_a_cancelled_task_costs_the_next_one_nothing():
    with WorkerPool(1, SPEC, command()) as pool:
        stuck = pool.submit(lambda worker: (echo(worker), time.sleep(0.5), echo(worker)))
        time.sleep(0.3)
        waiting = pool.submit(echo)
        assert pool.cancel(waiting)
        assert not pool.cancel(stuck)
        assert pool.submit(echo).future.result(TIMEOUT_SECONDS) == b"content\n"


def test_a_worker_that_can_t_start_is_an_error():
    with WorkerPool(2, SPEC, (sys.executable, "-c", "")) as pool:
        with pytest.raises(MienError, match="the worker process can't start"):
            pool.start()
        with pytest.raises(MienError, match="the worker process can't start"):
            pool.submit(echo).future.result(TIMEOUT_SECONDS)


def test_a_model_that_can_t_be_loaded_is_reported_by_its_message():
    with (
        WorkerPool(1, WorkerSpec("compact", "eagle")) as pool,
        pytest.raises(MienError, match="expected a detector of"),
    ):
        pool.start()


def test_a_closed_pool_fails_its_tasks():
    pool = WorkerPool(1, SPEC, command())
    pool.start()
    pool.close()
    assert pool.ready == 0
    with pytest.raises(MienError, match="after it was closed"):
        pool.submit(echo).future.result(TIMEOUT_SECONDS)
    with WorkerPool(1, SPEC, command(3600)) as slow:
        task = slow.submit(echo)
        waiting = slow.submit(echo)
        time.sleep(0.2)
        slow.close()
        for each in (task, waiting):
            with pytest.raises(MienError):
                each.future.result(TIMEOUT_SECONDS)


def wait_until(condition):
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
