"""``mien bench``: parts of mien side by side, on your own images and machine."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import JsonOption, console, progress, say
from mien.apps.cli.robustness import robustness
from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mien.detection import Detector
    from mien.evaluation.detection_robustness import Curve
    from mien.evaluation.detection_metrics import Finding
    from mien.structures import Frame

app = typer.Typer(help="Parts of mien side by side, on your own images and machine.", no_args_is_help=True)

SIZES = ((320, 320), (640, 480), (1280, 720))
"""Width and height of the images that detectors are timed on."""

ROUNDS = 15


app.command("robustness")(robustness)


@app.command("detectors")
def detectors(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Images with labels.jsonl: faces, landmarks.")],
    *,
    detector: Annotated[
        list[str] | None,
        typer.Option("--detector", "-d", help="auto, yunet, haar, or an .onnx that you taught; several times."),
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Only the tenth that mien train holds out of such a folder.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="A PNG: recall over rotation, darkness and covered halves.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recall by face size, false faces, how well boxes and landmarks lie, and milliseconds, of several detectors."""
    from mien.data import scenes
    from mien.evaluation.detection_metrics import evaluate_detector
    from mien.models.store import ModelStore
    from mien.recognizer import detectors_here, find_detector

    if plot and find_spec("matplotlib") is None:
        raise MissingExtraError("drawing recall curves", "matplotlib", "plots")
    store = ModelStore()
    names = detector or detectors_here(store)
    chosen = {name: find_detector(name, store) for name in names}
    found = scenes.read(folder)
    images = (found.halves()[1] if held_out else found).images
    say(f"{len(images)} images of {folder}")
    rows = []
    for name, one in chosen.items():
        with progress(name, quiet=as_json) as tell:
            finding = evaluate_detector(one, images, tell=tell)
        rows.append(_figures(name, finding, _times(one, images[0][0])))
    if plot:
        _plot(plot, chosen, images)
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        console().print(_table(rows))


def _figures(name: str, finding: Finding, times: dict[str, float]) -> dict[str, Any]:
    from mien.evaluation.detection_metrics import size_words

    return {
        "detector": name,
        "recall": {
            size_words(*size): {"value": part.recall, "faces": part.found + part.missed}
            for size, part in finding.by_size
        },
        "false_positives_per_image": finding.whole.false_positives_per_image,
        "iou": finding.placed.iou,
        "landmark_error": finding.placed.landmark_error,
        "milliseconds": {"an image": finding.milliseconds, **times},
    }


def _times(detector: Detector, frame: Frame) -> dict[str, float]:
    """Median milliseconds an image of each size, whatever is in it."""
    import cv2
    import numpy as np

    times = {}
    for size in SIZES:
        image = np.asarray(cv2.resize(frame, size), np.uint8)
        taken = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            detector.detect(image)
            taken.append(time.perf_counter() - started)
        times[f"{size[0]}x{size[1]}"] = 1000 * float(np.median(taken))
    return times


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table

    sizes, times = list(rows[0]["recall"]), list(rows[0]["milliseconds"])
    shown = Table("detector", box=None, pad_edge=False)
    titles = [f"recall, {size}" for size in sizes] + ["false an image", "IoU", "landmarks"]
    for title in [*titles, *(f"ms {one}" for one in times)]:
        shown.add_column(title, justify="right")
    for row in rows:
        recalls = [f"{row['recall'][size]['value']:.3f} of {row['recall'][size]['faces']}" for size in sizes]
        placed = [f"{row[name]:.3f}" if row[name] is not None else "" for name in ("iou", "landmark_error")]
        taken = [f"{row['milliseconds'][one]:.1f}" for one in times]
        shown.add_row(row["detector"], *recalls, f"{row['false_positives_per_image']:.3f}", *placed, *taken)
    return shown


def _plot(path: Path, detectors: dict[str, Detector], images: Sequence[Any]) -> None:
    from mien.evaluation.detection_robustness import recall_curves

    curves: dict[str, tuple[Curve, ...]] = {}
    for name, detector in detectors.items():
        say(f"recall of {name} on harder images")
        curves[name] = recall_curves(detector, images)
        say(json.dumps([dataclasses.asdict(curve) for curve in curves[name]]))
    from mien.evaluation.detection_robustness import draw_curves

    draw_curves(path, curves)
    say(f"written: {path}")
