"""What several commands share: options and what they mean, exit codes, and how people are told."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes besides 0."""

SIGNALLED = 128
"""What the number of a signal is added to in the exit code of what it ended."""

WIDE = 200
"""Columns of a table that no terminal bounds."""

ModelOption = Annotated[
    str,
    typer.Option("--model", "-m", help="A model's name (see: mien models list), an .onnx file, or a run directory."),
]
DetectorOption = Annotated[
    str,
    typer.Option(
        "--detector", "-d", help="auto, yunet, haar, whole (each image is a face), or an .onnx that you taught."
    ),
]
HeadOption = Annotated[str, typer.Option("--head", help="Output head of the model: fused, fer2013 or ferplus.")]
DataOption = Annotated[
    Path, typer.Option("--data", help="A folder with fer2013.csv (.gz, .xz, .zip), the csv itself, or class folders.")
]
AvatarOption = Annotated[str, typer.Option("--avatar", help="drawn, emoji, or a folder with happy.png and so on.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def examples(*commands: str) -> str:
    """The epilog of a command: lines to copy, kept as they stand.

    Args:
        commands: whole lines, ``"mien predict photo.jpg"``; two spaces and ``# comment`` may follow.
    """
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def model_named(model: str) -> str:
    """The model that an option means: a run directory stands for the model.onnx in it, unless it is a model's name.

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
def progress(words: str, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, told the share that is done; none where stderr is no terminal, or where ``quiet``."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    # rich would lead what is printed meanwhile to the bar's own stream: results belong on stdout
    with Progress(console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(words, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def console() -> Console:
    """The terminal at stdout, for tables; text in them is taken literally. A file or pipe gets wide ones."""
    from rich.console import Console

    shown = Console(markup=False, emoji=False, highlight=False)
    return shown if shown.is_terminal else Console(markup=False, emoji=False, highlight=False, width=WIDE)


def say(words: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(printable(words) + "\n")
    sys.stderr.flush()


def printable(words: str) -> str:
    """The words without what could steer a terminal; lines stay lines."""
    return "".join(
        sign if sign.isprintable() or sign == "\n" else sign.encode("unicode_escape").decode() for sign in words
    )
