"""Options that several commands share, and what they mean."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="A model's name (see: mien models list), an .onnx file, or a run directory.")
]
DetectorOption = Annotated[
    str, typer.Option("--detector", "-d", help="auto, yunet, haar, or whole (each picture is a face).")
]
LabelsOption = Annotated[str, typer.Option("--labels", help="answer (what users are told), fer2013, or ferplus.")]
DataOption = Annotated[
    Path, typer.Option("--data", help="A folder with fer2013.csv (.gz, .xz, .zip), the csv itself, or class folders.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def model_named(model: str) -> str:
    """The model that an option means: a run directory stands for the model.onnx in it."""
    run = Path(model)
    return str(run / "model.onnx") if run.is_dir() else model


@contextmanager
def progress(words: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, told the share that is done; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(words, total=1.0)
        yield lambda share: bar.update(task, completed=share)
