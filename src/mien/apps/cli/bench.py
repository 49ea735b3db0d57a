"""``mien bench``: compare detectors, and measure a model's accuracy under image corruptions, on your own data."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.evaluate import EvaluatedHeadOption, EvaluatedSplitOption
from mien.apps.cli.options import INPUT, MODEL, OUTPUT, JsonOption, console, examples, model_named, progress, say
from mien.apps.cli.output_guard import KINDS, Output, check_outputs, model_files
from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mien.detection import Detector
    from mien.evaluation.detection_metrics import DetectorResult
    from mien.evaluation.detection_robustness import RecallCurve
    from mien.evaluation.robustness import RobustnessResult
    from mien.structures import Frame

app = typer.Typer(help="Benchmark detectors and the robustness of models, on your own data.", no_args_is_help=True)

LATENCY_SIZES = ((320, 320), (640, 480), (1280, 720))
"""Width and height of the images for measuring detector latency."""

LATENCY_REPEATS = 15


@app.command(
    "robustness",
    epilog=examples(
        "mien bench robustness fer2013.csv",
        "mien bench robustness fer2013.csv --head fused",
        "mien bench robustness crops -m runs/mine --json",
    ),
)
def robustness(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", rich_help_panel=INPUT, help="Labelled face crops, as for mien evaluate."),
    ],
    *,
    split: EvaluatedSplitOption = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            rich_help_panel=MODEL,
            help="Name of a model, an .onnx file, or a run directory. [compact]",
        ),
    ] = None,
    head: EvaluatedHeadOption = "",
    as_json: JsonOption = False,
) -> None:
    """Measure accuracy under 27 image corruptions: scale, shift, rotation, blur, noise, JPEG, occlusion."""
    from mien.apps.cli.evaluate import splits
    from mien.classification.classifier import Classifier
    from mien.evaluation.robustness import evaluate_robustness
    from mien.models.store import ModelStore
    from mien.recognizer import DEFAULT_MODEL

    name = model or DEFAULT_MODEL
    chosen, _ = splits(data, split, [name])
    classifier = Classifier(ModelStore().load(model_named(name)))
    with progress("robustness", quiet=as_json) as on_progress:
        results = evaluate_robustness(classifier, chosen, head, on_progress)
    if not as_json:
        console().print(_robustness_table(results))
        return
    report = {
        "data": chosen.name,
        "split": ", ".join(chosen.split_names()),
        "model": classifier.card.name,
        "head": head or chosen.truths[0].head,
        "n": results[0].metrics.n,
        "mean": _mean_accuracy(results),
        "rows": [
            {
                "corruption": result.kind,
                "step": result.step,
                "accuracy": result.metrics.accuracy,
                "macro_f1": result.metrics.macro_f1,
            }
            for result in results
        ],
    }
    sys.stdout.write(json.dumps(report) + "\n")


@app.command(
    "detectors",
    epilog=examples(
        "mien bench detectors faces",
        "mien bench detectors faces -d runs/detector/model.onnx -d haar",
        "mien bench detectors faces --held-out --plot recall.png",
    ),
)
def detectors(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", rich_help_panel=INPUT, help="Images with labels.jsonl: boxes and landmarks of faces."
        ),
    ],
    *,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out", rich_help_panel=INPUT, help="Use only the tenth that mien train holds out of such a folder."
        ),
    ] = False,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector",
            "-d",
            metavar="NAME",
            rich_help_panel=MODEL,
            help="auto, yunet, haar, or an .onnx from mien train; repeatable. [all installed]",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write recall under rotation, darkness and occlusion as a PNG.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare face detectors: recall by face size, false positives per image (FPPI), IoU, landmark error, latency."""
    from mien.data import scenes
    from mien.evaluation.detection_metrics import evaluate_detector
    from mien.models.store import ModelStore
    from mien.recognizer import detectors_here, find_detector

    if plot and find_spec("matplotlib") is None:
        raise MissingExtraError("drawing recall curves", "matplotlib", "plots")
    if plot:
        inputs = [*model_files(*(detector or ())), *(path for path in folder.rglob("*") if path.is_file())]
        check_outputs([Output("--plot", plot, KINDS["png"])], inputs)
    store = ModelStore()
    chosen = {name: find_detector(name, store) for name in detector or detectors_here(store)}
    labelled = scenes.read(folder)
    images = (labelled.split()[1] if held_out else labelled).images
    say(f"{len(images)} images of {folder}")
    rows = []
    for name, found in chosen.items():
        with progress(name, quiet=as_json) as on_progress:
            result = evaluate_detector(found, images, on_progress=on_progress)
        rows.append(_detector_row(name, result, _latencies(found, images[0][0])))
    if plot:
        _plot(plot, chosen, images)
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        console().print(_detector_table(rows))


