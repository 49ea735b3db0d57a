"""``mien doctor``: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from mien.apps.cli.options import SOME_FAILED, console

if TYPE_CHECKING:
    from mien.models.store import ModelStore


MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check this installation, each fault with its fix; exits with 1 if something is broken."""
    from rich.table import Table
    from rich.text import Text

    from mien.apps.doctor import checks
    from mien.models.store import ModelStore

    store = ModelStore()
    shown = Table("", "what", "found", "fix", box=None, pad_edge=False)
    broken = False
    for finding in checks(store, lambda: milliseconds_a_crop(store)):
        broken |= finding.state == "fail"
        word, colour = MARKS[finding.state]
        shown.add_row(Text(word, style=colour), Text(finding.topic), Text(finding.detail), Text(finding.fix))
    console().print(shown)
    if broken:
        raise typer.Exit(SOME_FAILED)


def milliseconds_a_crop(store: ModelStore, runs: int = 20) -> float:
    """The median time that the shipped classifier takes for one face crop.

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
