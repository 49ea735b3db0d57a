"""``mien soft-labels``: cross-fitted predictions of several runs, as targets for distillation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.export import read_data, source_of
from mien.apps.cli.options import examples, progress, say

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.training.config import TrainingConfig


EXAMPLES = examples(
    "mien soft-labels runs/t0 runs/t1 --out soft.npz",
    "mien soft-labels runs/t0 runs/t1 --out soft.npz --views 1",
    "mien train --data fer2013.csv --soft-labels soft.npz --out runs/student",
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("soft-labels", epilog=EXAMPLES)(soft_labels)


def soft_labels(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Runs of mien train --fold K/N, at least one per fold.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .npz file to write.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="Training data of the runs [where the runs read it].")
    ] = None,
    views: Annotated[
        int, typer.Option("--views", metavar="N", min=1, help="Test-time augmentation: views averaged per image.")
    ] = 8,
) -> None:
    """Compute soft labels for distillation by cross-fitting: each run labels the fold that it did not train on.

    No network labels its own training rows. Several runs of one fold are averaged.
    """
    from mien.training import prepare_backend
    from mien.training.run.directory import read_run

    records = [read_run(run) for run in runs]
    source = source_of(runs[0], data)
    prepare_backend()
    from mien.training.distillation.cross_fitting import cross_fitted_soft_labels, folds_of

    folds_of(records)  # reports missing folds before the data is read
    loaded = read_data(Path(source.data))
    with progress("predicting the excluded folds") as on_progress:
        soft, scores = cross_fitted_soft_labels(records, loaded, views, on_progress)
    soft.save(out)
    for score in scores:
        say(
            f"{score.head}: {score.accuracy:.1%} of the soft labels agree with the data's own labels; "
            f"mean NLL {score.nll:.4f}"
        )
    say(f"written: {out}, {len(soft.keys):,} images. Train on it: mien train --soft-labels {out}")


def without_foreign_labels(config: TrainingConfig, training: Dataset) -> TrainingConfig:
    """The config for a data set: soft labels of other images are dropped, with a message."""
    from mien.training.distillation.soft_labels import without_foreign_soft_labels

    fit = without_foreign_soft_labels(config, training)
    if fit != config:
        say(f"the soft labels {config.soft_labels} are not used: they belong to other images than {training.name}")
    return fit
