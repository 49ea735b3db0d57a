"""``mien data``: show what a data set contains, audit it, or make one from photos."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import (
    INPUT,
    OUTPUT,
    SOME_FAILED,
    DetectorOption,
    JsonOption,
    ModelOption,
    console,
    examples,
    model_named,
    progress,
    say,
    say_notes,
)
from mien.apps.cli.output_guard import KINDS, Output, check_folder, check_outputs
from mien.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data import Dataset
    from mien.data.audit import Audit
    from mien.data.summary import Balance
    from mien.detection import Detector

app = typer.Typer(help="Inspect or audit a data set, or make one from photos.", no_args_is_help=True)

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        rich_help_panel=INPUT,
        help="A data set: csv, JSON Lines, Parquet, a zip or tar of them, MNIST, or folders of images by class.",
    ),
]


@app.command(
    "info",
    epilog=examples(
        "mien data info fer2013.csv", "mien data info crops --out sheets", "mien data info fer2013.csv --json"
    ),
)
def info(
    data: DataArgument,
    *,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
            help="Write contact sheets here: all.png, and one for each class.",
        ),
    ] = None,
) -> None:
    """Show splits, image size, and the class distribution of a data set."""
    from mien.data import load
    from mien.data.summary import balance, summary

    if out:
        check_folder("--out", out, data)
        check_outputs([Output("--out", path) for path in out.glob("*.png")], [data])  # a sheet may have any such name
    loaded = load(data)
    if as_json:
        _print_json(summary(loaded))
    else:
        _show_head(loaded)
        _show_balance(balance(loaded))
        _show_rejected(loaded)
    say_notes(loaded)
    if out:
        from mien.data.summary import write_sheets

        with progress("contact sheets", quiet=as_json) as on_progress:
            files = write_sheets(loaded, out, on_progress)
        say(f"written: {len(files)} contact sheets in {out}")


@app.command(
    "audit",
    epilog=examples(
        "mien data audit fer2013.csv --out audit",
        "mien data audit drawings --out audit --similarity 0.99",
        "mien train --data fer2013.csv --exclude audit/exclude.txt --out runs/mine",
    ),
)
def audit(
    data: DataArgument,
    *,
    faces: Annotated[
        bool,
        typer.Option("--faces", rich_help_panel=INPUT, help="Also run face detection on each image; takes minutes."),
    ] = False,
    detector: DetectorOption = "auto",
    similarity: Annotated[
        float | None,
        typer.Option(
            "--similarity",
            metavar="NUMBER",
            rich_help_panel=INPUT,
            help="Similarity of duplicates, 0.5 to 1. [0.93, for photos; 0.99 suits drawings]",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", rich_help_panel=OUTPUT, help="Write audit.html, audit.json and exclude.txt here."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Find duplicates, data leakage between splits, conflicting labels, and blank images or images without a face."""
    from mien.data import audit as auditing
    from mien.data import load
    from mien.data.audit_report import OVERSIZED_GROUP, audit_page
    from mien.data.duplicates import DUPLICATE_SIMILARITY
    from mien.data.splits import write_list
    from mien.media.files import write_text

    check_folder("--out", out)
    kinds = {"audit.json": "json", "exclude.txt": "text", "audit.html": "page"}
    check_outputs([Output("--out", out / name, KINDS[kind]) for name, kind in kinds.items()], [data])
    loaded = load(data)
    say_notes(loaded)
    chosen = _detector(detector) if faces else None
    with progress("searching duplicates" if chosen is None else "searching duplicates and faces") as on_progress:
        limit = DUPLICATE_SIMILARITY if similarity is None else similarity
        audited = auditing.audit(loaded, chosen, on_progress, limit)
    excluded = auditing.rows_to_exclude(audited)
    content = json.dumps(audited.to_dict(), ensure_ascii=False)
    write_text(out / "audit.json", content + "\n")
    write_list(out / "exclude.txt", excluded)
    write_text(out / "audit.html", audit_page(audited))
    if as_json:
        sys.stdout.write(content + "\n")
    else:
        _show_audit(audited, len(excluded))
    if audited.oversized_group:
        say(OVERSIZED_GROUP)
    say(f"written: {out / 'audit.html'}, audit.json, exclude.txt; next: mien train --exclude {out / 'exclude.txt'}")


