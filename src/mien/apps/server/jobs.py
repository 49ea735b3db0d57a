"""Video jobs: a bounded queue, processed one after the other by a worker that starts anew for each."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.apps.server.errors import ApiError
from mien.apps.server.limits import Slots
from mien.errors import MienError
from mien.media.video import Sampling
from mien.workers import WorkerExitedError, WorkerPool
from mien.workers.process import WORKER_COMMAND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from mien.apps.server.settings import Limits
    from mien.workers import WorkerProcess, WorkerSpec

VIDEO_FILE, RESULTS_FILE, PAGE_FILE = "video", "results.jsonl", "page.html"
"""Files of a job; the video is removed as soon as it is processed."""

CRASH_MESSAGE = (
    "expected a video that can be decoded; received one that crashed the worker process twice. It may be made to "
    "do so: save it anew with another program"
)
SPACE_MESSAGE = "expected space for a video and its results in the server's temporary folder; it can't be written"

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A video and the state of its processing.

    Attributes:
        id: that clients use; not guessable.
        folder: of its files.
        name: of the video, as it appears in results.
        sampling: which frames.
        state: "queued", "processing", "done", "failed" or "cancelled".
        progress: 0 to 1.
        error: where it failed, or is done but for frames that are missing.
        task: that processes it.
    """

    id: str
    folder: Path
    name: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    state: str = "queued"
    progress: float = 0.0
    error: ApiError | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The state that clients see, ready for JSON."""
        state: dict[str, Any] = {"id": self.id, "state": self.state, "progress": self.progress}
        return {**state, "error": self.error.payload} if self.error else state

    def file(self, name: str) -> Path:
        """A file of the results.

        Raises:
            ApiError: the job has none, or not yet.
        """
        if self.state != "done":
            raise self.error or ApiError(
                "not_done", f"expected a video that is done; received one that is {self.state}. Retry later"
            )
        return self.folder / name


class VideoJobs:
    """All video jobs of a server; their files live in one temporary folder, removed when the server stops.

    Args:
        spec: what the worker loads.
        limits: of the number of jobs and the time of each.
        command: that starts the worker.
    """

    def __init__(self, spec: WorkerSpec, limits: Limits, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._pool = WorkerPool(1, spec, command, keep_running=False)
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self._slots = Slots(limits.videos, "too_many_videos", "videos")
        self._turn = asyncio.Lock()
        self._folder: Path | None = None

    @property
    def pending(self) -> int:
        """Videos that arrive, wait or are processed."""
        return self._slots.taken

    @contextlib.asynccontextmanager
    async def receive(self) -> AsyncIterator[Job]:
        """A new job whose video is written within the block; it is queued at the end.

        Raises:
            ApiError: the queue is full, or the disk.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._slots.take())
            name = secrets.token_urlsafe(16)
            with contextlib.ExitStack() as on_error, _on_disk():
                job = Job(name, self._temporary_folder() / name)
                on_error.callback(_remove, job.folder)
                job.folder.mkdir()
                yield job
                on_error.pop_all()
            job.task = asyncio.create_task(self._run(job))
            self._jobs[job.id] = job
            slot = stack.pop_all()
            job.task.add_done_callback(lambda _: slot.close())
        await self._forget_old()

    def get(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            ApiError: there is none.
        """
        if job_id not in self._jobs:
            raise ApiError("not_found", "expected the id of a video on this server; received an unknown id")
        return self._jobs[job_id]

    async def forget(self, job: Job) -> None:
        """Cancel a job and remove its files."""
        self._jobs.pop(job.id, None)
        if job.task is not None and not job.task.done():
            job.state = "cancelled"
            job.task.cancel()
            await asyncio.wait([job.task])
        await asyncio.to_thread(_remove, job.folder)

    async def close(self) -> None:
        """Cancel all jobs and remove all files."""
        for job in list(self._jobs.values()):
            await self.forget(job)
        await asyncio.to_thread(self._pool.close)
        if self._folder is not None:
            await asyncio.to_thread(_remove, self._folder)

    def _temporary_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="mien-"))
        return self._folder

    async def _forget_old(self) -> None:
        finished = [job for job in self._jobs.values() if job.task and job.task.done()]
        for job in finished[: max(len(finished) - self._limits.finished_videos, 0)]:
            await self.forget(job)

    async def _run(self, job: Job) -> None:
        """Process a video when its turn comes."""
        async with self._turn:
            job.state = "processing"
            task = self._pool.submit(partial(_process, job))
            finished = asyncio.wrap_future(task.future)
            try:
                async with asyncio.timeout(self._limits.job):
                    payload = await asyncio.shield(finished)
                job.error = ApiError.from_worker(payload) if payload else None
            except TimeoutError:
                job.error = ApiError("timeout", f"expected a video that is processed within {self._limits.job:g} s")
            except WorkerExitedError:
                job.error = ApiError("unreadable_video", CRASH_MESSAGE)
            except MienError as error:
                logger.warning("%s", error)
                job.error = ApiError("not_ready", "expected a worker process for videos; none can start")
            except Exception:
                logger.exception("a video")
                job.error = ApiError("internal", "expected results; received an internal error, see the log")
            finally:
                self._pool.cancel(task)
                await asyncio.gather(finished, return_exceptions=True)  # the worker writes no more
                (job.folder / VIDEO_FILE).unlink(missing_ok=True)
            failed = job.error is not None and job.error.code != "incomplete_video"
            job.state, job.progress = ("failed", job.progress) if failed else ("done", 1.0)


def _process(job: Job, worker: WorkerProcess) -> dict[str, Any] | None:
    """Process a video, record its progress, and return the payload of the worker's last reply."""
    request = {
        "do": "video",
        "video": str(job.folder / VIDEO_FILE),
        "name": job.name,
        "sampling": dataclasses.asdict(job.sampling),
        "results": str(job.folder / RESULTS_FILE),
        "page": str(job.folder / PAGE_FILE),
    }
    try:
        payload: dict[str, Any] | None = worker.request(request).payload
        while payload is not None and "progress" in payload:
            job.progress = max(job.progress, payload["progress"])  # of the second attempt, after the first
            payload = worker.next_reply().payload
    finally:
        worker.stop()
    return payload


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    """Turn what the disk refuses into an error response.

    Raises:
        ApiError: a file can't be written.
    """
    try:
        yield
    except OSError as error:
        logger.warning("a video can't be written to the temporary folder: %s", error)
        raise ApiError("no_space", f"{SPACE_MESSAGE} ({error.strerror}). Retry later") from error


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
