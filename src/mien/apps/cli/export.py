"""``mien export``: the model file of a run, in float32 or int8; ``mien soft-labels``: labels for distillation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import examples, progress, say, say_notes
from mien.apps.cli.output_guard import KINDS, Output, check_outputs, files_in_folders
from mien.apps.cli.training_output import say_written
from mien.errors import TrainingError, UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.data.scenes import Scenes
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Source

    Splits = tuple[Dataset, Dataset]
EXAMPLES = examples(
    "mien export runs/mine",
    "mien export runs/mine --int8",
    "mien export runs/mine --data faces/fer2013.csv  # the data has moved",
)


SOFT_LABEL_EXAMPLES = examples(
    "mien soft-labels runs/t0 runs/t1 --out soft.npz",
    "mien soft-labels runs/t0 runs/t1 --out soft.npz --views 1",
    "mien train --data fer2013.csv --soft-labels soft.npz --out runs/student",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("export", epilog=EXAMPLES)(export)
    app.command("soft-labels", epilog=SOFT_LABEL_EXAMPLES)(soft_labels)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory of mien train.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Training data of the run [where the run read it]."),
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantize to int8: write model.int8.onnx if it is accurate enough and faster."),
    ] = False,
) -> None:
    """Write the ONNX model file of a run from its best weights, or its int8 quantization.

    The int8 file is made from model.onnx and compared with it; it is only written if it loses little accuracy and
    runs faster on this machine.
    """
    from mien.training.config import read
    from mien.training.run.directory import MODEL, config_file

    config = read(config_file(run))
    if config.network == FACE_DETECTOR:
        if int8:
            raise UsageError("expected an expression classifier with --int8; received the face detector")
        write_detector(run, load_detector_run(run), read_scenes(source_of(run, data)), config)
        return
    splits = read_splits(source_of(run, data), config)
    if not (int8 and (run / MODEL).is_file()):
        write_model(run, _best(run, splits, config), splits, config)
    if int8:
        _write_int8(run, splits)


def source_of(run: Path, data: Path | None) -> Source:
    """The path of a run's data: the one that the run recorded, unless the user gives another."""
    from mien.training.run.directory import RUN_INFO, Source, read_run_info

    source = read_run_info(run).source if (run / RUN_INFO).is_file() else Source()
    if data is None and not source.data:
        raise UsageError(f"expected --data: {run} does not record where its data was read")
    if data is None and not Path(source.data).exists():
        raise UsageError(f"expected the data at {source.data}, where the run read it; there is none: give --data")
    return source if data is None else dataclasses.replace(source, data=str(data))


def read_data(path: Path) -> Dataset:
    """A whole data set; rows that can't be read are reported."""
    from mien.data import load

    data = load(path)
    if data.rejected:
        first = data.rejected[0]
        say(f"{len(data.rejected)} rows can't be read and are skipped; the first: {first.place}: {first.reason}")
    say_notes(data)
    return data


def read_splits(source: Source, config: TrainingConfig) -> Splits:
    """The training and validation split of a classifier; rows that can't be read are reported."""
    from mien.training.splits import splits_of

    data = read_data(Path(source.data))
    with progress("searching duplicates", quiet=not source.fold) as on_progress:
        return splits_of(data, source, config, on_progress)


def read_scenes(source: Source) -> tuple[Scenes, Scenes]:
    """The training and validation split of the face detector: a tenth of the scenes is held out."""
    from mien.data import scenes

    if source.exclude:
        raise UsageError("expected no --exclude for the face detector: remove the images from labels.jsonl")
    found = scenes.read(Path(source.data))
    say_notes(found)
    return found.split()


def write_model(run: Path, model: Any, splits: Splits, config: TrainingConfig) -> None:
    """Write the model file of a classifier into its run directory."""
    from mien.training.export.classifier import export_classifier
    from mien.training.run.directory import MODEL

    say_written(export_classifier(model, *splits, config, run / MODEL), run / MODEL)


def write_detector(run: Path, model: Any, halves: tuple[Scenes, Scenes], config: TrainingConfig) -> None:
    """Write the model file of a face detector into its run directory."""
    from mien.training.run.directory import MODEL
    from mien.training.tasks.detection.export import export_detector

    say_written(export_detector(model, *halves, config, run / MODEL), run / MODEL)


def load_detector_run(run: Path) -> Any:
    """The face detector with the best weights of a run."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training.architectures.detector import face_detector
    from mien.training.run.directory import BEST

    model = face_detector()
    try:
        model.load_weights(run / BEST)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of the face detector at {run / BEST}; received others ({error}). Give the directory "
            "of a run of the face detector"
        ) from error
    return model


def _write_int8(run: Path, splits: Splits) -> None:
    from mien.models.store import ModelStore
    from mien.training.export.quantization import INT8, export_int8
    from mien.training.run.directory import MODEL

    card, trial = export_int8(ModelStore().load(run / MODEL), *splits, run / INT8)
    say(f"int8 compared with float32: {trial}")
    say_written(card, run / INT8)


def _best(run: Path, splits: Splits, config: TrainingConfig) -> Any:
    """The classifier with the best weights of a run."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training.tasks.classification.compilation import best_network, shape_of

    return best_network(run, shape_of(splits[0], config), config.network)


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
    check_outputs([Output("--out", out, KINDS["npz"])], [Path(source.data), *files_in_folders(*runs)])
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
