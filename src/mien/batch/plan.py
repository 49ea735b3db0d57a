"""What a run over many images is to do, and what of it is done: a folder beside the table that will come of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.media.files import TEMPORARY, write_text
from mien.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = "plan.json"
PARTS = ".parts"
LEAST, MOST = 4, 64
"""Images of a shard: at most seconds of work, which is what a kill costs each process."""

SHARDS = 32
"""Of a run, as long as they stay that small: so that no process is left without work long before the end."""


@dataclass(frozen=True)
class Reader:
    """What reads the images; two runs with the same one say the same.

    Attributes:
        model: a model's name or path.
        seal: SHA-256 of the files that read.
        detector: a detector's name or path.
        labels: "fused", or the name of a head.
        version: of mien.
    """

    model: str
    seal: str
    detector: str
    labels: str
    version: str

    @classmethod
    def of(cls, model: str, detector: str, head: str) -> Reader:
        """What reads with these names on this machine.

        Raises:
            ModelError: a model is missing or changed.
        """
        from mien import __version__

        store = ModelStore()
        files: list[str | Path] = [model, *([Path(detector)] if detector.lower().endswith(".onnx") else [])]
        seal = hashlib.sha256(b"".join(map(store.load, files))).hexdigest()
        return cls(model, seal, detector, head, __version__)


@dataclass(frozen=True)
class Plan:
    """The images of a run in their order, and what reads them.

    Attributes:
        reader: what reads them.
        images: paths as they will stand in the table.
        shard: images that are read and written in one go; 0: as many as fit their number.
    """

    reader: Reader
    images: tuple[str, ...]
    shard: int = 0

    def __post_init__(self) -> None:
        if self.shard < 0 or not self.images:
            raise UsageError(f"expected images to read; received {len(self.images)}, in shards of {self.shard}")
        fitting = min(max(len(self.images) // SHARDS, LEAST), MOST)
        object.__setattr__(self, "shard", self.shard or fitting)

    @property
    def shards(self) -> range:
        """The numbers of the shards."""
        return range(-(-len(self.images) // self.shard))

    def images_of(self, shard: int) -> tuple[str, ...]:
        """The images of a shard."""
        return self.images[shard * self.shard : (shard + 1) * self.shard]


class Folder:
    """The folder of a run: ``plan.json``, and a file of JSON Lines for each shard that is done.

    Args:
        table: the file that will come of the run; the folder has its name and ``.parts``.
        plan: what is to be done.

    Raises:
        UsageError: a run with another plan was begun there.
    """

    def __init__(self, table: Path, plan: Plan) -> None:
        self.path = table.with_name(table.name + PARTS)
        self.plan = plan
        self.path.mkdir(parents=True, exist_ok=True)
        for torn in self.path.glob(f"{TEMPORARY}*"):
            torn.unlink(missing_ok=True)
        told = json.dumps(dataclasses.asdict(plan))
        listing = self.path / PLAN
        if not listing.exists():
            write_text(listing, told)
        elif listing.read_text(encoding="utf-8") != told:
            raise UsageError(
                f"expected to go on with the run begun in {self.path}; received other images, another model, or "
                "another mien. Finish it with the command that began it, remove the folder, or choose another --out"
            )

    def part(self, shard: int) -> Path:
        """The file of a shard."""
        return self.path / f"{shard:07}.jsonl"

    def put(self, shard: int, lines: str) -> None:
        """Writes the file of a shard, whole."""
        write_text(self.part(shard), lines)

    def missing(self) -> list[int]:
        """The shards that are not done."""
        return [shard for shard in self.plan.shards if not self.part(shard).is_file()]

    def lines(self) -> Iterator[str]:
        """The lines of all shards, in order."""
        for shard in self.plan.shards:
            with self.part(shard).open(encoding="utf-8") as lines:
                yield from lines

    def remove(self) -> None:
        """Removes the folder, when the table is there: the plan last, so that a rest of it is known."""
        for shard in self.plan.shards:
            self.part(shard).unlink(missing_ok=True)
        (self.path / PLAN).unlink(missing_ok=True)
        self.path.rmdir()