@app.command(
    "crop",
    epilog=examples(
        "mien data crop photos --out crops",
        "mien data crop photos --out crops --largest --size 64",
        "mien train --data crops --out runs/mine",
    ),
)
def crop(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            rich_help_panel=INPUT,
            help="Folders of photos by class, or by split and class; or a folder with legend.csv.",
        ),
    ],
    *,
    largest: Annotated[
        bool,
        typer.Option(
            "--largest", rich_help_panel=INPUT, help="Take the largest of several faces. [list such photos only]"
        ),
    ] = False,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
            help="Write the data set here: grey face crops by class, and crops.csv.",
        ),
    ],
    size: Annotated[
        int,
        typer.Option("--size", metavar="PIXELS", rich_help_panel=OUTPUT, help="Side of the face crops."),
    ] = 48,
) -> None:
    """Make a data set of face crops from photos, cropped as mien predict does; resumes an interrupted run."""
    from mien.data.crops import CROPPED, UNREADABLE, CropSettings, count_by_status, crop_photos
    from mien.data.folders import CROPS
    from mien.detection import find_detector
    from mien.models.onnx_file import card_of
    from mien.models.store import ModelStore

    check_folder("--out", out, photos)
    store = ModelStore()
    card = card_of(store.load(model_named(model)))
    settings = CropSettings(find_detector(detector, store), card.crop, size, largest)
    with progress("cropping") as on_progress:
        counts = count_by_status(crop_photos(photos, out, settings, on_progress))
    others = ", ".join(f"{count} {status}" for status, count in counts.items() if count and status != CROPPED)
    say(
        f"written: {counts[CROPPED]} face crops in {out}{f'; not cropped: {others}' if others else ''}; "
        f"see {out / CROPS}"
    )
    if counts[UNREADABLE]:
        raise typer.Exit(SOME_FAILED)


def _detector(name: str) -> Detector:
    from mien.detection import find_detector
    from mien.models.store import ModelStore

    return find_detector(name, ModelStore())


def _print_json(values: object) -> None:
    sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")


def _show_head(data: Dataset) -> None:
    from mien.data.summary import split_sizes

    colour = "grey" if data.channels == 1 else "RGB"
    splits = ", ".join(f"{name} {count:,}" for name, count in split_sizes(data).items())
    terminal = console()
    terminal.print(printable(f"{data.name}: {len(data):,} images of {data.size}x{data.size}, {colour}"))
    terminal.print(printable(f"{splits}\nSHA-256 {data.digest}"), style="dim")


def _show_balance(balances: Sequence[Balance]) -> None:
    """A table for each set of labels: a row for each label, a column for each split."""
    from rich.table import Table

    for head in dict.fromkeys(part.head for part in balances):
        parts = [part for part in balances if part.head == head]
        table = Table(head, *(part.split for part in parts), box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for at, label in enumerate(parts[0].labels):
            table.add_row(printable(label), *(_count(part, at) for part in parts))
        if any(part.unlabelled for part in parts):
            table.add_row("(no label)", *(f"{part.unlabelled:,}" for part in parts), style="dim")
        console().print()
        console().print(table)


def _count(part: Balance, at: int) -> str:
    votes = f" (by votes {part.shares[at]:,.0f})" if part.by_votes else ""
    return f"{part.counts[at]:,}{votes}"


def _show_rejected(data: Dataset) -> None:
    if data.rejected:
        first = data.rejected[0]
        say(f"{len(data.rejected)} rows can't be read; the first: {first.place}: {first.reason}")


def _show_audit(audited: Audit, excluded: int) -> None:
    from rich.table import Table

    found, data = audited.counts(), audited.data
    lines = [
        (found["groups"], f"groups of duplicates; {found['exact_groups']:,} with identical pixels"),
        (found["redundant"], "redundant images: duplicates of another one"),
        (found["conflicts"], "groups with conflicting labels"),
        (found["leaks"], "groups with duplicates in more than one split"),
        *(
            (audited.leaked(name), f"images of {name} with a duplicate in another split")
            for name in data.split_names()
            if audited.leaks
        ),
        (found["blank"], "blank images"),
    ]
    if "no_expression" in found:
        lines.append((found["no_expression"], "images for which no vote names an expression"))
    if "no_face" in found:
        lines.append((found["no_face"], "images without a detected face, which is weak evidence"))
    lines.append((excluded, "rows of Training should be excluded: exclude.txt"))
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    for count, what in lines:
        table.add_row(f"{count:,}", printable(what))
    console().print(printable(f"{data.name}: {len(data):,} images"))
    console().print(table)
