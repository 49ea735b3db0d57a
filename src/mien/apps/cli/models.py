"""``mien models``: list, download, add, verify and describe models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import (
    INPUT,
    OUTPUT,
    SOME_FAILED,
    JsonOption,
    console,
    examples,
    model_named,
    progress,
    say,
)
from mien.errors import MissingExtraError, UsageError, printable
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from mien.models.card import DetectorCard, ModelCard
    from mien.training.export.model_summary import ModelSummary

app = typer.Typer(
    help="List, download, add, verify and describe models.",
    epilog=examples("mien models list", "mien models pull yunet", "mien models show compact"),
    no_args_is_help=True,
)

DEFAULT_SHAPE = (48, 1, 7)
"""Face crop size, channels and labels of an architecture that is shown."""

SCORES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "recall": "recall",
    "FPPI": "false positives per image (FPPI)",
    "iou": "IoU",
    "landmark error": "landmark error",
}
"""Metrics of a card that ``mien models show`` prints, and how."""

SHAPE = "Shape of an architecture"
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", rich_help_panel=INPUT, help="A name from mien models list.")
]


@app.command("list", epilog=examples("mien models list"))
def list_models() -> None:
    """List every known model and whether it is installed."""
    from rich.table import Table

    from mien.models.store import ModelStore

    store = ModelStore()
    states = {check.name: check.state for check in store.verify()}
    shown = Table("name", "kind", "state", "size", "licence", "summary", box=None, pad_edge=False)
    for entry in store.entries():
        size = f"{entry.size / 1e6:.1f} MB"
        texts = (entry.name, entry.kind, states[entry.name], size, entry.licence, entry.summary)
        shown.add_row(*map(printable, texts))
    console().print(shown)


@app.command("pull", epilog=examples("mien models pull yunet", "mien predict photo.jpg --detector yunet"))
def pull(name: NameArgument) -> None:
    """Download a published model once and check its SHA-256."""
    from mien.models.store import ModelStore

    with progress(f"downloading {name}") as update:
        path = ModelStore().pull(name, lambda done, total: update(done / max(total, 1)))
    sys.stdout.write(f"{path}\n")


@app.command(
    "add", epilog=examples("mien models add run/model.onnx --name mine", "mien models add yunet_n_dynamic.onnx")
)
def add(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", rich_help_panel=INPUT, help="An .onnx file that mien wrote, or a published file."
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", rich_help_panel=OUTPUT, help="Its new name; by default that of its card."
        ),
    ] = None,
) -> None:
    """Add a model under a name; also installs a published model without a network."""
    from mien.models.store import ModelStore

    entry = ModelStore().add(file, name)
    sys.stdout.write(f"added: {entry.name} ({entry.kind})\n")
    option = "--detector" if entry.kind == "detector" else "--model"
    say(f"next: mien predict photo.jpg {option} {entry.name}")


@app.command("remove", epilog=examples("mien models remove mine"))
def remove(name: NameArgument) -> None:
    """Remove a model that was downloaded or added."""
    from mien.models.store import ModelStore

    ModelStore().remove(name)


@app.command("verify", epilog=examples("mien models verify"))
def verify() -> None:
    """Check the bytes of every installed model; exit with 1 if one was changed."""
    from mien.models.store import ModelStore

    checks = ModelStore().verify()
    for check in checks:
        sys.stdout.write(f"{check.state:8} {check.name}  {check.where}\n")
    if any(check.state == "changed" for check in checks):
        raise typer.Exit(SOME_FAILED)


@app.command("networks", epilog=examples("mien models networks", "mien models show mini-xception --network"))
def networks() -> None:
    """List the architectures that mien train offers."""
    from mien.training import prepare_backend

    prepare_backend()
    from rich.table import Table

    from mien.training.architectures import ARCHITECTURES
    from mien.training.architectures.detector import face_detector

    shown = Table("name", "summary", box=None, pad_edge=False)
    for name, build in {**ARCHITECTURES, FACE_DETECTOR: face_detector}.items():
        shown.add_row(name, (build.__doc__ or "").strip().splitlines()[0])
    console().print(shown)


@app.command(
    "show",
    epilog=examples(
        "mien models show compact", "mien models show runs/a --json", "mien models show mini-xception --size 64"
    ),
)
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            rich_help_panel=INPUT,
            help="A model's name, an .onnx file, a run directory, or an architecture.",
        ),
    ],
    *,
    network: Annotated[
        bool,
        typer.Option("--network", rich_help_panel=INPUT, help="Show the architecture if a model has the same name."),
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", metavar="PIXELS", rich_help_panel=SHAPE, help="Side of the input [48; face-detector: 320]."
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option("--channels", metavar="N", rich_help_panel=SHAPE, help="1 (grey) or 3 (RGB) [1]."),
    ] = None,
    labels: Annotated[
        int | None, typer.Option("--labels", metavar="N", rich_help_panel=SHAPE, help="Number of labels [7].")
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", rich_help_panel=OUTPUT, help="Also list the layers of nested networks.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a network layer by layer: shapes, parameters, multiply-adds; of a model file also its card.

    --json prints the whole card: labels, crop rule, calibration, origin, config, scores.
    """
    shape = (size, channels, labels)
    if network or any(value is not None for value in shape) or not _is_model(name):
        summary = _network(name, shape, expand=expand)
        if as_json:
            _print_json(summary.to_dict())
        else:
            _print_layers(summary)
    else:
        _show_model(name, as_json=as_json)


