"""``mien soft-labels``: what runs say of the rows that they left out, as a file that ``mien train`` learns from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.export import read_data, source_of
from mien.apps.cli.options import progress, say

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.training.config import TrainingConfig


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("soft-labels")(soft_labels)


def soft_labels(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Runs of mien train --fold K/N: at least one of each fold.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="The file to write, .npz.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="What the runs were taught; by default where it was read then.")
    ] = None,
    views: Annotated[int, typer.Option("--views", min=1, help="Changed copies of each image that are averaged.")] = 8,
) -> None:
    """Let runs that each left a fold out label the rows of that fold: soft labels for mien train --soft-labels.

    No network labels what it learnt from. Several runs of one fold are averaged.
    """
    from mien.training import prepare_backend
    from mien.training.run.directory import read_run

    records = [read_run(run) for run in runs]
    source = source_of(runs[0], data)
    prepare_backend()
    from mien.training.distillation.cross_fitting import cross_fitted_soft_labels, folds_of

    folds_of(records)  # what is missing is told before the data is read
    loaded = read_data(Path(source.data))
    with progress("looking at the rows left out") as tell:
        soft, scores = cross_fitted_soft_labels(records, loaded, views, tell)
    soft.save(out)
    for score in scores:
        say(
            f"{score.head}: {score.accuracy:.1%} of the soft labels agree with the data's own; "
            f"mean NLL of those {score.nll:.4f}"
        )
    say(f"written: {out}, {len(soft.keys):,} images. Learn from it: mien train --soft-labels {out}")


def told_fitting(config: TrainingConfig, training: Dataset) -> TrainingConfig:
    """The config as it fits the data; people are told where soft labels that it came with are left aside."""
    from mien.training.distillation.soft_labels import without_foreign_soft_labels

    fit = without_foreign_soft_labels(config, training)
    if fit != config:
        say(f"the soft labels {config.soft_labels} are of other images than {training.name}, so they are left aside")
    return fit
