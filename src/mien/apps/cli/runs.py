"""``mien runs``: a table of training runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import JsonOption, console, examples, say
from mien.apps.cli.output_guard import KINDS, Output, check_outputs, files_in_folders
from mien.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.training.run.comparison import Row

NARROW_COLUMNS = 110
"""Narrower terminals get the most important columns only."""

COLUMN_TITLES = {
    "run": "run",
    "network": "network",
    "data": "data",
    "epochs": "epochs",
    "best": "best",
    "accuracy": "accuracy",
    "f1": "macro-F1",
    "ece": "ECE",
    "parameters": "params",
    "work": "mult-adds",
    "ms": "ms/face",
    "size": "MB",
    "minutes": "minutes",
    "state": "state",
}
TEXT_COLUMNS = ("run", "network", "data")
WIDE_COLUMNS = ("data", "best", "ece", "size", "work", "minutes")
STYLES = {"finished": "green", "running": "cyan", "interrupted": "yellow", "unreadable": "red"}


EXAMPLES = examples("mien runs", "mien runs runs/a runs/b --csv runs.csv", "mien runs --json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("runs", epilog=EXAMPLES)(runs)


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Run directories, or folders of them [runs].")
    ] = None,
    *,
    as_json: JsonOption = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", rich_help_panel="Output", help="Write a CSV file, a row per run."),
    ] = None,
) -> None:
    """Compare training runs: scores, inference cost, training time.

    Accuracy, macro-F1 and ECE are those of the model file on the validation split. The latency per face is measured
    now, on one thread, with the models taking turns.
    """
    from mien.training.run.comparison import compare, find_runs

    found = find_runs(folders or [Path("runs")])
    if csv:
        check_outputs([Output("--csv", csv, KINDS["csv"])], files_in_folders(*found))
    rows = compare(found)
    if csv:
        _write_csv(csv, rows)
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row.to_dict(), ensure_ascii=False) + "\n")
        return
    _print(rows)
    for row in rows:
        if row.note:
            say(f"{row.run}: {row.note}")


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    import csv
    import io

    from mien.media.files import write_text
    from mien.training.run.comparison import COLUMNS

    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(row.to_dict() for row in rows)
    write_text(path, text.getvalue())


def _print(rows: Sequence[Row]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    terminal = console()
    heads = [name for name in COLUMN_TITLES if terminal.width >= NARROW_COLUMNS or name not in WIDE_COLUMNS]
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in heads:
        if name in TEXT_COLUMNS:
            shown.add_column(COLUMN_TITLES[name], overflow="fold")
        else:
            shown.add_column(COLUMN_TITLES[name], justify="left" if name == "state" else "right", no_wrap=True)
    for row in rows:
        cells = _cells(row)
        shown.add_row(*(Text(printable(cells[name]), style=_style(name, row)) for name in heads))
    terminal.print(shown)


def _style(name: str, row: Row) -> str:
    return STYLES[row.state] if name == "state" else "bold" if name == "accuracy" else ""


def _cells(row: Row) -> dict[str, str]:
    done = "?" if row.epochs is None else f"{row.epochs}/{row.planned}"
    return {
        "run": row.run,
        "network": row.network or "?",
        "data": row.data or "?",
        "epochs": done,
        "best": "-" if row.best_epoch is None else str(row.best_epoch),
        "accuracy": _figure(row.accuracy, ".4f"),
        "f1": _figure(row.macro_f1, ".4f"),
        "ece": _figure(row.ece, ".3f"),
        "parameters": _short(row.parameters),
        "work": _short(row.multiply_adds),
        "ms": _figure(row.milliseconds, ".2f"),
        "size": _figure(None if row.bytes is None else row.bytes / 1e6, ".2f"),
        "minutes": _figure(row.minutes, ".1f"),
        "state": row.state,
    }


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _short(count: int | None) -> str:
    """A count in three digits: 85.5 k, 1.15 M, 12.5 M, 1.25 G."""
    if count is None:
        return "-"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}{unit}"
    return str(count)
