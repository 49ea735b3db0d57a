"""``mien export``: the model file of a run, in float32 or int8."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.detector_run import load_detector_run, read_halves, write_detector
from mien.apps.cli.options import progress, say
from mien.errors import UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.models.card import ModelCard
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Source

    Splits = tuple[Dataset, Dataset]

TOLD = ("accuracy", "macro_f1", "ece")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("export")(export)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A directory that mien train wrote.")],
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="What the run was taught; by default where it was read then.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Write model.int8.onnx beside model.onnx, if that loses little and is faster."),
    ] = False,
) -> None:
    """Make the model file of a run again, from its best weights; or its int8 form, from the model file."""
    from mien.training.config import read
    from mien.training.run.directory import CONFIG, MODEL

    config = read(run / CONFIG)
    if config.network == FACE_DETECTOR:
        if int8:
            raise UsageError("expected a network that names expressions with --int8; received the face detector")
        write_detector(run, load_detector_run(run), read_halves(source_of(run, data)), config)
        return
    splits = read_splits(source_of(run, data), config)
    if not (int8 and (run / MODEL).is_file()):
        write_model(run, _best(run, splits, config), splits, config)
    if int8:
        _write_int8(run, splits)


def read_splits(source: Source, config: TrainingConfig) -> Splits:
    """What is learnt from, and what choices are made on; rows that can't be read are told of."""
    from mien.training.splits import splits_of

    data = read_data(Path(source.data))
    with progress("looking for copies", quiet=not source.fold) as tell:
        return splits_of(data, source, config, tell)


def read_data(path: Path) -> Dataset:
    """All of a data set; rows that can't be read are told of."""
    from mien.data import load

    data = load(path)
    if data.rejected:
        first = data.rejected[0]
        say(f"{len(data.rejected)} rows can't be read and are left out; the first: {first.place}: {first.reason}")
    return data


def write_model(run: Path, model: Any, splits: Splits, config: TrainingConfig) -> None:
    """Writes the model file of a Keras network into its run directory."""
    from mien.training.export.classifier import export_classifier
    from mien.training.run.directory import MODEL

    _tell(export_classifier(model, *splits, config, run / MODEL), run / MODEL)


def _write_int8(run: Path, splits: Splits) -> None:
    from mien.models.store import ModelStore
    from mien.training.export.quantization import INT8, export_int8
    from mien.training.run.directory import MODEL

    card, trial = export_int8(ModelStore().load(run / MODEL), *splits, run / INT8)
    say(f"int8 beside float32: {trial}")
    _tell(card, run / INT8)


def source_of(run: Path, data: Path | None) -> Source:
    """Where the run's data is: as it was read when the run began, but for another place that the user names."""
    from mien.training.run.directory import RUN_INFO, Source, read_run_info

    source = read_run_info(run).source if (run / RUN_INFO).is_file() else Source()
    if data is None and not source.data:
        raise UsageError(f"expected --data: {run} does not tell where its data was read")
    if data is None and not Path(source.data).exists():
        raise UsageError(f"expected the data at {source.data}, where the run read it; there is none: give --data")
    return source if data is None else dataclasses.replace(source, data=str(data))


def _best(run: Path, splits: Splits, config: TrainingConfig) -> Any:
    """The network with the run's best weights."""
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training.engine.best import best_network
    from mien.training.engine.compilation import shape_of

    return best_network(run, shape_of(splits[0], config), config.network)


def _tell(card: ModelCard, path: Path) -> None:
    for score in card.scores:
        if score.metric in TOLD:
            say(f"{score.split} {score.head}: {score.metric} {score.value:.4f} of {score.count}")
    say(f"written: {path}")