def _mean_accuracy(results: Sequence[RobustnessResult]) -> float:
    """Mean accuracy over the corruptions, without the original face crops."""
    return sum(result.metrics.accuracy for result in results[1:]) / (len(results) - 1)


def _robustness_table(results: Sequence[RobustnessResult]) -> Table:
    from rich.table import Table

    table = Table("corruption", "step", box=None, pad_edge=False)
    for title in ("accuracy", "macro-F1"):
        table.add_column(title, justify="right")
    for result in results:
        table.add_row(result.kind, result.step, f"{result.metrics.accuracy:.3f}", f"{result.metrics.macro_f1:.3f}")
    worst = min(results[1:], key=lambda result: result.metrics.accuracy)
    table.add_row("mean", f"of {len(results) - 1} corruptions", f"{_mean_accuracy(results):.3f}", "")
    table.add_row("worst", f"{worst.kind}, {worst.step}", f"{worst.metrics.accuracy:.3f}", "")
    return table


def _detector_row(name: str, result: DetectorResult, latencies: dict[str, float]) -> dict[str, Any]:
    from mien.evaluation.detection_metrics import size_label

    return {
        "detector": name,
        "recall": {size_label(*size): {"value": part.recall, "faces": part.faces} for size, part in result.by_size},
        "false_positives_per_image": result.overall.false_positives_per_image,
        "iou": result.in_sizes.iou,
        "landmark_error": result.in_sizes.landmark_error,
        "latency_ms": {"per image": result.latency_ms, **latencies},
    }


def _latencies(detector: Detector, frame: Frame) -> dict[str, float]:
    """Median milliseconds for an image of each size."""
    import cv2
    import numpy as np

    latencies = {}
    for size in LATENCY_SIZES:
        image = np.asarray(cv2.resize(frame, size), np.uint8)
        seconds = []
        for _ in range(LATENCY_REPEATS):
            started = time.perf_counter()
            detector.detect(image)
            seconds.append(time.perf_counter() - started)
        latencies[f"{size[0]}x{size[1]}"] = 1000 * float(np.median(seconds))
    return latencies


def _detector_table(rows: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table

    sizes, latencies = list(rows[0]["recall"]), list(rows[0]["latency_ms"])
    table = Table("detector", box=None, pad_edge=False)
    titles = [f"recall, {size}" for size in sizes] + ["FPPI", "IoU", "landmark error"]
    for title in [*titles, *(f"ms {latency}" for latency in latencies)]:
        table.add_column(title, justify="right")
    for row in rows:
        recalls = [f"{row['recall'][size]['value']:.3f} of {row['recall'][size]['faces']}" for size in sizes]
        errors = [f"{row[name]:.3f}" if row[name] is not None else "" for name in ("iou", "landmark_error")]
        times = [f"{row['latency_ms'][latency]:.1f}" for latency in latencies]
        table.add_row(row["detector"], *recalls, f"{row['false_positives_per_image']:.3f}", *errors, *times)
    return table


def _plot(path: Path, chosen: dict[str, Detector], images: Sequence[Any]) -> None:
    from mien.evaluation.detection_robustness import plot_recall_curves, recall_curves

    curves: dict[str, tuple[RecallCurve, ...]] = {}
    for name, detector in chosen.items():
        say(f"recall of {name} under corruptions")
        curves[name] = recall_curves(detector, images)
        say(json.dumps([dataclasses.asdict(curve) for curve in curves[name]]))
    plot_recall_curves(path, curves)
    say(f"written: {path}")
