"""A pool of worker processes that take tasks in order; one that crashes is restarted and does not stop the others."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from mien.errors import MienError
from mien.workers.process import WORKER_COMMAND, WorkerExitedError, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.workers.protocol import WorkerSpec

T = TypeVar("T")

ATTEMPTS = 2
"""A worker may be killed by chance, so a request is repeated once; a second crash blames the input."""

IDLE_CHECK_SECONDS = 1.0
"""Time between two checks whether an idle worker is still alive."""

MAX_RESTART_SECONDS = 30.0
"""Longest time between two attempts to restart a worker that can't start."""

logger = logging.getLogger(__name__)


class Task(Generic[T]):
    """A call that waits for a worker, and its result.

    Args:
        call: takes the worker process; runs in a thread of the pool.
        attempts: how often the call is tried where the worker exits during it.

    Attributes:
        future: holds the result; ``WorkerExitedError`` where the worker exited in the last attempt.
    """

    def __init__(self, call: Callable[[WorkerProcess], T], attempts: int = ATTEMPTS) -> None:
        self.call, self.attempts = call, attempts
        self.future: Future[T] = Future()
        self.cancelled = False


class WorkerPool:
    """Worker processes that share one queue of tasks.

    Args:
        count: of processes.
        spec: what each worker loads.
        command: that starts one.
        keep_running: whether workers are restarted as soon as they exit; False: when the next task needs one.
        on_exit: called in a thread of the pool each time a worker exits on its own or is killed during a task.

    Example:
        >>> from mien.workers import WorkerPool, WorkerSpec
        >>> with WorkerPool(1, WorkerSpec("compact")) as pool:
        ...     task = pool.submit(lambda worker: worker.request({"do": "analyze_files", "files": []}))
        ...     task.future.result().content
        b''
    """

    def __init__(
        self,
        count: int,
        spec: WorkerSpec,
        command: Sequence[str] = WORKER_COMMAND,
        *,
        keep_running: bool = True,
        on_exit: Callable[[], object] = lambda: None,
    ) -> None:
        self._queue: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self._closed = False
        self._workers = [
            _Worker(WorkerProcess(spec, command), self._queue, on_exit, keep_running=keep_running) for _ in range(count)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> int:
        """Workers that run and have loaded their models."""
        return sum(worker.process.is_ready for worker in self._workers)

    def start(self) -> Any:
        """Start all workers at once and return what the first reports about its model.

        Without this call, workers start on first use.

        Raises:
            MienError: a worker can't start.
        """
        with ThreadPoolExecutor(len(self._workers)) as threads:
            list(threads.map(lambda worker: worker.process.start(), self._workers))
        ready = self._workers[0].process.ready
        for worker in self._workers:
            worker.begin()
        return ready.payload if ready else None

    def submit(self, call: Callable[[WorkerProcess], T], attempts: int = ATTEMPTS) -> Task[T]:
        """Queue a call for the next free worker; after ``close`` its future fails with ``MienError``."""
        task = Task(call, attempts)
        if self._closed:
            task.future.set_exception(MienError("expected an open pool; received a task after it was closed"))
            return task
        for worker in self._workers:
            worker.begin()
        self._queue.put(task)
        return task

    def cancel(self, task: Task[Any]) -> bool:
        """Drop a task and kill the worker that runs it. Return whether the task was still waiting."""
        task.cancelled = True
        if task.future.cancel():
            return True
        for worker in self._workers:
            worker.interrupt(task)
        return False

    def close(self) -> None:
        """Kill all workers; tasks that run or wait fail with ``MienError``."""
        self._closed = True
        for _ in self._workers:
            self._queue.put(None)
        for worker in self._workers:
            worker.close()


class _Worker:
    """A worker process and the thread that runs tasks with it, one at a time."""

    def __init__(
        self,
        process: WorkerProcess,
        tasks: SimpleQueue[Task[Any] | None],
        on_exit: Callable[[], object],
        *,
        keep_running: bool,
    ) -> None:
        self.process = process
        self._tasks, self._on_exit, self._keep_running = tasks, on_exit, keep_running
        self._current: Task[Any] | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._wait_seconds = IDLE_CHECK_SECONDS
        self._thread = threading.Thread(target=self._work, name="mien worker", daemon=True)
        self._started = False

    def begin(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if not self._started and not self._closed:
                self._started = True
                self._thread.start()

    def interrupt(self, task: Task[Any]) -> None:
        """Kill the process if it works on this task."""
        with self._lock:
            if self._current is task:
                self.process.interrupt()

    def close(self) -> None:
        """Kill the process and wait for the thread, which ends at the end marker in its queue."""
        with self._lock:
            self._closed = True
            if self._current is not None:
                self._current.cancelled = True
        self.process.close()
        if self._started:
            self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._wait_seconds if self._keep_running else None)
            except queue.Empty:
                self._revive()
                continue
            if task is None:
                return
            if task.future.set_running_or_notify_cancel():
                self._finish(task)
                if self._keep_running:
                    self._restart()

    def _finish(self, task: Task[Any]) -> None:
        """Run a task and set its future."""
        self._set_current(task)
        try:
            result = self._run(task)
        except Exception as error:  # noqa: BLE001  raised again where the result is read
            self._set_current(None)
            task.future.set_exception(error)
        else:
            self._set_current(None)
            task.future.set_result(result)

    def _set_current(self, task: Task[Any] | None) -> None:
        with self._lock:
            self._current = task
            self.process.resume()  # an interrupt was for the task before

    def _run(self, task: Task[T]) -> T:
        """The result of a task.

        Raises:
            WorkerExitedError: the process exited in every attempt.
            MienError: the process can't start, or the task was cancelled.
        """
        for attempt in range(task.attempts):
            if task.cancelled:
                break
            try:
                return task.call(self.process)
            except WorkerExitedError:
                self._on_exit()
                if attempt == task.attempts - 1:
                    raise
        raise MienError("expected a task to finish; received its cancellation")

    def _revive(self) -> None:
        """Restart an idle process that was killed from outside."""
        if self.process.has_exited:
            self._on_exit()
            self.process.stop()
        self._restart()

    def _restart(self) -> None:
        """Start the process if it has exited, so that the next task need not wait; retry at growing intervals."""
        if self._closed:
            return
        try:
            self.process.start()
        except MienError as error:
            self._wait_seconds = min(2 * self._wait_seconds, MAX_RESTART_SECONDS)
            if not self._closed:
                logger.warning("%s", error)
        else:
            self._wait_seconds = IDLE_CHECK_SECONDS