def _is_model(name: str) -> bool:
    from mien.models.store import ModelStore

    return Path(name).exists() or name.endswith(".onnx") or name in {entry.name for entry in ModelStore().entries()}


def _network(name: str, shape: tuple[int | None, ...], *, expand: bool) -> ModelSummary:
    """The summary of an architecture for an input size, channels and labels; None takes the default."""
    from mien.training import prepare_backend

    known = "a model's name (see: mien models list), an .onnx file, a run directory"
    try:
        prepare_backend()
    except MissingExtraError as error:
        raise UsageError(f"expected {known}; received {name!r}. To show an architecture: {error}") from error
    from mien.training.architectures import ARCHITECTURES, NetworkShape
    from mien.training.architectures.complexity import detector_summary, summary_of

    if name == FACE_DETECTOR:
        side = 320 if shape[0] is None else shape[0]
        if shape[1:] != (None, None) or expand or side < 32 or side % 32:
            raise UsageError(
                "expected for the face detector only --size, a multiple of 32 from 32 on; "
                f"received a size of {side}" + ("" if shape[1:] == (None, None) and not expand else " and others")
            )
        return detector_summary(side)
    if name not in ARCHITECTURES:
        raise UsageError(f"expected {known} or an architecture (see: mien models networks); received {name!r}")
    size, channels, labels = (
        default if value is None else value for value, default in zip(shape, DEFAULT_SHAPE, strict=True)
    )
    if size < 1 or channels not in (1, 3) or labels < 2:
        raise UsageError(
            f"expected a size of 1 or more, 1 or 3 channels and 2 or more labels; received {size}, {channels}, {labels}"
        )
    return summary_of(name, NetworkShape(size, channels, (("labels", labels),)), expand=expand)


def _show_model(name: str, *, as_json: bool) -> None:
    from mien.apps.model_file import inspect_model
    from mien.models.store import ModelStore

    found = inspect_model(ModelStore().load(model_named(name)))
    if as_json:
        _print_json(found.to_dict())
        return
    if found.card:
        _print_card(found.card)
    for kind, values in found.ends.items():
        for value in values:
            sys.stdout.write(printable(f"{kind[:-1]}  {value['name']}: {value['type']} {value['shape']}") + "\n")
    if found.summary:
        _print_layers(found.summary)
    else:
        say(f"layers not listed: {found.reason}")


def _print_card(card: ModelCard | DetectorCard) -> None:
    from rich.table import Table
    from rich.text import Text

    from mien.models.card import ModelCard

    lines = {
        "model": card.name,
        **(_classifier_lines(card) if isinstance(card, ModelCard) else _detector_lines(card)),
        "network": card.origin.network,
        "data": card.origin.data,
        "made with": card.origin.made_with,
        "licence": card.origin.licence,
        "scores": "\n".join(
            f"{score.split}, {score.head}: {SCORES[score.metric]} {score.value:.4f} (n = {score.count})"
            for score in card.scores
            if score.metric in SCORES
        ),
    }
    shown = Table.grid(padding=(0, 2))
    for title, text in lines.items():
        if text:
            shown.add_row(Text(title, style="dim"), Text(printable(text)))
    console().print(shown)


def _classifier_lines(card: ModelCard) -> dict[str, str]:
    mirrored = ", averaged with the mirror image" if card.mirrored else ""
    return {
        "face crops": f"{card.size}x{card.size}x{card.channels}, {card.crop.factor:g} times the face box{mirrored}",
        "labels": ", ".join(card.fused.labels),
        "heads": ", ".join(f"{head.name} ({len(head.labels)} labels)" for head in card.heads),
    }


def _detector_lines(card: DetectorCard) -> dict[str, str]:
    return {
        "thresholds": f"score {card.score:g}, non-maximum suppression above IoU {card.overlap:g}",
        "boxes": f"{card.framing:g} times the network's, brow to chin",
    }


def _print_layers(summary: ModelSummary) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table("layer", "kind", box=SIMPLE_HEAD, pad_edge=False)
    shown.columns[0].overflow = "fold"
    for title in ("output", "parameters", "multiply-adds"):
        shown.add_column(title, justify="right", no_wrap=True)
    for layer in summary.layers:
        name = Text(printable("  " * layer.depth + layer.name), style="dim" if layer.depth else "")
        output = " x ".join("?" if side is None else str(side) for side in layer.output)
        figures = (f"{figure:,}" if figure else "" for figure in (layer.parameters, layer.multiply_adds))
        shown.add_row(name, Text(printable(layer.kind)), output, *figures)
    trainable = summary.parameters if summary.trainable is None else summary.trainable
    frozen = f" ({summary.parameters - trainable:,} of them not trained)" if summary.parameters > trainable else ""
    console().print(shown)
    console().print(f"{summary.parameters:,} parameters{frozen}, {summary.multiply_adds:,} multiply-adds per image")


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
