"""Processes on this machine."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING

from mien.batch.isolated import Apart
from mien.media.prefetch import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.batch.plan import Plan, Reader

    Put = Callable[[int, str], None]

AHEAD = 2
"""Shards that each process has, the one it reads among them."""


def read_here(
    plan: Plan,
    shards: Sequence[int],
    put: Put,
    processes: int | None = None,
    begin: Callable[[Reader], Apart] = Apart,
) -> None:
    """Reads shards by processes of this machine.

    Args:
        plan: of the run.
        shards: those that are to be read.
        put: takes the number and the JSON Lines of each, as they come; called in this thread.
        processes: None: one a core.
        begin: makes what reads in a process.
    """
    count = min(processes or cores(), len(shards))
    readers = [begin(plan.reader) for _ in range(count)]
    free: SimpleQueue[Apart] = SimpleQueue()
    for reader in readers:
        free.put(reader)

    def read(shard: int) -> tuple[int, str]:
        reader = free.get()
        try:
            return shard, reader.read(plan.images_of(shard))
        finally:
            free.put(reader)

    waiting = iter(shards)
    with ThreadPoolExecutor(count) as threads:
        try:
            running = {threads.submit(read, shard) for shard in islice(waiting, AHEAD * count)}
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {threads.submit(read, shard) for shard in islice(waiting, len(finished))}
                for one in finished:
                    put(*one.result())
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for reader in readers:
                reader.close()
