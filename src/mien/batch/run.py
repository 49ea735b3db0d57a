"""A run over many images: shards read by an engine, then one table.

Each shard is a file that is there whole or not at all, so a run that was killed goes on where it was: no image is
missing, none is there twice. One that ends the process which reads it becomes a row with an error, as a torn one does.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.batch.local_engine import read_here
from mien.batch.plan import Folder
from mien.batch.ray_engine import read_on_ray
from mien.errors import UsageError
from mien.media.files import atomic_write
from mien.outputs import from_dict, open_csv, open_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mien.batch.plan import Plan
    from mien.outputs import Writer

KINDS = (".parquet", ".csv", ".jsonl")
ENGINES = {"local": read_here, "ray": read_on_ray}


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        images: in the table.
        failed: of them, that could not be read.
        seconds: that this call took, for the images that were still to be read.
        read: how many those were.
    """

    images: int
    failed: int
    seconds: float
    read: int

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.read / self.seconds if self.seconds else 0.0


def read_all(
    plan: Plan,
    table: Path,
    labels: Sequence[str],
    processes: int | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
    engine: str = "local",
) -> Report:
    """Reads all images of a plan and writes their table.

    Args:
        plan: the images and what reads them.
        table: .parquet, .csv or .jsonl.
        labels: of the model, which fix the columns.
        processes: that read; None: one a core.
        tell: called with the images that are done and those there are.
        engine: "local", or "ray": Ray Data, on this machine or on the cluster that RAY_ADDRESS names.

    Raises:
        UsageError: the table or the engine is of another kind, or another run was begun there.
        MissingExtraError: the engine is not installed.
    """
    if table.suffix.lower() not in KINDS:
        raise UsageError(f"expected a table as {', '.join(KINDS)}; received {table.name}")
    if engine not in ENGINES:
        raise UsageError(f"expected an engine of {', '.join(ENGINES)}; received {engine!r}")
    begun = time.monotonic()
    folder = Folder(table, plan)
    missing = folder.missing()
    read = sum(len(plan.images_of(shard)) for shard in missing)
    done = len(plan.images) - read
    tell(done, len(plan.images))

    def put(shard: int, lines: str) -> None:
        nonlocal done
        folder.put(shard, lines)
        done += len(plan.images_of(shard))
        tell(done, len(plan.images))

    if missing:
        ENGINES[engine](plan, missing, put, processes)
    failed = _write(folder, table, labels)
    folder.remove()
    return Report(len(plan.images), failed, time.monotonic() - begun, read)


def _write(folder: Folder, table: Path, labels: Sequence[str]) -> int:
    """Writes the table of all shards; how many images could not be read."""
    failed = 0
    if table.suffix.lower() == ".jsonl":
        with atomic_write(table) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
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
