"""Videos that are read while nobody waits: a few at most, one after the other, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.apps.server.admission import Admission
from mien.apps.server.faults import Refusal
from mien.errors import MienError
from mien.media.video import Sampling
from mien.workers.process import Beside, EndedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mien.apps.server.settings import Limits
    from mien.workers.protocol import Message

VIDEO, RESULTS, PAGE = "video", "results.jsonl", "page.html"
"""Files of a job: the first goes as soon as it is read."""

ENDED = "expected a video that can be decoded; what decodes it ended: it may be made to crash it"

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A video, and how far its reading is.

    Attributes:
        id: by which clients know it; none can be guessed.
        folder: of its files.
        process: that reads it.
        name: of the video, which results tell.
        sampling: which frames.
        state: "queued", "reading", "done", "failed" or "cancelled".
        progress: 0 to 1.
        fault: what was wrong, where it failed.
        task: that waits for it.
    """

    id: str
    folder: Path
    process: Beside
    name: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    state: str = "queued"
    progress: float = 0.0
    fault: Refusal | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """What clients are told."""
        told: dict[str, Any] = {"id": self.id, "state": self.state, "progress": self.progress}
        return {**told, "error": self.fault.said} if self.fault else told

    def file(self, name: str) -> Path:
        """A file of its results.

        Raises:
            Refusal: it has none, or not yet.
        """
        if self.state != "done":
            raise self.fault or Refusal(
                "not_done", f"expected a video that is done; received one that is {self.state}. Ask again later"
            )
        return self.folder / name


class Jobs:
    """All jobs of a server; their files are in one temporary folder, which goes when the server does.

    Args:
        command: that begins a process which reads a video.
        told: what it is told first.
        limits: how many there may be, and how long each may take.
    """

    def __init__(self, command: Sequence[str], told: object, limits: Limits) -> None:
        self._command, self._told, self._limits = command, told, limits
        self._jobs: dict[str, Job] = {}
        self._places = Admission(limits.videos, "too_many_videos", "videos")
        self._turn = asyncio.Lock()
        self._folder: Path | None = None

    @property
    def waiting(self) -> int:
        """Videos that come, wait or are read."""
        return self._places.taken

    @contextlib.asynccontextmanager
    async def receive(self) -> AsyncIterator[Job]:
        """A job whose video is written within the block; it is read from then on.

        Raises:
            Refusal: as many as are taken wait already.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._places.place())
            name = secrets.token_urlsafe(16)
            job = Job(name, self._home() / name, Beside(self._command, self._told))
            with contextlib.ExitStack() as kept:
                kept.callback(_remove, job.folder)
                job.folder.mkdir()
                yield job
                kept.pop_all()
            job.task = asyncio.create_task(self._run(job))
            self._jobs[job.id] = job
            place = stack.pop_all()
            job.task.add_done_callback(lambda _: place.close())
        await self._forget_old()

    def get(self, name: str) -> Job:
        """A job by its id.

        Raises:
            Refusal: there is none.
        """
        if name not in self._jobs:
            raise Refusal("not_found", "expected the id of a video that is kept; received another")
        return self._jobs[name]

    async def forget(self, job: Job) -> None:
        """Ends a job and removes its files."""
        self._jobs.pop(job.id, None)
        if job.task is not None and not job.task.done():
            job.state = "cancelled"
            job.process.close()
            job.task.cancel()
            await asyncio.wait([job.task])
        await asyncio.to_thread(_remove, job.folder)

    async def close(self) -> None:
        """Ends all, and removes all files."""
        for job in list(self._jobs.values()):
            await self.forget(job)
        if self._folder is not None:
            await asyncio.to_thread(_remove, self._folder)

    def _home(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="mien-"))
        return self._folder

    async def _forget_old(self) -> None:
        over = [job for job in self._jobs.values() if job.task and job.task.done()]
        for job in over[: max(len(over) - self._limits.kept, 0)]:
            await self.forget(job)

    async def _run(self, job: Job) -> None:
        """Reads a video when its turn comes."""
        async with self._turn:
            job.state = "reading"
            reading = asyncio.get_running_loop().run_in_executor(None, _read, job)
            try:
                async with asyncio.timeout(self._limits.job):
                    said = (await asyncio.shield(reading)).said
                job.fault = Refusal.told(said) if "code" in said else None
            except TimeoutError:
                job.fault = Refusal("too_long", f"expected a video that is read within {self._limits.job:g} s")
            except EndedError:
                job.fault = Refusal("unreadable_video", ENDED)
            except MienError as error:
                logger.warning("%s", error)
                job.fault = Refusal("not_ready", "expected a process that reads videos; none can begin")
            finally:
                job.process.close()
                (job.folder / VIDEO).unlink(missing_ok=True)
            job.state, job.progress = ("failed", job.progress) if job.fault else ("done", 1.0)


def _read(job: Job) -> Message:
    """Waits for the process that reads a video, noting how far it is; in a thread."""
    sampling = job.sampling
    asked = {
        "video": str(job.folder / VIDEO),
        "name": job.name,
        "sampling": [sampling.every, sampling.stride, sampling.start, sampling.end],
        "results": str(job.folder / RESULTS),
        "page": str(job.folder / PAGE),
    }
    message = job.process.ask(asked)
    while "progress" in message.said:
        job.progress = message.said["progress"]
        message = job.process.more()
    return message


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
