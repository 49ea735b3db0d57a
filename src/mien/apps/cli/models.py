"""``mien models``: which models are here, fetching published ones, adding one's own, checking their bytes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.cli.options import SOME_FAILED, JsonOption, console, model_named, printable, progress, say
from mien.errors import MissingExtraError, UsageError
from mien.training.tasks.detection import NETWORK as FACE_DETECTOR

if TYPE_CHECKING:
    from mien.models.card import DetectorCard, ModelCard
    from mien.training.export.model_summary import ModelSummary

app = typer.Typer(help="List, fetch, add, check and describe models.", no_args_is_help=True)

USUAL = (48, 1, 7)
"""Side, channels and labels of a network that is shown."""

TOLD = ("accuracy", "macro_f1", "recall", "FPPI", "iou", "landmark error")
"""The scores of a card that ``mien models show`` prints."""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of: mien models list.")]


@app.command("list")
def list_models() -> None:
    """Every model that mien knows, and whether it is on this machine."""
    from rich.table import Table

    from mien.models.store import ModelStore

    store = ModelStore()
    states = {check.name: check.state for check in store.verify()}
    shown = Table("name", "kind", "state", "size", "licence", "what", box=None, pad_edge=False)
    for entry in store.entries():
        size = f"{entry.size / 1e6:.1f} MB"
        texts = (entry.name, entry.kind, states[entry.name], size, entry.licence, entry.summary)
        shown.add_row(*map(printable, texts))
    console().print(shown)


@app.command("pull")
def pull(name: NameArgument) -> None:
    """Fetch a published model once; its SHA-256 is checked."""
    from mien.models.store import ModelStore

    with progress(f"fetching {name}") as tell:
        path = ModelStore().pull(name, lambda done, whole: tell(done / max(whole, 1)))
    sys.stdout.write(f"{path}\n")


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .onnx file that mien wrote, or a published file.")],
    name: Annotated[str | None, typer.Option("--name", help="What to call it; by default as its card does.")] = None,
) -> None:
    """Keep a model under a name; also the way to bring a published one without network."""
    from mien.models.store import ModelStore

    entry = ModelStore().add(file, name)
    sys.stdout.write(f"added: {entry.name} ({entry.kind})\n")


@app.command("remove")
def remove(name: NameArgument) -> None:
    """Forget a model that was fetched or added."""
    from mien.models.store import ModelStore

    ModelStore().remove(name)


@app.command("verify")
def verify() -> None:
    """Check the bytes of every model on this machine; exits with 1 if one was changed."""
    from mien.models.store import ModelStore

    checks = ModelStore().verify()
    for check in checks:
        sys.stdout.write(f"{check.state:8} {check.name}  {check.where}\n")
    if any(check.state == "changed" for check in checks):
        raise typer.Exit(SOME_FAILED)


@app.command("networks")
def networks() -> None:
    """Every network that mien train can teach."""
    from mien.training import prepare_backend

    prepare_backend()
    from rich.table import Table

    from mien.training.architectures import ARCHITECTURES
    from mien.training.architectures.detector import face_detector

    shown = Table("name", "what", box=None, pad_edge=False)
    for name, build in {**ARCHITECTURES, FACE_DETECTOR: face_detector}.items():
        shown.add_row(name, (build.__doc__ or "").strip().splitlines()[0])
    console().print(shown)


@app.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A model's name, an .onnx file, a run directory, or a network's name."),
    ],
    *,
    network: Annotated[
        bool, typer.Option("--network", help="The network of the architectures, where a model goes by the same name.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Of a network: side of the face crop, in pixels [48; of the face detector 320]."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", help="Of a network: 1 (grey) or 3 (colour) [1].")
    ] = None,
    labels: Annotated[int | None, typer.Option("--labels", help="Of a network: how many labels it tells [7].")] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="List the layers of a network inside the network too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a network layer by layer: shapes, parameters, multiply-adds; of a model file also its card.

    The card (labels, crop rule, calibration, origin, config, scores) is whole with --json.
    """
    asked = (size, channels, labels)
    if network or any(value is not None for value in asked) or not _is_model(name):
        summary = _network(name, asked, expand=expand)
        if as_json:
            _print_json(summary.to_dict())
        else:
            _print_layers(summary)
    else:
        _show_model(name, as_json=as_json)


