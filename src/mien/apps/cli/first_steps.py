"""``mien demo`` and ``mien doctor``: see that everything works, and a fix for what does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.drawings import Drawings
from mien.apps.cli.file_reader import analyze_image, print_table
from mien.apps.cli.options import OUTPUT, SOME_FAILED, console, examples, say
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.models.store import ModelStore
PORTRAIT = Path(__file__).parents[1] / "portrait.jpg"
"""Eileen Collins, NASA 1999, public domain; a smaller copy of scikit-image's."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("doctor", epilog=examples("mien doctor"))(doctor)
    app.command("demo", epilog=examples("mien demo", "mien demo --out shown", "mien predict demo/portrait.jpg --json"))(
        demo
    )


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", rich_help_panel=OUTPUT, help="Folder for the annotated image.")
    ] = Path("demo"),
) -> None:
    """Analyze a portrait that comes with mien, and write it with the face annotated."""
    from mien.recognizer import Recognizer

    result = analyze_image(Recognizer.load(), PORTRAIT, [Drawings(out, [PORTRAIT], option="--out")])
    print_table([result])
    if not result.predictions:
        raise MienError(f"expected a face in {PORTRAIT}; found none: see 'mien doctor'")
    say(f"written: {out / PORTRAIT.name}; next: mien predict with a photo of your own")


MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def doctor() -> None:
    """Check this installation and print a fix for each problem; exit with 1 if something is broken."""
    from rich.table import Table
    from rich.text import Text

    from mien.apps.doctor import checks
    from mien.models.store import ModelStore

    store = ModelStore()
    shown = Table("", "check", "result", "fix", box=None, pad_edge=False)
    broken = False
    for check in checks(store, lambda: milliseconds_per_crop(store)):
        broken |= check.state == "fail"
        mark, colour = MARKS[check.state]
        shown.add_row(Text(mark, style=colour), Text(check.topic), Text(check.detail), Text(check.fix))
    console().print(shown)
    if broken:
        raise typer.Exit(SOME_FAILED)


def milliseconds_per_crop(store: ModelStore, runs: int = 20) -> float:
    """Median latency of the shipped classifier for one face crop.

    Raises:
        ModelError: the model is missing or changed.
    """
    import numpy as np

    from mien.classification.classifier import Classifier
    from mien.recognizer import DEFAULT_MODEL

    classifier = Classifier(store.load(DEFAULT_MODEL))
    card = classifier.card
    crop = np.random.default_rng(0).integers(0, 256, (1, card.size, card.size, card.channels), np.uint8)
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        classifier.predict(crop)
        times.append(time.perf_counter() - started)
    return 1000.0 * sorted(times[1:])[runs // 2]
