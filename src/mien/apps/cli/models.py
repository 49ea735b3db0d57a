"""``mien models``: which models are here, fetching published ones, adding one's own, checking their bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.apps.cli.options import SOME_FAILED, console, model_named, printable, progress

app = typer.Typer(help="List, fetch, add, check and describe models.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name of: mien models list.")]


@app.command("list")
def list_models() -> None:
    """Every model that mien knows, and whether it is on this machine."""
    from rich.table import Table

    from mien.model_store import ModelStore

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
    from mien.model_store import ModelStore

    with progress(f"fetching {name}") as tell:
        path = ModelStore().pull(name, lambda done, whole: tell(done / max(whole, 1)))
    sys.stdout.write(f"{path}\n")


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An .onnx file that mien wrote, or a published one.")],
    name: Annotated[str | None, typer.Option("--name", help="What to call it; by default as its card does.")] = None,
) -> None:
    """Keep a model under a name; also the way to bring a published one without network."""
    from mien.model_store import ModelStore

    entry = ModelStore().add(file, name)
    sys.stdout.write(f"added: {entry.name} ({entry.kind})\n")


@app.command("remove")
def remove(name: NameArgument) -> None:
    """Forget a model that was fetched or added."""
    from mien.model_store import ModelStore

    ModelStore().remove(name)


@app.command("verify")
def verify() -> None:
    """Check the bytes of every model on this machine; exits with 1 if one was changed."""
    from mien.model_store import ModelStore

    checks = ModelStore().verify()
    for check in checks:
        sys.stdout.write(f"{check.state:8} {check.name}  {check.where}\n")
    if any(check.state == "changed" for check in checks):
        raise typer.Exit(SOME_FAILED)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, an .onnx file, or a run directory.")],
) -> None:
    """Print a model's card as JSON: labels, crop rule, calibration, origin, recipe, scores."""
    import json

    from mien.model_store import ModelStore
    from mien.onnx_guard import card_of

    card = card_of(ModelStore().load(model_named(model)))
    sys.stdout.write(json.dumps(json.loads(card.to_json()), indent=2, ensure_ascii=False) + "\n")
