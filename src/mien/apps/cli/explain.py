"""``mien explain``: what an answer hung on, as maps over the faces, a page an image and a sheet of all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.file_outputs import is_video
from mien.apps.cli.options import (
    SOME_FAILED,
    DetectorOption,
    HeadOption,
    JsonOption,
    ModelOption,
    console,
    model_named,
    progress,
    say,
)
from mien.apps.cli.predict import files_in
from mien.errors import ImageError, UsageError, printable
from mien.media.files import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.explain import Explainer, Explanation
    from mien.recognizer import Recognizer

OCCLUSION = "occlusion"
BY_GRADIENTS = ("grad-cam", "integrated-gradients")
SHEET = "index.html"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("explain")(explain)


def explain(
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Photos, and folders of them.")],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    head: HeadOption = "fused",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="occlusion; of a run directory also grad-cam and integrated-gradients. Several may be named.",
        ),
    ] = None,
    expression: Annotated[
        str | None, typer.Option("--expression", help="The expression to explain; by default the one named.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check each map: against random weights, by deletion and by insertion.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the pages here; by default explained/, with --json nowhere.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an answer hung on: maps over the faces, the parts that carried it, a page an image, a sheet of all."""
    files = files_in(sources)
    if any(map(is_video, files)):
        raise UsageError("expected images; received a video: mien predict --draw writes images of its faces")
    recognizer, explainers = _made(model, detector, head, method or [OCCLUSION])
    pages = None if as_json and out is None else Pages(out or Path("explained"), files)
    failed = False
    with progress("explaining", quiet=as_json) as tell:
        for number, path in enumerate(files):
            found, error = _explained(recognizer, path, explainers, expression, check=check)
            failed |= error is not None
            if pages and error is None:
                pages.write(path, found)
            (_print_json if as_json else _print)(path, found, error)
            tell((number + 1) / len(files))
    if pages and pages.written:
        say(f"mien: wrote {pages.finish()}")
    if failed:
        raise typer.Exit(SOME_FAILED)


class Pages:
    """A page an image and the sheet of all, in one folder.

    Args:
        folder: made if need be.
        files: all images; two of one name get numbered pages.
    """

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        from mien import __version__

        self._folder, self._made = folder, f"mien {__version__}"
        names = UniqueNames(SHEET)
        self._pages = {path: folder / names.unique(path.stem, ".html") for path in files}
        self._images = UniqueNames()
        self.written: list[tuple[str, str, Sequence[Explanation]]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, found: Sequence[Explanation]) -> None:
        """The page of one image, and beside it the face and its maps as PNG, a file a face."""
        from mien.explain.overlay import beside
        from mien.explain.page import explanation_page
        from mien.media.files import write_text
        from mien.media.image import write

        page = self._pages[path]
        write_text(page, explanation_page(path.name, found, self._made))
        for one in found:
            write(self._folder / self._images.unique(page.stem, ".png"), beside(one))
        self.written.append((path.name, page.name, found))

    def finish(self) -> Path:
        """The sheet where there are several images; the file to open."""
        from mien.explain.page import sheet_page
        from mien.media.files import write_text

        if len(self.written) == 1:
            return self._folder / self.written[0][1]
        write_text(self._folder / SHEET, sheet_page("What the answers hung on", self.written, self._made))
        return self._folder / SHEET


def _made(model: str, detector: str, head: str, methods: Sequence[str]) -> tuple[Recognizer, tuple[Explainer, ...]]:
    """The recognizer, and an explainer a method, all of one model.

    Raises:
        UsageError: a method is unknown, or needs a run directory.
    """
    from mien.explain import Occlusion
    from mien.models.store import ModelStore
    from mien.recognizer import Recognizer, find_detector

    unknown = sorted(set(methods) - {OCCLUSION, *BY_GRADIENTS})
    if unknown:
        raise UsageError(f"expected a method of {OCCLUSION}, {', '.join(BY_GRADIENTS)}; received {', '.join(unknown)}")
    store, run = ModelStore(), Path(model)
    content = store.load(model_named(model))
    occlusion = Occlusion(content, head, threads=None)
    makers: dict[str, Callable[[], Explainer]] = {OCCLUSION: lambda: occlusion}
    if set(methods) & set(BY_GRADIENTS):
        if not run.is_dir():
            raise UsageError(
                f"expected a run directory as --model for {' and '.join(BY_GRADIENTS)}, which need the network itself; "
                f"received {model!r}: occlusion explains any model"
            )
        from mien.explain.gradients import grad_cam, integrated_gradients

        makers |= {
            "grad-cam": lambda: grad_cam(run, head),
            "integrated-gradients": lambda: integrated_gradients(run, head),
        }
    recognizer = Recognizer(find_detector(detector, store), occlusion.classifier, head)
    return recognizer, tuple(makers[name]() for name in dict.fromkeys(methods))


def _explained(
    recognizer: Recognizer, path: Path, explainers: Sequence[Explainer], expression: str | None, *, check: bool
) -> tuple[tuple[Explanation, ...], str | None]:
    from mien.explain import explain as explain_frame
    from mien.media.image import read

    try:
        frame = read(path)
    except ImageError as error:
        return (), str(error)
    return explain_frame(recognizer, frame, explainers, expression, check=check), None


def _print_json(path: Path, found: Sequence[Explanation], error: str | None) -> None:
    from mien.explain.results import explanation_line

    sys.stdout.write(explanation_line(str(path), found, error) + "\n")
    sys.stdout.flush()


def _print(path: Path, found: Sequence[Explanation], error: str | None) -> None:
    if error:
        say(f"mien: {error}")
        return
    lines = [line for one in found for line in _lines(one)] or ["no face found"]
    console().print("\n".join([printable(str(path)), *(f"  {line}" for line in lines)]))


def _lines(one: Explanation) -> list[str]:
    """What is told of a face on a terminal."""
    unsure = " (unsure)" if one.prediction.unsure else ""
    lines = [f"{printable(one.label)} {one.prediction.probability_of(one.label):.0%}{unsure}"]
    for shown in one.maps:
        parts = ", ".join(f"{part.name} {part.share:.0%}" for part in shown.parts)
        lines.append(f"  {shown.method}: {parts or 'no landmarks to tell parts by'}")
        if shown.check:
            areas = shown.check.erasing
            alike = ", ".join(f"{likeness:+.2f} at {share:.0%}" for share, likeness in shown.check.likeness)
            lines.append(
                f"    deletion {areas.deletion.area:.2f} (random {areas.random.area:.2f}, centre first "
                f"{areas.centre.area:.2f}), insertion {areas.insertion.area:.2f}; likeness with random layers: {alike}"
            )
    return lines
