"""The command ``mien``: each command translates its options, calls one room of the house, and prints."""

from __future__ import annotations

import logging
import os
import sys

import click
import typer
from rich.console import Console
from rich.markup import escape

from mien.apps.cli import demo, doctor, evaluate, models, predict, train
from mien.errors import MienError

DONE, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="mien",
    help="Reads the expression that each face in a picture shows, and says how sure that is. Nothing leaves the machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (predict, demo, train, evaluate, doctor):
    command.register(app)
app.add_typer(models.app, name="models")


@app.callback(invoke_without_command=True)
def _version(*, version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        from mien import __version__

        print(f"mien {__version__}")  # noqa: T201
        raise typer.Exit


def main() -> None:
    """Runs the command line and exits: 0 done, 1 some inputs failed, 2 wrong usage, 130 interrupted."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        sys.exit(app(standalone_mode=False) or DONE)
    except click.exceptions.Exit as left:
        sys.exit(left.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        _complain("interrupted; what was finished is there")
        sys.exit(INTERRUPTED)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(WRONG_USAGE)
    except MienError as error:
        _complain(str(error))
        sys.exit(WRONG_USAGE)
    except BrokenPipeError:  # `mien predict ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"mien: {escape(message)}", highlight=False)
