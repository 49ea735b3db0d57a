"""The local engine: shards are analyzed by a pool of worker processes on this machine."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from mien.media.prefetch import cores
from mien.outputs import to_json_line
from mien.structures import FrameResult
from mien.workers import WorkerExitedError, WorkerPool
from mien.workers.process import WORKER_COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from mien.batch.plan import Plan
    from mien.workers import WorkerProcess

    WriteShard = Callable[[int, str], None]

SHARDS_PER_WORKER = 2
"""Shards queued for each worker, the one it analyzes included."""

CRASH_ERROR = (
    "expected an image that can be decoded; received one that crashes the worker process. It may be made to do so: "
    "save it anew with another program"
)


def run_local(
    plan: Plan,
    shards: Sequence[int],
    write: WriteShard,
    processes: int | None = None,
    command: Sequence[str] = WORKER_COMMAND,
) -> None:
    """Analyze shards in worker processes of this machine.

    Args:
        plan: of the run.
        shards: numbers of those to analyze.
        write: takes the number and the JSON Lines of each shard as it finishes; called in this thread.
        processes: None: one per core.
        command: that starts a worker.

    Raises:
        MienError: a worker can't start.
    """
    count = min(processes or cores(), len(shards))
    waiting = iter(shards)
    with WorkerPool(count, plan.pipeline.worker, command) as pool:

        def submit(limit: int) -> dict[Future[str], int]:
            tasks = {}
            for shard in islice(waiting, limit):
                call = partial(analyze_shard, head=plan.pipeline.head, images=plan.images_of(shard))
                tasks[pool.submit(call, attempts=1).future] = shard
            return tasks

        running = submit(SHARDS_PER_WORKER * count)
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            done = {running.pop(future): future.result() for future in finished}
            running |= submit(len(done))
            for shard, lines in done.items():
                write(shard, lines)


def analyze_shard(worker: WorkerProcess, head: str, images: Sequence[str]) -> str:
    """The results of images as JSON Lines, one line per image, in order.

    After a crash, each image is analyzed alone; an image that crashes the worker again gets ``CRASH_ERROR``.

    Args:
        worker: restarted after each crash.
        head: the output head.
        images: references, see ``mien.batch.image_references``.

    Raises:
        MienError: the worker can't start, or was closed.
    """
    try:
        return _request(worker, head, images)
    except (_FailedError, WorkerExitedError):
        return "".join(_analyze_image(worker, head, image) for image in images)


class _FailedError(Exception):
    """The worker replied with an error."""


def _request(worker: WorkerProcess, head: str, images: Sequence[str]) -> str:
    reply = worker.request({"do": "analyze_files", "head": head, "files": list(images)})
    if reply.payload is not None:
        raise _FailedError(reply.payload["error"]["message"])
    return reply.content.decode()


def _analyze_image(worker: WorkerProcess, head: str, image: str) -> str:
    """The line of one image, with ``error`` set where the worker crashes or fails."""
    try:
        return _request(worker, head, [image])
    except WorkerExitedError:
        error = CRASH_ERROR
    except _FailedError as failed:
        error = str(failed)
    return to_json_line(FrameResult(image, error=error)) + "\n"
