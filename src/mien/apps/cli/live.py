"""``mien live`` and ``mien collect``: the desktop windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import AvatarOption, DetectorOption, ModelOption, model_named
from mien.apps.cli.output_guard import check_folder
from mien.errors import MienError, UsageError

if TYPE_CHECKING:
    import tkinter as tk
    from collections.abc import Callable
    from types import TracebackType

    from mien.apps.desktop.collect_window import CollectionWindow
    from mien.apps.desktop.window import LiveWindow
    from mien.media.video import Source

NO_TK = (
    "the window needs Tk, which this Python was built without: sudo apt install python3-tk on Debian and Ubuntu, "
    "brew install python-tk on macOS"
)
NO_DISPLAY = "the window needs a display, and there is none ({error}): log in to a desktop, or use mien predict"

INPUT, WINDOW, OUTPUT = "Input", "Window", "Output"
"""Groups of options on the help pages."""

LIVE_EXAMPLES = """\b
Examples:
  mien live                        # choose a camera and press Start
  mien live --camera 1             # start with the first camera
  mien live --video clip.mp4 --theme dark"""

COLLECT_EXAMPLES = """\b
Examples:
  mien collect --out mine                # 20 images per expression
  mien collect --out mine --each 50 --camera 2
  mien train --data mine --out runs/mine # train on them"""

CameraOption = Annotated[
    int | None,
    typer.Option("--camera", min=1, metavar="N", rich_help_panel=INPUT, help="Start with this camera; the first is 1."),
]
ThemeOption = Annotated[
    str,
    typer.Option(
        "--theme",
        metavar="THEME",
        rich_help_panel=WINDOW,
        help="Colors of the window: light, dark, or auto (the setting of the desktop).",
    ),
]
MirrorOption = Annotated[
    bool, typer.Option("--mirror/--no-mirror", rich_help_panel=WINDOW, help="Show a camera as a mirror does.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("live", epilog=LIVE_EXAMPLES)(live)
    app.command("collect", epilog=COLLECT_EXAMPLES)(collect)


def live(
    *,
    camera: CameraOption = None,
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="PATH", rich_help_panel=INPUT, help="Start with this video or image."),
    ] = None,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    avatar: AvatarOption = "drawn",
    mirror: MirrorOption = True,
    theme: ThemeOption = "auto",
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", rich_help_panel=OUTPUT, help="Folder for snapshots and recordings."),
    ] = Path(),
) -> None:
    """Recognize expressions live: webcam, video or image, with an avatar.

    Without --camera or --video nothing is opened until you press Start.

    Keys: space start and stop, o open, m mirror, c anonymize faces, b baseline,
    r record, s snapshot, n next face, f full screen, q quit.
    """
    source = _source(camera, video)
    check_folder("--out", out)
    root = _window(theme)
    from mien.apps.desktop.layout import Choices
    from mien.apps.desktop.window import LiveWindow
    from mien.recognizer import Recognizer
    from mien.visualization.avatar.styles import find_avatar

    models, detectors = _installed()
    choices = Choices(source, model_named(model), detector, models, detectors, mirror, theme, out)
    _show(LiveWindow(choices, Recognizer.load, find_avatar(avatar), root))


def collect(
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", rich_help_panel=OUTPUT, help="Folder to collect in; existing images count."
        ),
    ],
    camera: CameraOption = None,
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="PATH", rich_help_panel=INPUT, help="A video in place of a camera."),
    ] = None,
    each: Annotated[
        int, typer.Option("--each", min=1, metavar="N", rich_help_panel=OUTPUT, help="Images per expression.")
    ] = 20,
    frames: Annotated[
        bool, typer.Option("--frames", rich_help_panel=OUTPUT, help="Save whole frames in place of face crops.")
    ] = False,
    detector: DetectorOption = "auto",
    avatar: AvatarOption = "drawn",
    mirror: MirrorOption = True,
    theme: ThemeOption = "auto",
) -> None:
    """Collect images of your own expressions as training data.

    The window shows one expression after another and saves images of each.
    It opens the camera only after you agree to a notice.
    """
    from mien.live.collection import Collection
    from mien.live.engine import Engine
    from mien.media.camera import CameraSource, cameras
    from mien.media.video import open_file
    from mien.recognizer import Recognizer

    recognizer = Recognizer.load(detector=detector)
    collection = Collection(out, None if frames else recognizer.classifier.card.crop, each)
    source = _source(camera, video)
    if source is None:
        source = next((found.number for found in cameras()), 0)
    opener: Callable[[], Source] = (
        (lambda: CameraSource(source)) if isinstance(source, int) else (lambda: open_file(source))
    )
    root = _window(theme)
    from mien.apps.desktop.collect_window import CollectionWindow
    from mien.apps.desktop.theme import palette
    from mien.visualization.avatar.styles import find_avatar

    engine = Engine(lambda: recognizer, opener)
    mirrored = mirror and video is None
    _show(CollectionWindow(collection, engine, find_avatar(avatar), root, palette(theme), mirrored=mirrored))


def _source(camera: int | None, video: Path | None) -> int | Path | None:
    """The number of a camera from 0, or a file."""
    if camera is not None and video is not None:
        raise UsageError("expected --camera or --video; received both")
    return camera - 1 if camera is not None else video


def _window(theme: str) -> tk.Tk:
    """The Tk window; an error with the remedy if there can be none."""
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


def _show(window: LiveWindow | CollectionWindow) -> None:
    """Show a window until it is closed, or a signal closes it: a recording ends whole.

    Raises:
        KeyboardInterrupt: a signal came.
    """

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):  # Tk would print it and go on
            raise error
        default(kind, error, trace)

    default = window.root.report_callback_exception
    window.root.report_callback_exception = report
    try:
        window.root.mainloop()
    except KeyboardInterrupt:
        window.close()
        raise


def _installed() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models and detectors on this machine."""
    from mien.detection import detectors_here
    from mien.models.store import ModelStore

    store = ModelStore()
    local = [entry for entry in store.entries() if store.has(entry.name)]
    models = tuple(entry.name for entry in local if entry.kind == "classifier")
    return models, (*detectors_here(store), "whole")