def _is_model(name: str) -> bool:
    from mien.models.store import ModelStore

    return Path(name).exists() or name.endswith(".onnx") or name in {entry.name for entry in ModelStore().entries()}


def _network(name: str, asked: tuple[int | None, ...], *, expand: bool) -> ModelSummary:
    """A network of the architectures for images of the side, channels and labels that were asked for."""
    from mien.training import prepare_backend

    known = "a model's name (see: mien models list), an .onnx file, a run directory"
    try:
        prepare_backend()
    except MissingExtraError as error:
        raise UsageError(
            f"expected {known}; received {name!r}. To see networks of the architectures: {error}"
        ) from error
    from mien.training.architectures import ARCHITECTURES, NetworkShape
    from mien.training.architectures.complexity import detector_summary, summary_of

    if name == FACE_DETECTOR:
        side = 320 if asked[0] is None else asked[0]
        if asked[1:] != (None, None) or expand or side < 32 or side % 32:
            raise UsageError(
                "expected of the face detector no option but --size, a multiple of 32 from 32 on; "
                f"received a size of {side}" + ("" if asked[1:] == (None, None) and not expand else " and others")
            )
        return detector_summary(side)
    if name not in ARCHITECTURES:
        raise UsageError(f"expected {known} or a network (see: mien models networks); received {name!r}")
    size, channels, labels = (usual if value is None else value for value, usual in zip(asked, USUAL, strict=True))
    if size < 1 or channels not in (1, 3) or labels < 2:
        raise UsageError(
            f"expected a side of 1 or more, 1 or 3 channels and 2 or more labels; received {size}, {channels}, {labels}"
        )
    return summary_of(name, NetworkShape(size, channels, (("labels", labels),)), expand=expand)


def _show_model(name: str, *, as_json: bool) -> None:
    from mien.apps.model_file import described
    from mien.models.store import ModelStore

    found = described(ModelStore().load(model_named(name)))
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
        say(f"no layers: {found.reason}")


def _print_card(card: ModelCard | DetectorCard) -> None:
    from rich.table import Table
    from rich.text import Text

    from mien.models.card import ModelCard

    lines = {
        "model": card.name,
        **(_told_of_reader(card) if isinstance(card, ModelCard) else _told_of_detector(card)),
        "network": card.origin.network,
        "data": card.origin.data,
        "made with": card.origin.made_with,
        "licence": card.origin.licence,
        "scores": "\n".join(
            f"{score.split}, {score.head}: {score.metric} {score.value:.4f} of {score.count}"
            for score in card.scores
            if score.metric in TOLD
        ),
    }
    shown = Table.grid(padding=(0, 2))
    for title, words in lines.items():
        if words:
            shown.add_row(Text(title, style="dim"), Text(printable(words)))
    console().print(shown)


def _told_of_reader(card: ModelCard) -> dict[str, str]:
    mirrored = ", read mirrored too" if card.mirrored else ""
    return {
        "crops": f"{card.size}x{card.size}x{card.channels}, cut {card.crop.factor:g} times the face{mirrored}",
        "answers": ", ".join(card.fused.labels),
        "heads": ", ".join(f"{head.name} ({len(head.labels)} labels)" for head in card.heads),
    }


def _told_of_detector(card: DetectorCard) -> dict[str, str]:
    return {
        "a face": f"from a score of {card.score:g}; of two that share more than {card.overlap:g} the better one",
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
    taught = summary.parameters if summary.trainable is None else summary.trainable
    kept = f" ({summary.parameters - taught:,} of them not trained)" if summary.parameters > taught else ""
    console().print(shown)
    console().print(f"{summary.parameters:,} parameters{kept}, {summary.multiply_adds:,} multiply-adds a face crop")


def _print_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
