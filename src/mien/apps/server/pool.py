"""Processes that read images: one that dies of an image is begun anew, and the others don't notice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from mien.apps.server.faults import Refusal
from mien.errors import MienError
from mien.workers.process import Beside, EndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.apps.server.metrics import Metrics
    from mien.workers.protocol import Message

COMMAND = (sys.executable, "-c", "from mien.apps.server.reading import main; main()")

DEADLY = (
    "expected an image that can be decoded; what decodes it ended twice: it may be made to crash it. Save it anew "
    "with another program"
)
TRIES = 2
"""A process may have been killed by chance: what it read is read once more."""

logger = logging.getLogger(__name__)


class Job:
    """A question that waits for a process, and where the answer goes.

    Args:
        said: what is to be done.
        content: an image.
    """

    def __init__(self, said: object, content: bytes) -> None:
        self.said, self.content = said, content
        self.answer: Future[Message] = Future()
        self.unwanted = False


class Worker:
    """A process, and the thread that asks it one question after the other.

    Args:
        process: the process.
        jobs: where its questions come from; None ends it.
        died: called in its thread when the process has ended of a question.
    """

    def __init__(self, process: Beside, jobs: SimpleQueue[Job | None], died: Callable[[], object]) -> None:
        self.process = process
        self._jobs, self._died = jobs, died
        self._doing: Job | None = None
        self._closed = False
        self._changing = Lock()
        self._thread = Thread(target=self._work, name="mien worker", daemon=True)

    def begin(self) -> None:
        """Begins to take questions, once the process has begun."""
        self._thread.start()

    def stop(self, job: Job) -> None:
        """Ends the process in the middle of a question, if it is at that one."""
        job.unwanted = True
        with self._changing:
            if self._doing is job:
                self.process.kill()

    def close(self) -> None:
        """Ends the process and the thread, which has been told so by its questions."""
        with self._changing:
            self._closed = True
            if self._doing is not None:
                self._doing.unwanted = True
        self.process.close()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        for job in iter(self._jobs.get, None):
            if not job.answer.set_running_or_notify_cancel():
                continue
            self._do(job)
            try:
                answer = self._ask(job)
            except Exception as error:  # noqa: BLE001  it is raised again by who waits for the answer
                job.answer.set_exception(error)
            else:
                job.answer.set_result(answer)
            self._do(None)
            if not self._closed:
                self._renew()

    def _do(self, job: Job | None) -> None:
        with self._changing:
            self._doing = job

    def _ask(self, job: Job) -> Message:
        """What the process answers.

        Raises:
            EndedError: it ended of it.
            MienError: it can't begin, or nobody waits for the answer any more.
        """
        tries = TRIES
        while not job.unwanted:
            tries -= 1
            try:
                return self.process.ask(job.said, job.content)
            except EndedError:
                self._died()
                if not tries:
                    raise
        raise MienError("the question was given up")

    def _renew(self) -> None:
        """Begins the process again if it has ended, so that who asks next does not wait for that."""
        try:
            self.process.begin()
        except MienError as error:
            logger.warning("%s", error)


class Pool:
    """Workers that take what is asked in the order in which it comes.

    Args:
        count: of processes.
        told: what each is told first.
        metrics: where deaths are counted.
        command: that begins one.
    """

    def __init__(self, count: int, told: object, metrics: Metrics, command: Sequence[str] = COMMAND) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._workers = [Worker(Beside(command, told), self._jobs, self._died) for _ in range(count)]
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def alive(self) -> int:
        """Processes that run."""
        return sum(worker.process.pid is not None for worker in self._workers)

    async def begin(self) -> dict[str, Any]:
        """Begins all processes; what they say of the model.

        Raises:
            MienError: they can't begin.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.to_thread(one.process.begin) for one in self._workers))
        for worker in self._workers:
            worker.begin()
        ready = self._workers[0].process.ready
        said: dict[str, Any] = ready.said if ready else {"error": "it says nothing"}
        if "error" in said:
            raise MienError(said["error"])
        return said

    async def ask(self, said: dict[str, Any], content: bytes, until: float) -> Message:
        """What a process answers.

        Args:
            said: what is to be done.
            content: an image.
            until: when the answer must be there, by the loop's clock.

        Raises:
            Refusal: time was up, the image ended the process, or the process told of a fault.
        """
        job = Job(said, content)
        self._jobs.put(job)
        try:
            async with asyncio.timeout_at(until):
                answer = await asyncio.wrap_future(job.answer)
        except TimeoutError as error:
            raise self._late(job) from error
        except EndedError as error:
            raise Refusal("deadly_image", DEADLY) from error
        except MienError as error:
            raise Refusal("not_ready", "expected a process that reads images; none can begin") from error
        if answer.said:
            raise Refusal.told(answer.said)
        return answer

    def close(self) -> None:
        """Ends all processes."""
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.close()

    def _late(self, job: Job) -> Refusal:
        """Why a question has no answer in time; the process that is at it ends."""
        if job.answer.cancel():
            return Refusal("busy", "expected a free process in time; all had work. Ask again soon")
        for worker in self._workers:
            worker.stop(job)
        return Refusal("too_long", "expected an image that is read in time; it took too long")

    def _died(self) -> None:
        """Counts a process that ended; in the thread of its worker."""
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            if self._loop:
                self._loop.call_soon_threadsafe(self._metrics.count, "mien_worker_deaths_total")
