"""A batch run: an engine analyzes shards of images, then all shards become one table.

Each shard is a file that exists whole or not at all, so a killed run resumes where it stopped: no image is missing or
duplicated. An image that can't be decoded, or that crashes a worker, becomes a row with an error.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.batch.local_engine import run_local
from mien.batch.plan import PartsFolder, only_run
from mien.batch.ray_engine import run_on_ray
from mien.errors import UsageError
from mien.media.files import atomic_write
from mien.outputs import from_dict, open_csv, open_parquet

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from mien.batch.plan import Plan
    from mien.outputs import Writer

TABLE_SUFFIXES = (".parquet", ".csv", ".jsonl")
ENGINES = {"local": run_local, "ray": run_on_ray}


@dataclass(frozen=True)
class BatchReport:
    """The outcome of a run.

    Attributes:
        images: in the table.
        failed: of these, with an error.
        warned: of these, with a warning; a .jsonl table has its words.
        seconds: that this call took.
        analyzed: images of this call; the others were finished by an earlier one.
    """

    images: int
    failed: int
    warned: int
    seconds: float
    analyzed: int

    @property
    def images_per_second(self) -> float:
        """Throughput of this call."""
        return self.analyzed / self.seconds if self.seconds else 0.0


def suffix_of(table: Path) -> str:
    """The suffix of a table in lower case, which names its format.

    Raises:
        UsageError: there is no such format.
    """
    suffix = table.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise UsageError(f"expected a table as {', '.join(TABLE_SUFFIXES)}; received {table.name}")
    return suffix


def run_batch(
    plan: Plan,
    table: str | os.PathLike[str],
    labels: Sequence[str],
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    engine: str = "local",
) -> BatchReport:
    """Analyze all images of a plan and write their table; resume a run that was killed.

    Args:
        plan: images and pipeline.
        table: .parquet, .csv or .jsonl.
        labels: of the output head; they fix the columns.
        processes: worker processes; None: one per core.
        on_progress: called with the number of finished images and of all.
        engine: "local", or "ray": Ray Data, on this machine or on the cluster that RAY_ADDRESS names.

    Raises:
        UsageError: the table's suffix or the engine is unknown, the folder belongs to another run, or another process
            writes the table.
        MissingExtraError: the engine is not installed.
    """
    table = Path(table)
    suffix_of(table)
    if engine not in ENGINES:
        raise UsageError(f"expected an engine of {', '.join(ENGINES)}; received {engine!r}")
    with only_run(table):
        return _run(plan, table, labels, processes, on_progress, engine)


def _run(
    plan: Plan,
    table: Path,
    labels: Sequence[str],
    processes: int | None,
    on_progress: Callable[[int, int], None],
    engine: str,
) -> BatchReport:
    started = time.monotonic()
    folder = PartsFolder(table, plan)
    missing = folder.missing()
    analyzed = sum(len(plan.images_of(shard)) for shard in missing)
    finished = len(plan.images) - analyzed
    on_progress(finished, len(plan.images))

    def write(shard: int, lines: str) -> None:
        nonlocal finished
        folder.write(shard, lines)
        finished += len(plan.images_of(shard))
        on_progress(finished, len(plan.images))

    if missing:
        ENGINES[engine](plan, missing, write, processes)
    failed, warned = _write_table(folder, table, labels)
    folder.remove()
    return BatchReport(len(plan.images), failed, warned, time.monotonic() - started, analyzed)


def _write_table(folder: PartsFolder, table: Path, labels: Sequence[str]) -> tuple[int, int]:
    """Write the table of all shards and return the numbers of images with an error and with a warning."""
    failed = warned = 0
    if table.suffix.lower() == ".jsonl":
        with atomic_write(table) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            for line in folder.lines():
                values = json.loads(line)
                failed += values["error"] is not None
                warned += bool(values.get("warnings"))
                file.write(line)
        return failed, warned
    opened: AbstractContextManager[Writer] = (open_csv if table.suffix.lower() == ".csv" else open_parquet)(
        table, labels
    )
    with opened as writer:
        for line in folder.lines():
            result = from_dict(json.loads(line))
            failed += result.error is not None
            warned += bool(result.warnings)
            writer.write(result)
    return failed, warned
