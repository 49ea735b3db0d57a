"""``mien train --search``: runs with other choices, and what comes of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import typer

from mien.apps.cli.export import read_splits, write_model
from mien.apps.cli.options import SIGNALLED, console, say
from mien.apps.cli.soft_labels import told_fitting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.table import Table

    from mien.training.config import TrainingConfig
    from mien.training.engine.fit import Options
    from mien.training.run.progress import TrainEvent
    from mien.training.search.trials import Search


def search_configs(out: Path, config: TrainingConfig, count: int, options: Options) -> None:
    """Searches for a better config, shows the trials on stdout, and writes the model file of the best.

    Args:
        out: the directory of the search.
        config: where it begins.
        count: trials in all.
        options: of each run, with the source of the data.
    """
    from mien.apps.cli.training_progress import told_to_people
    from mien.training.engine.fit import BEST, Interrupted, load, shape_of
    from mien.training.run.directory import is_run
    from mien.training.search.trials import BEST_CONFIG, search
    from mien.training.transfer.fine_tuning import train as train_one

    training, validation = splits = read_splits(options.source, config)
    config = told_fitting(config, training)

    def train(config: TrainingConfig, run: Path, tell: Callable[[TrainEvent], None]) -> None:
        train_one(training, validation, config, run, tell, dataclasses.replace(options, resume=is_run(run)))

    try:
        with told_to_people(config.epochs) as tell:
            found = search(config, count, out, train, tell, training.digest)
    except Interrupted as stopped:
        say("the search is saved; the same command goes on with it")
        raise typer.Exit(SIGNALLED + stopped.number) from stopped
    console().print(table(found))
    for name, share in found.importances():
        say(f"importance of {name}: {share:.0%}")
    best, run = found.best.choices.applied(config), out / found.best.directory
    write_model(run, load(run / BEST, shape_of(training, best), best.network), splits, best)
    say(f"the best config: {out / BEST_CONFIG}")


def table(found: Search) -> Table:
    """The trials, best first."""
    from rich.table import Table

    from mien.training.search.space import space

    names = list(space(found.config))
    heads = ("trial", "merit", "epochs", *(name.replace("_", " ") for name in names), "state")
    shown = Table(*heads, box=None, pad_edge=False)
    for trial in sorted(found.trials, key=lambda trial: -trial.validation_score):
        varied = (f"{getattr(trial.choices, name):.3g}" for name in names)
        shown.add_row(
            str(trial.number), f"{trial.validation_score:.4f}", str(len(trial.validation_scores)), *varied, trial.state
        )
    return shown
