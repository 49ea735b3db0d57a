"""``mien serve``: the web page and the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.apps.cli.options import DetectorOption, ModelOption, model_named, say
from mien.errors import MissingExtraError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    *,
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0: a free one.")] = 8000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    token: Annotated[
        str, typer.Option("--token", envvar="MIEN_TOKEN", help="Token that clients must send: 16 letters and digits.")
    ] = "",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Accept other machines; needs --host and --token.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Worker processes; by default one a core.")
    ] = None,
) -> None:
    """Serve a web page with camera and photos, and an HTTP API, on this machine.

    Nothing is sent elsewhere and no image is kept. Ctrl-C, SIGTERM or SIGHUP finishes accepted requests, then stops.
    """
    try:
        from mien.apps.server import Settings, run
    except ImportError as error:
        raise MissingExtraError("mien serve", error.name or "fastapi", "serve") from error
    from mien.media.prefetch import cores

    settings = Settings(model_named(model), detector, workers or cores(), host, port, token, allow_remote)
    run(settings, lambda address: say(f"mien serves at {address}{'?token=TOKEN' if token else ''} (Ctrl-C stops it)"))
