"""The command ``mien``: each command translates its options, calls one room of the house, and prints."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import TYPE_CHECKING

import typer

from mien.apps.cli import (
    bench,
    data,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    live,
    models,
    predict,
    runs,
    serve,
    soft_labels,
    train,
)
from mien.apps.cli.old_options import with_new_names
from mien.apps.cli.options import INTERRUPTED, WRONG_USAGE, say
from mien.errors import MienError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="mien",
    help=(
        "Reads the expression that each face in an image shows, and says how sure that is. Nothing leaves the machine."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (predict, explain, live, serve, demo, train, soft_labels, export, evaluate, runs, doctor):
    command.register(app)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")


@app.callback(invoke_without_command=True)
def _version(*, version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from mien import __version__

        sys.stdout.write(f"mien {__version__}\n")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 some inputs failed, 2 wrong usage, 130 interrupted.

    Where a reader of stdout goes away before the end (``mien predict ... | head``), that is 1.

    Args:
        arguments: what follows the command's name; None takes it from the process.
    """
    # NumPy's products are small here: a second thread of theirs takes a core only to wait for the first
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # JSON is UTF-8, whatever the terminal speaks
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    words, notes = with_new_names(sys.argv[1:] if arguments is None else arguments)
    for note in notes:
        say(f"mien: {note}; the old name goes with the next release")
    try:
        app(words, prog_name="mien")  # typer itself tells of wrong usage and closed pipes, and leaves
    except SystemExit as left:
        if left.code == INTERRUPTED:
            say("mien: interrupted; what was finished is there")
        raise
    except MienError as error:
        say(f"mien: {error}")
        sys.exit(WRONG_USAGE)
    except OSError as error:  # what can't be read is an error of mien's already: this is of what was to be written
        place = error.filename or "the results"
        say(f"mien: can't write {place}: {error.strerror}. Check the name, the rights and the disk, or name another")
        sys.exit(WRONG_USAGE)
