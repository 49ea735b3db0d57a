"""A run over many pictures on this machine: shards read by a pool of processes, then one table.

Each shard is a file that is there whole or not at all, so a run that was killed goes on where it was: no picture is
missing, none is there twice. One that ends the process which reads it becomes a row with an error, as a torn one does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.files import written_whole
from mien.results import from_dict, open_csv, open_parquet
from mien.scale.plan import Folder
from mien.scale.work import begin, ended, read_shard, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mien.faces import FrameResult
    from mien.results import Writer
    from mien.scale.plan import Plan

KINDS = (".parquet", ".csv", ".jsonl")

AHEAD = 2
"""Shards that wait for each process."""


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        pictures: in the table.
        failed: of them, that could not be read.
        seconds: that this call took, for the pictures that were still to be read.
        read: how many those were.
    """

    pictures: int
    failed: int
    seconds: float
    read: int

    @property
    def rate(self) -> float:
        """Pictures a second."""
        return self.read / self.seconds if self.seconds else 0.0


def read_all(
    plan: Plan,
    table: Path,
    labels: Sequence[str],
    processes: int | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Reads all pictures of a plan and writes their table.

    Args:
        plan: the pictures and what reads them.
        table: .parquet, .csv or .jsonl.
        labels: of the model, which fix the columns.
        processes: of the pool; None: one a core.
        tell: called with the pictures that are done and those there are.

    Raises:
        UsageError: the table is of another kind, or another run was begun there.
    """
    if table.suffix.lower() not in KINDS:
        raise UsageError(f"expected a table as {', '.join(KINDS)}; received {table.name}")
    begun = time.monotonic()
    folder = Folder(table, plan)
    missing = folder.missing()
    read = sum(len(plan.pictures_of(shard)) for shard in missing)
    done = len(plan.pictures) - read

    def count(shard: int) -> None:
        nonlocal done
        done += len(plan.pictures_of(shard))
        tell(done, len(plan.pictures))

    tell(done, len(plan.pictures))
    _Pool(folder, min(processes or cores(), max(len(missing), 1)), count).read(missing)
    failed = _write(folder, table, labels)
    folder.remove()
    return Report(len(plan.pictures), failed, time.monotonic() - begun, read)


class _Pool:
    """Processes that read shards; those that a process died of are read again, alone.

    Args:
        folder: of the run.
        processes: how many.
        count: told each shard that is done.
    """

    def __init__(self, folder: Folder, processes: int, count: Callable[[int], None]) -> None:
        self._folder, self._processes, self._count = folder, processes, count

    def read(self, shards: Sequence[int]) -> None:
        """Reads shards."""
        waiting = list(reversed(shards))
        while waiting:
            # after a death nobody knows which of the shards in work was to blame: each is read again alone
            for shard in self._read_together(waiting):
                self._read_alone(shard)

    def _read_together(self, waiting: list[int]) -> list[int]:
        """Reads shards until none is waiting or a process died; those that were in work then."""
        running: dict[Future[None], int] = {}
        with self._open(self._processes) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < AHEAD * self._processes:
                        shard = waiting.pop()
                        running[self._submit(pool, shard)] = shard
                    for finished in wait(running, return_when=FIRST_COMPLETED).done:
                        finished.result()
                        self._count(running.pop(finished))
            except BrokenProcessPool:
                return [shard for shard in running.values() if not self._done(shard)]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return []

    def _read_alone(self, shard: int) -> None:
        """Reads a shard by itself; if a process dies of it, picture by picture."""
        try:
            with self._open(1) as pool:
                self._submit(pool, shard).result()
        except BrokenProcessPool:
            pictures = self._folder.plan.pictures_of(shard)
            results = [result for picture in pictures for result in self._read_one(picture)]
            write_lines(results, self._folder.part(shard))
        self._count(shard)

    def _read_one(self, picture: str) -> list[FrameResult]:
        part = self._folder.alone
        try:
            with self._open(1) as pool:
                pool.submit(read_shard, (picture,), str(part)).result()
            return [from_dict(json.loads(part.read_text(encoding="utf-8")))]
        except BrokenProcessPool:
            return [ended(picture)]
        finally:
            part.unlink(missing_ok=True)

    def _open(self, processes: int) -> ProcessPoolExecutor:
        spawned = multiprocessing.get_context("spawn")  # forked threads of ONNX Runtime would hang
        return ProcessPoolExecutor(
            processes, spawned, initializer=begin, initargs=(self._folder.plan.reader, os.getpid())
        )

    def _submit(self, pool: ProcessPoolExecutor, shard: int) -> Future[None]:
        return pool.submit(read_shard, self._folder.plan.pictures_of(shard), str(self._folder.part(shard)))

    def _done(self, shard: int) -> bool:
        if self._folder.part(shard).is_file():
            self._count(shard)
            return True
        return False


def _write(folder: Folder, table: Path, labels: Sequence[str]) -> int:
    """Writes the table of all shards; how many pictures could not be read."""
    failed = 0
    if table.suffix.lower() == ".jsonl":
        with written_whole(table) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            for line in folder.lines():
                failed += json.loads(line)["error"] is not None
                file.write(line)
        return failed
    opened: AbstractContextManager[Writer] = (open_csv if table.suffix.lower() == ".csv" else open_parquet)(
        table, labels
    )
    with opened as writer:
        for line in folder.lines():
            result = from_dict(json.loads(line))
            failed += result.error is not None
            writer.write(result)
    return failed


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
