"""Shared by several commands: options and their groups on the help page, exit codes, progress and messages."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import ModelError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from mien.data import Dataset
    from mien.data.scenes import Scenes

SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes other than 0."""

SIGNALLED = 128
"""Base of the exit code of a process that a signal ended: the signal's number is added."""

UNBOUNDED_WIDTH = 200
"""Columns of a table that goes to a file or pipe."""

INPUT, MODEL, OUTPUT, VIDEO, BATCH = "Input", "Model", "Output", "Video", "Batch"
"""Groups of options on help pages, for ``rich_help_panel``."""

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        rich_help_panel=MODEL,
        help="Name of a model (see: mien models list), an .onnx file, or a run directory.",
    ),
]
DetectorOption = Annotated[
    str,
    typer.Option(
        "--detector",
        "-d",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="Face detector: auto, yunet, haar, whole (each image is a face), or an .onnx from mien train.",
    ),
]
HeadOption = Annotated[
    str,
    typer.Option(
        "--head",
        metavar="NAME",
        rich_help_panel=MODEL,
        help="Output head of the model: fused, fer2013 or ferplus.",
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="PATH",
        rich_help_panel=INPUT,
        help="A folder with fer2013.csv (.gz, .xz, .zip), the csv itself, or a folder with a subfolder per class.",
    ),
]
AvatarOption = Annotated[
    str,
    typer.Option(
        "--avatar",
        metavar="KIND",
        rich_help_panel=OUTPUT,
        help="drawn, emoji, or a folder with happy.png and so on.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print JSON on stdout.")]


def examples(*commands: str) -> str:
    """The epilog of a command: lines to copy, a block of code where the help becomes Markdown.

    Args:
        commands: whole lines, ``"mien predict photo.jpg"``; two spaces and ``# comment`` may follow.
    """
    return "\n".join(["Examples:", "", *(f"    {command}" for command in commands)])


def model_named(model: str) -> str:
    """Resolve a ``--model`` option: a run directory stands for the model.onnx in it, unless it is a model's name.

    Raises:
        ModelError: the run has no model.onnx, or not yet.
    """
    run = Path(model)
    if not run.is_dir():
        return model
    from mien.models.store import ModelStore

    if model in {entry.name for entry in ModelStore().entries()}:
        return model
    if not (run / "model.onnx").is_file():
        raise ModelError(
            f"expected a model's name, an .onnx file, or a run directory; received the folder {run}, which has no "
            f"model.onnx: a run has one when it is done. Go on with: mien train --out {run} --resume"
        )
    return str(run / "model.onnx")


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr, updated with the completed share.

    Nothing is shown where stderr is no terminal, or where ``quiet``.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    # rich would redirect what is printed meanwhile to the bar's own stream: results belong on stdout
    with Progress(console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(escape(printable(title, keep="")), total=1.0)
        yield lambda share: bar.update(task, completed=share)


def console() -> Console:
    """The terminal at stdout, for tables; text is taken literally. A file or pipe gets wide tables."""
    from rich.console import Console

    terminal = Console(markup=False, emoji=False, highlight=False)
    if terminal.is_terminal:
        return terminal
    return Console(markup=False, emoji=False, highlight=False, width=UNBOUNDED_WIDTH)


def say(message: str) -> None:
    """Print a line for people on stderr; a stderr that is closed stops no run."""
    with suppress(OSError):
        sys.stderr.write(printable(message) + "\n")
        sys.stderr.flush()


def write_failure(error: OSError) -> str:
    """The message for an output that can't be written; many an OSError has no file name, some no reason."""
    place = error.filename or "the results"
    reason = error.strerror or str(error) or type(error).__name__
    return f"can't write {place}: {reason}. Check the name, the permissions and the disk, or choose another file"


def say_notes(data: Dataset | Scenes) -> None:
    """Print the notes on how a data set was read."""
    for note in data.notes:
        say(f"{data.name}: {note}")
