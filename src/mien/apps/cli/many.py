"""``mien predict --out``: many pictures into one table, by a pool of processes, in shards that survive a kill."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mien.apps.cli.options import progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence


class Choice(NamedTuple):
    """What reads the pictures: names or paths of a model and a detector, and a label set."""

    model: str
    detector: str
    labels: str


def read_many(pictures: Sequence[Path], choice: Choice, out: Path, processes: int | None) -> bool:
    """Reads pictures into a table; whether some could not be read."""
    from mien import __version__
    from mien.recognizer import Recognizer
    from mien.scale import Plan, Reader, read_all

    recognizer = Recognizer.load(*choice)  # so that what is wrong with it is said once, here
    reader = Reader(choice.model, _seal(choice), *choice[1:], __version__)
    plan = Plan(reader, tuple(map(str, pictures)))
    with progress("reading faces") as tell:
        report = read_all(plan, out, recognizer.labels, processes, lambda done, all_: tell(done / all_))
    before = report.pictures - report.read
    words = f"{report.read} pictures in {report.seconds:.0f} s, {report.rate:.0f} a second"
    say(words + (f"; {before} were read before" if before else "") + f"; written: {out}")
    if report.failed:
        say(f"{report.failed} could not be read: their rows say why, in the column error")
    return bool(report.failed)


def _seal(choice: Choice) -> str:
    """The SHA-256 of the files that read: the model's, and a detector's that is no name."""
    from mien.model_store import ModelStore

    store = ModelStore()
    named: list[str | Path] = [choice.model]
    if choice.detector.lower().endswith(".onnx"):
        named.append(Path(choice.detector))
    return hashlib.sha256(b"".join(store.load(each) for each in named)).hexdigest()
