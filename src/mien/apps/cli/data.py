"""``mien data``: what is in a data set, and what may be wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli import crop
from mien.apps.cli.options import DetectorOption, JsonOption, console, printable, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data import Dataset
    from mien.data.audit import Audit
    from mien.data.summary import Balance
    from mien.detection import Detector

app = typer.Typer(help="Look at a data set, check it, or make one of photos.", no_args_is_help=True)
crop.register(app)

DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="A data set: a csv, its folder, or folders of images by class.")
]


@app.command("info")
def info(
    data: DataArgument,
    *,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write contact sheets here: all.png, and one for each class.")
    ] = None,
) -> None:
    """What is in a data set: splits, sizes, and the images of each class."""
    from mien.data import load
    from mien.data.summary import balance, summary

    loaded = load(data)
    if as_json:
        _print_json(summary(loaded))
    else:
        _show_head(loaded)
        _show_balance(balance(loaded))
        _show_rejected(loaded)
    if out:
        from mien.data.summary import write_sheets

        with progress("contact sheets", quiet=as_json) as tell:
            files = write_sheets(loaded, out, tell)
        say(f"written: {len(files)} contact sheets in {out}")


@app.command("audit")
def audit(
    data: DataArgument,
    *,
    out: Annotated[Path, typer.Option("--out", help="Write audit.html, audit.json and without.txt here.")],
    faces: Annotated[
        bool, typer.Option("--faces", help="Look for a face in each image, too; this takes minutes.")
    ] = False,
    detector: DetectorOption = "auto",
    alike: Annotated[
        float | None, typer.Option("--alike", help="The similarity of copies: 0.93, for photos; 0.99 suits drawings.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find copies within and across splits, conflicting labels, and images that are blank or show no face."""
    from mien.data import audit as auditing
    from mien.data import load
    from mien.data.audit_report import CROWDED, audit_page
    from mien.data.duplicates import COPY
    from mien.data.splits import write_list
    from mien.media.files import write_text

    loaded = load(data)
    asked = _detector(detector) if faces else None
    with progress("looking for copies" if asked is None else "looking for copies and faces") as tell:
        findings = auditing.audit(loaded, asked, tell, COPY if alike is None else alike)
    left_out = auditing.without(findings)
    told = json.dumps(findings.to_dict(), ensure_ascii=False)
    write_text(out / "audit.json", told + "\n")
    write_list(out / "without.txt", left_out)
    write_text(out / "audit.html", audit_page(findings))
    if as_json:
        sys.stdout.write(told + "\n")
    else:
        _show_findings(findings, len(left_out))
    if findings.crowded:
        say(CROWDED)
    say(f"written: {out / 'audit.html'}, audit.json, without.txt")


def _detector(name: str) -> Detector:
    from mien.models.store import ModelStore
    from mien.recognizer import find_detector

    return find_detector(name, ModelStore())


def _print_json(told: object) -> None:
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")


def _show_head(data: Dataset) -> None:
    from mien.data.summary import split_sizes

    colour = "grey" if data.channels == 1 else "RGB"
    splits = ", ".join(f"{name} {count:,}" for name, count in split_sizes(data).items())
    shown = console()
    shown.print(printable(f"{data.name}: {len(data):,} images of {data.size}x{data.size}, {colour}"))
    shown.print(printable(f"{splits}\nSHA-256 {data.digest}"), style="dim")


def _show_balance(held: Sequence[Balance]) -> None:
    """A table for each set of labels: a line a label, a column a split."""
    from rich.table import Table

    for head in dict.fromkeys(part.head for part in held):
        parts = [part for part in held if part.head == head]
        table = Table(head, *(part.split for part in parts), box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for at, label in enumerate(parts[0].labels):
            table.add_row(printable(label), *(_cell(part, at) for part in parts))
        if any(part.unlabelled for part in parts):
            table.add_row("(no label)", *(f"{part.unlabelled:,}" for part in parts), style="dim")
        console().print()
        console().print(table)


def _cell(part: Balance, at: int) -> str:
    votes = f" (by votes {part.shares[at]:,.0f})" if part.by_votes else ""
    return f"{part.counts[at]:,}{votes}"


def _show_rejected(data: Dataset) -> None:
    if data.rejected:
        first = data.rejected[0]
        say(f"{len(data.rejected)} rows can't be read; the first: {first.place}: {first.reason}")


def _show_findings(findings: Audit, left_out: int) -> None:
    from rich.table import Table

    found, data = findings.counts(), findings.data
    lines = [
        (found["groups"], f"groups of copies; {found['exact_groups']:,} of the same pixels throughout"),
        (found["spare"], "images more than there would be without copies"),
        (found["conflicts"], "groups with conflicting labels"),
        (found["leaks"], "groups with copies in more than one split"),
        *(
            (findings.leaked(name), f"images of {name} with a copy in another split")
            for name in data.split_names()
            if findings.leaks
        ),
        (found["blank"], "blank images"),
    ]
    if "faceless" in found:
        lines.append((found["faceless"], "images in which no vote names an expression"))
    if "unseen" in found:
        lines.append((found["unseen"], "images in which the detector found no face, which proves nothing"))
    lines.append((left_out, "rows of Training are better left out: without.txt"))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    for count, what in lines:
        table.add_row(f"{count:,}", printable(what))
    console().print(printable(f"{data.name}: {len(data):,} images"))
    console().print(table)
