"""``mien data crop``: folders of photos become a data set of face crops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli.options import SOME_FAILED, DetectorOption, ModelOption, model_named, progress, say


def register(app: typer.Typer) -> None:
    """Adds the command to ``mien data``."""
    app.command("crop")(crop)


def crop(
    photos: Annotated[
        Path,
        typer.Argument(metavar="PHOTOS", help="Folders of photos by class, or by split and class; or with legend.csv."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", help="The data set: grey face crops by class, and crops.csv.")],
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    size: Annotated[int, typer.Option("--size", help="Side of the face crops in pixels.")] = 48,
    largest: Annotated[
        bool, typer.Option("--largest", help="Take the largest of several faces; else such photos are only listed.")
    ] = False,
) -> None:
    """Cut the face out of each photo, as mien predict would for the model; go on where a run was broken off."""
    from mien.data.crops import CROPPED, UNREADABLE, Cutting, counted, crop_photos
    from mien.data.folders import CROPS
    from mien.models.onnx_file import card_of
    from mien.models.store import ModelStore
    from mien.recognizer import find_detector

    store = ModelStore()
    card = card_of(store.load(model_named(model)))
    cutting = Cutting(find_detector(detector, store), card.crop, size, largest)
    with progress("cropping") as tell:
        counts = counted(crop_photos(photos, out, cutting, tell))
    others = ", ".join(f"{count} {status}" for status, count in counts.items() if count and status != CROPPED)
    say(f"written: {counts[CROPPED]} face crops in {out}{f'; not cut: {others}' if others else ''}; see {out / CROPS}")
    if counts[UNREADABLE]:
        raise typer.Exit(SOME_FAILED)
