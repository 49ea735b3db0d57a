"""The plan of a batch run and its state on disk: a folder next to the table that the run writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.media.files import TEMPORARY, write_text
from mien.models.store import ModelStore
from mien.outputs import from_dict
from mien.workers import WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN_FILE, LOCK_FILE = "plan.json", "lock"
PARTS_SUFFIX = ".parts"
MIN_SHARD_IMAGES, MAX_SHARD_IMAGES = 4, 64
"""Images per shard: a few seconds of work at most, which each process loses when it is killed."""

SHARDS_PER_RUN = 32
"""Target number of shards, within those sizes: enough to keep all processes busy until shortly before the end."""


@dataclass(frozen=True)
class Pipeline:
    """The models that a run uses; equal pipelines give equal results.

    Attributes:
        model: a model's name or path.
        seal: SHA-256 of the model files.
        detector: a detector's name or path.
        head: "fused", or the name of an output head.
        version: of mien.
    """

    model: str
    seal: str
    detector: str
    head: str
    version: str

    @classmethod
    def of(cls, model: str, detector: str, head: str) -> Pipeline:
        """Create the pipeline that these names refer to on this machine.

        Raises:
            ModelError: a model is missing or changed.
        """
        from mien import __version__

        store = ModelStore()
        files: list[str | Path] = [model, *([Path(detector)] if detector.lower().endswith(".onnx") else [])]
        seal = hashlib.sha256(b"".join(map(store.load, files))).hexdigest()
        return cls(model, seal, detector, head, __version__)

    @property
    def worker(self) -> WorkerSpec:
        """The models and settings that a worker process loads."""
        return WorkerSpec(self.model, self.detector)


@dataclass(frozen=True)
class Plan:
    """The images of a run in their order, and the pipeline that analyzes them.

    Attributes:
        pipeline: model, detector and output head.
        images: references as they appear in the table, see ``mien.batch.image_references``.
        shard_size: images that are analyzed and written together; 0: chosen by their number.
    """

    pipeline: Pipeline
    images: tuple[str, ...]
    shard_size: int = 0

    def __post_init__(self) -> None:
        if self.shard_size < 0 or not self.images:
            raise UsageError(f"expected images to read; received {len(self.images)}, in shards of {self.shard_size}")
        default = min(max(len(self.images) // SHARDS_PER_RUN, MIN_SHARD_IMAGES), MAX_SHARD_IMAGES)
        object.__setattr__(self, "shard_size", self.shard_size or default)

    @property
    def shards(self) -> range:
        """The numbers of the shards."""
        return range(-(-len(self.images) // self.shard_size))

    def images_of(self, shard: int) -> tuple[str, ...]:
        """The images of a shard."""
        return self.images[shard * self.shard_size : (shard + 1) * self.shard_size]


def parts_folder(table: Path) -> Path:
    """The folder of the run that writes a table."""
    return table.with_name(table.name + PARTS_SUFFIX)


@contextmanager
def only_run(table: Path) -> Iterator[None]:
    """Hold the folder of a table's run for this process; the system frees it when the process dies, however it dies.

    At the end the folder is removed, unless it holds the plan of a run that is not finished.

    Raises:
        UsageError: another process writes the same table.
    """
    from filelock import FileLock, Timeout

    folder = parts_folder(table)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"expected one run at a time for a table; another process is writing {table}. Wait for it, or choose "
            "another --out"
        ) from error
    try:
        yield
    finally:
        if not (folder / PLAN_FILE).exists():
            with suppress(OSError):  # Windows removes the file with the lock
                (folder / LOCK_FILE).unlink()
        lock.release()
        with suppress(OSError):  # it may hold files of others
            folder.rmdir()


class PartsFolder:
    """The folder of a run: ``plan.json``, and a file of JSON Lines for each finished shard.

    Its files are changed by one process at a time, see ``only_run``.

    Args:
        table: the file that the run writes; the folder is named after it, with ``.parts`` appended.
        plan: of the run.

    Raises:
        UsageError: the folder belongs to a run with another plan, or its plan is damaged.
    """

    def __init__(self, table: Path, plan: Plan) -> None:
        self.path = parts_folder(table)
        self.plan = plan
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(f"{TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        content = json.dumps(dataclasses.asdict(plan))
        file = self.path / PLAN_FILE
        if not file.exists():
            write_text(file, content)
        elif (found := file.read_bytes()) != content.encode():
            if not _is_json_object(found):
                raise UsageError(
                    f"expected the plan of a run in {file}; received a file that is damaged. Remove the folder "
                    f"{self.path}, and its images are analyzed anew"
                )
            raise UsageError(
                f"expected to resume the run in {self.path}; received other images, another model, or another mien. "
                "Finish it with the command that started it, remove the folder, or choose another --out"
            )

    def part(self, shard: int) -> Path:
        """The file of a shard."""
        return self.path / f"{shard:07}.jsonl"

    def write(self, shard: int, lines: str) -> None:
        """Write the file of a shard, whole."""
        write_text(self.part(shard), lines)

    def missing(self) -> list[int]:
        """The shards that are not finished: without a file, or with one whose lines are not those of their images."""
        return [shard for shard in self.plan.shards if not self._is_whole(shard)]

    def _is_whole(self, shard: int) -> bool:
        try:
            *lines, rest = self.part(shard).read_bytes().decode().split("\n")
            sources = tuple(from_dict(json.loads(line)).source for line in lines)
        except (OSError, ValueError, ArithmeticError, RecursionError, UsageError):
            return False
        return not rest and sources == self.plan.images_of(shard)

    def lines(self) -> Iterator[str]:
        """The lines of all shards, in order."""
        for shard in self.plan.shards:
            with self.part(shard).open(encoding="utf-8") as lines:
                yield from lines

    def remove(self) -> None:
        """Remove all files once the table is written; the plan goes last, so that leftovers are recognized."""
        for shard in self.plan.shards:
            self.part(shard).unlink(missing_ok=True)
        (self.path / PLAN_FILE).unlink(missing_ok=True)


def _is_json_object(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False
