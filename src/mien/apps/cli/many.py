"""``mien predict --out``: many images into one table, by a pool of processes, in shards that survive a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mien.apps.cli.options import progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Choice(NamedTuple):
    """What reads the images: names or paths of a model and a detector, and a label set; and by what engine."""

    model: str
    detector: str
    labels: str
    engine: str


def read_many(sources: Sequence[Path], choice: Choice, out: Path, processes: int | None) -> bool:
    """Reads images into a table; whether some could not be read."""
    from mien.batch import Pipeline, Plan, image_references, run_batch
    from mien.recognizer import Recognizer

    names = choice.model, choice.detector, choice.labels
    labels = Recognizer.load(*names).labels  # so that what is wrong with it is said once, here
    plan = Plan(Pipeline.of(*names), tuple(image_references(sources)))
    with progress("reading faces") as tell:
        report = run_batch(plan, out, labels, processes, lambda done, all_: tell(done / all_), choice.engine)
    before = report.images - report.analyzed
    words = f"{report.analyzed} images in {report.seconds:.0f} s, {report.images_per_second:.0f} a second"
    say(words + (f"; {before} were read before" if before else "") + f"; written: {out}")
    if report.failed:
        say(f"{report.failed} could not be read: their rows say why, in the column error")
    return bool(report.failed)
