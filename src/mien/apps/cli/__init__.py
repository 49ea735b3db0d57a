"""The command ``mien``: each command translates its options, calls one package of mien, and prints the results."""

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
    evaluate,
    explain,
    export,
    first_steps,
    live,
    models,
    predict,
    runs,
    serve,
    train,
)
from mien.apps.cli.help import with_help_pages
from mien.apps.cli.old_options import with_new_names
from mien.apps.cli.options import INTERRUPTED, WRONG_USAGE, examples, say
from mien.errors import MienError

if TYPE_CHECKING:
    from collections.abc import Sequence

PANELS = {
    "Recognize": ("predict", "explain", "live", "serve", "demo"),
    "Train and evaluate": ("data", "collect", "train", "soft-labels", "runs", "export", "evaluate", "bench"),
    "Models and installation": ("models", "doctor"),
}
"""Titles of ``mien --help``, and the commands under each."""

app = typer.Typer(
    name="mien",
    help="Facial expression recognition: find the faces in images and videos, and classify the expression of each. "
    "Runs offline.",
    epilog=examples("mien predict photo.jpg", "mien live", "mien predict --help"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (predict, explain, live, serve, first_steps, train, export, evaluate, runs):
    command.register(app)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
with_help_pages(app, PANELS)


@app.callback(invoke_without_command=True)
def _version(*, version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from mien import __version__

        sys.stdout.write(f"mien {__version__}\n")
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 some inputs failed, 2 wrong usage, 130 interrupted.

    A closed stdout (``mien predict ... | head``) is 1 too.

    Args:
        arguments: what follows ``mien``; None takes the arguments of the process.
    """
    # NumPy's matrix products are small here: a second BLAS thread only takes a core to wait for the first
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # JSON is UTF-8, whatever the terminal speaks
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    renamed, notes = with_new_names(sys.argv[1:] if arguments is None else arguments)
    for note in notes:
        say(f"mien: {note}; the next release removes the old name")
    try:
        app(renamed, prog_name="mien")  # typer itself reports wrong usage and closed pipes, and exits
    except SystemExit as left:
        if left.code == INTERRUPTED:
            say("mien: interrupted; finished results are kept")
        raise
    except MienError as error:
        say(f"mien: {error}")
        sys.exit(WRONG_USAGE)
    except OSError as error:  # inputs raise errors of mien's own, so this is an output
        say(f"mien: {write_failure(error)}")
        sys.exit(WRONG_USAGE)


def write_failure(error: OSError) -> str:
    """The message for an output that can't be written; many an OSError has no file name, some no reason."""
    place = error.filename or "the results"
    reason = error.strerror or str(error) or type(error).__name__
    return f"can't write {place}: {reason}. Check the name, the permissions and the disk, or choose another file"
