"""``mien doctor``: what is installed, what is missing, and the command that fixes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from mien.apps.cli.options import SOME_FAILED, console, examples

if TYPE_CHECKING:
    from mien.models.store import ModelStore


MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=examples("mien doctor"))(doctor)


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
