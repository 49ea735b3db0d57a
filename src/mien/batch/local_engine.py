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

LAST_ATTEMPTS = 3
"""An image that crashes its worker does so each time; kills by chance, such as for want of memory, seldom hit one so
often, the two attempts before included."""

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

    An image that was analyzed alone when its worker exited is tried again at the end, when nothing else runs, up to
    ``LAST_ATTEMPTS`` times: only then does it get ``CRASH_ERROR``.

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

        def submit(limit: int) -> dict[Future[list[str | None]], int]:
            tasks = {}
            for shard in islice(waiting, limit):
                call = partial(_analyze_twice, head=plan.pipeline.head, images=plan.images_of(shard))
                tasks[pool.submit(call, attempts=1).future] = shard
            return tasks

        running = submit(SHARDS_PER_WORKER * count)
        suspects: dict[int, list[str | None]] = {}
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            done = {running.pop(future): future.result() for future in finished}
            running |= submit(len(done))
            for shard, lines in done.items():
                if None in lines:
                    suspects[shard] = lines
                else:
                    write(shard, "".join(filter(None, lines)))
        for shard, lines in suspects.items():  # no other worker is busy now
            last = partial(_complete, lines=lines, head=plan.pipeline.head, images=plan.images_of(shard))
            write(shard, pool.submit(last, attempts=1).future.result())


def analyze_shard(worker: WorkerProcess, head: str, images: Sequence[str]) -> str:
    """The results of images as JSON Lines, one line per image, in order.

    After a crash, each image is analyzed alone, and again up to ``LAST_ATTEMPTS`` times where the worker exits. An
    image with which it exits each time gets ``CRASH_ERROR``.

    Args:
        worker: restarted after each crash.
        head: the output head.
        images: references, see ``mien.batch.image_references``.

    Raises:
        MienError: the worker can't start, or was closed.
    """
    return _complete(worker, _analyze_twice(worker, head, images), head, images)


def _analyze_twice(worker: WorkerProcess, head: str, images: Sequence[str]) -> list[str | None]:
    """The line of each image, from a request for all or one for it alone; None where the worker exited in both."""
    try:
        # not splitlines, for which a name may hold ends of lines that JSON does not escape
        return [line + "\n" for line in _request(worker, head, images).split("\n")[:-1]]
    except (_FailedError, WorkerExitedError):
        return [_analyze_image(worker, head, image) for image in images]


def _complete(worker: WorkerProcess, lines: Sequence[str | None], head: str, images: Sequence[str]) -> str:
    """The lines, with missing ones from last requests for each; ``CRASH_ERROR`` where the worker exits in all."""

    def last(image: str) -> str:
        attempts = (_analyze_image(worker, head, image) for _ in range(LAST_ATTEMPTS))
        return next(filter(None, attempts), None) or _error_line(image, CRASH_ERROR)

    return "".join(line or last(image) for line, image in zip(lines, images, strict=True))


class _FailedError(Exception):
    """The worker replied with an error."""


def _request(worker: WorkerProcess, head: str, images: Sequence[str]) -> str:
    reply = worker.request({"do": "analyze_files", "head": head, "files": list(images)})
    if reply.payload is not None:
        raise _FailedError(reply.payload["error"]["message"])
    return reply.content.decode()


def _analyze_image(worker: WorkerProcess, head: str, image: str) -> str | None:
    """The line of one image, with ``error`` set where the worker fails; None where it exits."""
    try:
        return _request(worker, head, [image])
    except WorkerExitedError:
        return None
    except _FailedError as failed:
        return _error_line(image, str(failed))


def _error_line(image: str, error: str) -> str:
    return to_json_line(FrameResult(image, error=error)) + "\n"
