"""``mien train`` and ``mien export``: from a data set to a model file that every other command takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import DataOption, progress, say
from mien.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.datasets import Dataset
    from mien.training.recipe import Recipe

DEFAULT_NETWORK = "compact"

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A directory that mien train wrote.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("train")(train)
    app.command("export")(export)


def train(
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", help="The run directory: recipe, history, weights, model.onnx.")],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="A recipe as TOML; by default the network's own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A network of the zoo: compact, nano, two-conv.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the training split.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Pictures a step.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same run.")] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32, mixed_bfloat16 or mixed_float16.")
    ] = None,
) -> None:
    """Teach a network from a data set and export it as a model file."""
    from mien.training import prepare_backend
    from mien.training.recipe import read, recipe_for

    chosen = read(recipe) if recipe else recipe_for(model or DEFAULT_NETWORK)
    options = {"network": model, "epochs": epochs, "batch": batch, "seed": seed, "precision": precision}
    chosen = _with(chosen, {name: value for name, value in options.items() if value is not None})
    prepare_backend()
    from mien.training.fit import fit

    training, validation = _splits(data, chosen)
    with progress("epoch") as tell:
        done = fit(training, validation, chosen, out, _told(tell, chosen))
    _export(out, done.model, (training, validation), chosen)


def export(run: RunArgument, data: DataOption) -> None:
    """Make the model file of a run again, from its best weights."""
    from mien.training import prepare_backend
    from mien.training.recipe import read

    chosen = read(run / "recipe.toml")
    prepare_backend()
    from mien.training.fit import BEST, load, shape_of

    training, validation = _splits(data, chosen)
    try:
        best = load(run / BEST, shape_of(training, chosen), chosen.network)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of {chosen.network!r} that fit the data at {run / BEST}; received none, or others "
            f"({error}). Give the run, and the data that it was taught on"
        ) from error
    _export(run, best, (training, validation), chosen)


def _export(run: Path, model: Any, data: tuple[Dataset, Dataset], recipe: Recipe) -> None:
    """Writes the model file of a Keras network; ``data``: what was learnt from, and what choices were made on."""
    from mien.training.export import export as export_model

    card = export_model(model, *data, recipe, run / "model.onnx")
    for score in card.scores:
        if score.metric in ("accuracy", "macro_f1", "ece"):
            say(f"{score.split} {score.head}: {score.metric} {score.value:.4f} of {score.count}")
    say(f"written: {run / 'model.onnx'}")


def _splits(path: Path, recipe: Recipe) -> tuple[Dataset, Dataset]:
    from mien.datasets import load
    from mien.datasets.dataset import training_and_validation

    data = load(path)
    if data.rejected:
        first = data.rejected[0]
        say(f"{len(data.rejected)} rows can't be read and are left out; the first: {first.place}: {first.reason}")
    return training_and_validation(data, recipe.seed)


def _with(recipe: Recipe, choices: dict[str, object]) -> Recipe:
    """The recipe with other choices; phases that a short run has no room for shrink with it."""
    epochs = choices.get("epochs", recipe.epochs)
    if not isinstance(epochs, int) or epochs < 1:
        raise UsageError(f"expected at least 1 epoch; received {epochs}")
    gentle, warmup = min(recipe.gentle_epochs, epochs // 5), min(recipe.warmup_epochs, epochs / 5)
    return dataclasses.replace(recipe, gentle_epochs=gentle, warmup_epochs=warmup, **choices)  # type: ignore[arg-type]  # the options are typed by typer


def _told(tell: Callable[[float], None], recipe: Recipe) -> Callable[[object], None]:
    def told(news: object) -> None:
        from mien.training.fit import Epoch

        if isinstance(news, float):
            tell(news)
        elif isinstance(news, Epoch):
            scores = ", ".join(f"{score.head} {score.accuracy:.4f}" for score in news.scores)
            say(
                f"epoch {news.number}/{recipe.epochs}: loss {news.loss:.4f}, {scores}, "
                f"{news.pictures_a_second:.0f} pictures/s, {news.seconds:.0f} s"
            )

    return told
