"""A supervised worker process: started on demand, restarted after a crash, killed to cancel a request."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

from mien.errors import MienError
from mien.workers import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from mien.workers.protocol import Message, WorkerSpec

WORKER_COMMAND = (sys.executable, "-c", "from mien.workers.main import main; main()")

ONE_THREAD_ENV = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Unless already set: NumPy's products are small here, and a second thread only occupies a core while it waits."""


START_ATTEMPTS = 5
"""A process that a signal ends while it loads, by chance or where memory is short, is started so often."""


class WorkerExitedError(Exception):
    """The worker process exited before it replied."""


class WorkerProcess:
    """A worker that handles one request after the other; started on first use, and again after it exited.

    For one thread at a time, except ``interrupt``, ``close`` and ``is_ready``, which any thread may call.

    Args:
        spec: what the worker loads.
        command: that starts the worker.
    """

    def __init__(self, spec: WorkerSpec, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._spec, self._command = spec, tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed, self._interrupted = threading.Event(), threading.Event()
        self._stopping = threading.Lock()
        self.ready: Message | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the process runs and has loaded its models."""
        process = self._process
        return process is not None and self.ready is not None and process.poll() is None

    @property
    def has_exited(self) -> bool:
        """Whether the process was started and exited by itself; False where none was started."""
        process = self._process
        return process is not None and process.poll() is not None

    def start(self) -> None:
        """Start the process and wait until it is ready, unless it runs already.

        Raises:
            MienError: the process exits before it is ready, its models can't be loaded, or this worker was closed.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            if self._closed.is_set():
                raise MienError("expected an open worker; received one that was closed")
            if self._process is not None or self._start(last=attempt == START_ATTEMPTS):
                return

    def _start(self, *, last: bool) -> bool:
        """Start the process once; False where a signal ended it while it loaded, and this is not the last attempt."""
        # a session of its own: Ctrl-C is for the parent, which decides when workers stop
        process = self._process = subprocess.Popen(  # noqa: S603  the command is ours
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=ONE_THREAD_ENV | os.environ,
        )
        if self._closed.is_set() or self._interrupted.is_set():  # meanwhile, by another thread
            self.stop()
        try:
            ready = self._exchange(process, dataclasses.asdict(self._spec))
        except WorkerExitedError as error:
            killed = (process.returncode or 0) < 0  # by a signal that is not from another thread of ours
            if killed and not last and not self._interrupted.is_set() and not self._closed.is_set():
                return False
            raise MienError(f"the worker process can't start: {' '.join(self._command)}") from error
        if isinstance(ready.payload, dict) and "error" in ready.payload:
            self.stop()
            raise MienError(ready.payload["error"]["message"])
        self.ready = ready
        return True

    def request(self, payload: object, content: bytes = b"") -> Message:
        """Send a request and wait for the reply.

        Raises:
            WorkerExitedError: the process exited before it replied; the next request starts it again.
            MienError: the process can't start, or this worker was closed.
        """
        self.start()
        return self._exchange(self._process, payload, content)

    def next_reply(self) -> Message:
        """The next reply to a request that has several.

        Raises:
            WorkerExitedError: the process exited first.
        """
        return self._receive(self._process)

    def interrupt(self) -> None:
        """Kill the process during a request, which then fails; a process that just starts is killed as well."""
        self._interrupted.set()
        process = self._process
        if process is not None:
            process.kill()

    def resume(self) -> None:
        """Allow requests after ``interrupt``."""
        self._interrupted.clear()

    def stop(self) -> None:
        """Kill the process and wait for its end; the next request starts it again."""
        with self._stopping:
            process, self._process, self.ready = self._process, None, None
        if process is not None:
            process.kill()
            process.communicate()

    def close(self) -> None:
        """Stop the process for good."""
        self._closed.set()
        self.stop()

    def _exchange(self, process: subprocess.Popen[bytes] | None, payload: object, content: bytes = b"") -> Message:
        """The reply of a process; None: another thread has stopped it."""
        try:
            if process is not None:
                protocol.send(cast("BinaryIO", process.stdin), payload, content)
        except (OSError, ValueError) as error:  # its pipe is broken, or closed by another thread
            self.stop()
            raise WorkerExitedError from error
        return self._receive(process)

    def _receive(self, process: subprocess.Popen[bytes] | None) -> Message:
        try:
            message = protocol.receive(cast("BinaryIO", process.stdout)) if process else None
        except (OSError, ValueError) as error:
            self.stop()
            raise WorkerExitedError from error
        if message is None:
            self.stop()
            raise WorkerExitedError
        return message
