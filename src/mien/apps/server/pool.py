"""Processes that read pictures: one that dies of a picture is begun anew, and the others don't notice."""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mien.apps.server.faults import Refusal
from mien.errors import MienError
from mien.scale.beside import Beside, EndedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.apps.server.metrics import Metrics
    from mien.scale.messages import Message

COMMAND = (sys.executable, "-c", "from mien.apps.server.reading import main; main()")

DEADLY = (
    "expected a picture that can be decoded; what decodes it ended twice: it may be made to crash it. Save it anew "
    "with another program"
)
TRIES = 2
"""A process may have been killed by chance: what it read is read once more."""

logger = logging.getLogger(__name__)


class Worker:
    """A process and what has become of it.

    Args:
        process: the process.
    """

    def __init__(self, process: Beside) -> None:
        self.process = process
        self.deaths = 0
        self.unwanted = False

    def ask(self, said: object, content: bytes) -> Message:
        """What the process answers; in a thread.

        Raises:
            EndedError: it ended of it.
        """
        self.unwanted = False
        for again in range(TRIES):
            try:
                return self.process.ask(said, content)
            except EndedError:
                self.deaths += 1
                if self.unwanted or again == TRIES - 1:
                    raise
        raise AssertionError

    def stop(self) -> None:
        """Ends what it does now."""
        self.unwanted = True
        self.process.kill()

    def renew(self) -> None:
        """Begins the process again, so that who asks next does not wait for that; in a thread."""
        try:
            self.process.begin()
        except MienError as error:
            logger.warning("%s", error)


class Pool:
    """Workers, each with a thread that waits for it.

    Args:
        count: of processes.
        told: what each is told first.
        command: that begins one.
        metrics: where deaths are counted.
    """

    def __init__(self, count: int, told: object, metrics: Metrics, command: Sequence[str] = COMMAND) -> None:
        self._workers = [Worker(Beside(command, told)) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count, "mien worker")
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        self._metrics = metrics
        self._closed = False

    @property
    def alive(self) -> int:
        """Processes that run."""
        return sum(worker.process.pid is not None for worker in self._workers)

    async def begin(self) -> dict[str, Any]:
        """Begins all processes; what they say of the model.

        Raises:
            MienError: they can't begin.
        """
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, one.process.begin) for one in self._workers))
        for worker in self._workers:
            self._free.put_nowait(worker)
        ready = self._workers[0].process.ready
        said: dict[str, Any] = ready.said if ready else {"error": "it says nothing"}
        if "error" in said:
            raise MienError(said["error"])
        return said

    async def ask(self, said: dict[str, Any], content: bytes, until: float) -> Message:
        """What a process answers.

        Args:
            said: what is to be done.
            content: a picture.
            until: when the answer must be there, by the loop's clock.

        Raises:
            Refusal: time was up, the picture ended the process, or the process told of a fault.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                worker = await self._free.get()
        except TimeoutError as error:
            raise Refusal("busy", "expected a free process in time; all had work. Ask again soon") from error
        future = loop.run_in_executor(self._threads, worker.ask, said, content)
        future.add_done_callback(lambda done: self._returned(worker, done))
        try:
            async with asyncio.timeout_at(until):
                answer = await asyncio.shield(future)
        except TimeoutError as error:
            worker.stop()
            raise Refusal("too_long", "expected a picture that is read in time; it took too long") from error
        except EndedError as error:
            raise Refusal("deadly_picture", DEADLY) from error
        except MienError as error:
            raise Refusal("not_ready", "expected a process that reads pictures; none can begin") from error
        if answer.said:
            raise Refusal.told(answer.said)
        return answer

    def close(self) -> None:
        """Ends all processes."""
        self._closed = True
        for worker in self._workers:
            worker.unwanted = True
            worker.process.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _returned(self, worker: Worker, done: asyncio.Future[Message]) -> None:
        """Gives a worker to who waits; one that ended is begun again first."""
        if worker.deaths:
            self._metrics.count("mien_worker_deaths_total", worker.deaths)
            worker.deaths = 0
        if done.cancelled() or done.exception() is None or self._closed:
            self._free.put_nowait(worker)
            return
        loop = asyncio.get_running_loop()
        renewed = loop.run_in_executor(self._threads, worker.renew)
        renewed.add_done_callback(lambda _: self._free.put_nowait(worker))
