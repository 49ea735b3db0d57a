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
from mien.apps.cli.options import INTERRUPTED, SIGNALLED, WRONG_USAGE, examples, say, write_failure
from mien.apps.cli.signals import replace_closed_streams, stopped_as_interrupt
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
    """Run the command line and exit: 0 done, 1 some inputs failed, 2 wrong usage, 128 + number of a signal.

    130 is Ctrl-C, 143 SIGTERM, 129 SIGHUP: results so far are kept, as far as their format allows. A pipe that was
    closed (``mien predict ... | head``) is 1 too.

    Args:
        arguments: what follows ``mien``; None takes the arguments of the process.
    """
    replace_closed_streams()
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
        with stopped_as_interrupt() as stop:
            app(renamed, prog_name="mien")  # typer itself reports wrong usage and closed pipes, and exits
    except SystemExit as left:
        if left.code != INTERRUPTED:
            raise
        say("mien: interrupted; finished results are kept")
        sys.exit(INTERRUPTED if stop.number is None else SIGNALLED + stop.number)
    except MienError as error:
        say(f"mien: {error}")
        sys.exit(WRONG_USAGE)
    except OSError as error:  # inputs raise errors of mien's own, so this is an output
        say(f"mien: {write_failure(error)}")
        sys.exit(WRONG_USAGE)
