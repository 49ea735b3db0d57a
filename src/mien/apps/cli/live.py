"""``mien live`` and ``mien collect``: windows with a camera in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import AvatarOption, DetectorOption, ModelOption, model_named
from mien.errors import MienError, UsageError

if TYPE_CHECKING:
    import tkinter as tk
    from collections.abc import Callable

    from mien.media.video import Source

NO_TK = (
    "the window needs Tk, which this Python was built without: sudo apt install python3-tk on Debian and Ubuntu, "
    "brew install python-tk on macOS"
)
NO_DISPLAY = "the window needs a display, and there is none ({error}): log in to a desktop, or use mien predict"

CameraOption = Annotated[int | None, typer.Option("--camera", min=1, help="Start at once with this camera, from 1.")]
ThemeOption = Annotated[str, typer.Option("--theme", help="auto, light, or dark.")]
MirrorOption = Annotated[bool, typer.Option("--mirror/--no-mirror", help="Show a camera as a mirror does.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("live")(live)
    app.command("collect")(collect)


def live(
    *,
    camera: CameraOption = None,
    video: Annotated[Path | None, typer.Option("--video", help="Start at once with a video or an image.")] = None,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    avatar: AvatarOption = "drawn",
    mirror: MirrorOption = True,
    theme: ThemeOption = "auto",
    out: Annotated[Path, typer.Option("--out", help="Where snapshots and recordings go.")] = Path(),
) -> None:
    """A window: the camera, a video or an image on one side, an avatar with the same expression on the other.

    Without --camera or --video nothing is opened until you press Start. Keys: space start and stop, o open, m mirror,
    c cover faces, b baseline, r record, s snapshot, n next face, f full screen, q leave.
    """
    source = _chosen(camera, video)
    root = _window(theme)
    from mien.apps.desktop.window import Choices, LiveWindow
    from mien.recognizer import Recognizer
    from mien.visualization.avatar.styles import find_avatar

    models, detectors = _names()
    choices = Choices(source, model_named(model), detector, models, detectors, mirror, theme, out)
    LiveWindow(choices, Recognizer.load, find_avatar(avatar), root).root.mainloop()


def collect(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to collect in; what is there already counts.")],
    camera: CameraOption = None,
    video: Annotated[Path | None, typer.Option("--video", help="A video in place of a camera.")] = None,
    each: Annotated[int, typer.Option("--each", min=1, help="Images wanted of each expression.")] = 20,
    frames: Annotated[bool, typer.Option("--frames", help="Keep whole frames, not faces cut out.")] = False,
    detector: DetectorOption = "auto",
    avatar: AvatarOption = "drawn",
    mirror: MirrorOption = True,
    theme: ThemeOption = "auto",
) -> None:
    """A window that asks for one expression after another and keeps images of each, for mien train.

    The camera is opened after a notice that has to be agreed to.
    """
    from mien.live.collection import Collection
    from mien.live.engine import Engine
    from mien.media.camera import CameraSource, cameras
    from mien.media.video import open_file
    from mien.recognizer import Recognizer

    recognizer = Recognizer.load(detector=detector)
    collection = Collection(out, None if frames else recognizer.classifier.card.crop, each)
    source = _chosen(camera, video)
    if source is None:
        source = next((one.number for one in cameras()), 0)
    opener: Callable[[], Source] = (
        (lambda: CameraSource(source)) if isinstance(source, int) else (lambda: open_file(source))
    )
    root = _window(theme)
    from mien.apps.desktop.collecting import CollectionWindow
    from mien.apps.desktop.theme import palette
    from mien.visualization.avatar.styles import find_avatar

    engine = Engine(lambda: recognizer, opener)
    mirrored = mirror and video is None
    CollectionWindow(collection, engine, find_avatar(avatar), root, palette(theme), mirrored=mirrored).root.mainloop()


def _chosen(camera: int | None, video: Path | None) -> int | Path | None:
    """The number of a camera from 0, or a file."""
    if camera is not None and video is not None:
        raise UsageError("expected --camera or --video; received both")
    return camera - 1 if camera is not None else video


def _window(theme: str) -> tk.Tk:
    """Tk's window; where there can be none, why."""
    try:
        import tkinter as tk
    except ImportError as error:
        raise MienError(f"{NO_TK} ({error})") from error
    from mien.apps.desktop.theme import THEMES, sharpen

    if theme not in THEMES:
        raise UsageError(f"expected a theme of {', '.join(THEMES)}; received {theme!r}")
    sharpen()
    try:
        return tk.Tk(className="mien")
    except tk.TclError as error:
        raise MienError(NO_DISPLAY.format(error=error)) from error


def _names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models and the detectors that are on this machine."""
    from mien.models.store import ModelStore
    from mien.recognizer import detectors_here

    store = ModelStore()
    here = [entry for entry in store.entries() if store.has(entry.name)]
    models = tuple(entry.name for entry in here if entry.kind == "classifier")
    return models, (*detectors_here(store), "whole")
