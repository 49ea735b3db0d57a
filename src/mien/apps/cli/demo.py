"""``mien demo``: the main job on a portrait that comes with mien, to see that everything works."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli.drawings import Drawings
from mien.apps.cli.file_reader import analyze_image, print_table
from mien.errors import MienError

PORTRAIT = Path(__file__).parents[1] / "portrait.jpg"
"""Eileen Collins, NASA 1999, public domain; the copy of scikit-image, smaller."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder that the drawn image is written to.")] = Path("demo"),
) -> None:
    """Read a portrait that comes with mien, print what it shows, and write it drawn."""
    from mien.recognizer import Recognizer

    result = analyze_image(Recognizer.load(), PORTRAIT, [Drawings(out, [PORTRAIT])])
    print_table([result])
    if not result.predictions:
        raise MienError(f"expected a face in {PORTRAIT}; found none: see 'mien doctor'")
    sys.stdout.write(f"drawn: {out / PORTRAIT.name}\n")
