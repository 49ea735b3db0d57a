"""``mien demo``: analyze a portrait that comes with mien, to check that everything works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli.drawings import Drawings
from mien.apps.cli.file_reader import analyze_image, print_table
from mien.apps.cli.options import OUTPUT, examples, say
from mien.errors import MienError

PORTRAIT = Path(__file__).parents[1] / "portrait.jpg"
"""Eileen Collins, NASA 1999, public domain; a smaller copy of scikit-image's."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=examples("mien demo", "mien demo --out shown", "mien predict demo/portrait.jpg --json"))(
        demo
    )


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", rich_help_panel=OUTPUT, help="Folder for the annotated image.")
    ] = Path("demo"),
) -> None:
    """Analyze a portrait that comes with mien, and write it with the face annotated."""
    from mien.recognizer import Recognizer

    result = analyze_image(Recognizer.load(), PORTRAIT, [Drawings(out, [PORTRAIT])])
    print_table([result])
    if not result.predictions:
        raise MienError(f"expected a face in {PORTRAIT}; found none: see 'mien doctor'")
    say(f"written: {out / PORTRAIT.name}; next: mien predict with a photo of your own")
