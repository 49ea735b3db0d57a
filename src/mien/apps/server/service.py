"""The parts that all routes of a server share, and its pool of inference workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.apps.server.catalog import ModelCatalog, WebRuntime
from mien.apps.server.errors import ApiError
from mien.apps.server.jobs import VideoJobs
from mien.apps.server.limits import Slots
from mien.apps.server.metrics import Metrics
from mien.errors import MienError
from mien.models.store import ModelStore
from mien.workers import WorkerExitedError, WorkerPool, WorkerSpec
from mien.workers.process import WORKER_COMMAND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.apps.server.settings import Settings
    from mien.workers import Message, WorkerProcess

IMAGE_NICENESS, VIDEO_NICENESS = 2, 10
"""Of the workers: the server process comes first, so that errors need not wait; then images, then videos."""

CRASH_MESSAGE = (
    "expected an image that can be decoded; received one that crashed the worker process twice. It may be made to do "
    "so: save it anew with another program"
)


class InferencePool:
    """Worker processes behind awaitable requests with a deadline.

    Args:
        count: of processes.
        spec: what each worker loads.
        metrics: counts crashes.
        command: that starts a worker.
    """

    def __init__(self, count: int, spec: WorkerSpec, metrics: Metrics, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._pool = WorkerPool(count, spec, command, on_exit=lambda: metrics.count("mien_worker_crashes_total"))

    @property
    def ready(self) -> int:
        """Workers that run and have loaded their models."""
        return self._pool.ready

    async def start(self) -> dict[str, Any]:
        """Start all workers and return the name of their model and its output heads.

        Raises:
            MienError: they can't start.
        """
        description: dict[str, Any] = await asyncio.to_thread(self._pool.start)
        return description

    async def request(self, payload: dict[str, Any], content: bytes, deadline: float) -> bytes:
        """The content of a worker's reply.

        Args:
            payload: the request, see ``mien.workers.main``.
            content: an encoded image.
            deadline: by the clock of the event loop.

        Raises:
            ApiError: the deadline passed, the image crashed the worker, or the worker replied with an error.
        """

        def call(worker: WorkerProcess) -> Message:
            return worker.request(payload, content)

        task = self._pool.submit(call)
        try:
            async with asyncio.timeout_at(deadline):
                reply = await asyncio.wrap_future(task.future)
        except TimeoutError as error:
            if self._pool.cancel(task):
                raise ApiError("busy", "expected a free worker in time; all were busy. Retry soon") from error
            raise ApiError("timeout", "expected an image that takes less time; received one over the limit") from error
        except WorkerExitedError as error:
            raise ApiError("worker_crashed", CRASH_MESSAGE) from error
        except MienError as error:
            raise ApiError("not_ready", "expected a worker process; none can start. Retry soon") from error
        if reply.payload is not None:
            raise ApiError.from_worker(reply.payload)
        return reply.content

    def close(self) -> None:
        """Kill all workers."""
        self._pool.close()


@dataclass(frozen=True)
class WorkerCommands:
    """Commands that start the worker processes.

    Attributes:
        images: for images and frames.
        video: for videos.
    """

    images: tuple[str, ...] = WORKER_COMMAND
    video: tuple[str, ...] = WORKER_COMMAND


class Service:
    """The parts of a server, started and closed together.

    Args:
        settings: of the server.
        commands: that start its workers.
        store: the model store; the default one if None.

    Attributes:
        model_name: of the model in its card; known once the service is started.
        heads: labels and threshold of each output head, the fused one first; known once it is started.
    """

    def __init__(self, settings: Settings, commands: WorkerCommands, store: ModelStore | None = None) -> None:
        limits, store = settings.limits, store or ModelStore()
        self.settings, self.limits, self.metrics = settings, limits, Metrics()
        images = WorkerSpec(settings.model, settings.detector, limits.pixels, IMAGE_NICENESS)
        videos = WorkerSpec(settings.model, settings.detector, niceness=VIDEO_NICENESS, opencv_threads=None)
        self.pool = InferencePool(settings.workers, images, self.metrics, commands.images)
        self.jobs = VideoJobs(videos, limits, commands.video)
        self.request_slots = Slots(settings.workers + limits.waiting, "busy", "requests")
        self.socket_slots = Slots(limits.sockets, "busy", "WebSockets")
        self.download_slots = Slots(limits.downloads, "busy", "downloads")
        self.model_name, self.heads = "", dict[str, Any]()
        self.catalog = ModelCatalog(store, settings.model, lambda: self.model_name)
        self.web_runtime = WebRuntime(store)
        self.metrics.add_gauge("mien_requests_in_progress", lambda: self.request_slots.taken)
        self.metrics.add_gauge("mien_workers", lambda: self.pool.ready)
        self.metrics.add_gauge("mien_sockets", lambda: self.socket_slots.taken)
        self.metrics.add_gauge("mien_videos", lambda: self.jobs.pending)

    async def start(self) -> None:
        """Start the workers.

        Raises:
            MienError: they can't start.
        """
        description = await self.pool.start()
        self.model_name, self.heads = description["name"], description["heads"]

    async def close(self) -> None:
        """Kill the workers and remove all files."""
        await self.jobs.close()
        await asyncio.to_thread(self.pool.close)
