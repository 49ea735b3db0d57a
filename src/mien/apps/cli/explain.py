"""``mien explain``: attribution maps of predictions, with an HTML report for each image and an overview of all."""

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
from mien.apps.cli.output_guard import Output, check_folder, check_outputs
from mien.apps.cli.sources import files_in
from mien.errors import ImageError, UsageError, printable
from mien.media.files import UniqueNames, identity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.explain import Explainer, Explanation, Faithfulness
    from mien.recognizer import Recognizer

OCCLUSION = "occlusion"
GRADIENT_METHODS = ("grad-cam", "integrated-gradients")
OVERVIEW = "index.html"


def register(app: typer.Typer) -> None:
    """Add ``mien explain`` to the command line."""
    app.command("explain")(explain)


def explain(
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Images, or folders of images.")],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    head: HeadOption = "fused",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="occlusion; for a run directory also grad-cam and integrated-gradients. May be repeated.",
            rich_help_panel="Explanation",
        ),
    ] = None,
    expression: Annotated[
        str | None,
        typer.Option(
            "--expression",
            help="Expression to explain; default: the predicted one.",
            rich_help_panel="Explanation",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Test the faithfulness of each map: randomisation, deletion, insertion.",
            rich_help_panel="Explanation",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the reports; default: explained/, or none with --json.",
            rich_help_panel="Output",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain predictions: attribution maps, shares by face part, an HTML report per image."""
    files = files_in(sources, ["image"])
    if any(map(is_video, files)):
        raise UsageError("expected images; received a video: mien predict --draw writes images of its faces")
    recognizer, explainers = _load(model, detector, head, method or [OCCLUSION])
    reports = None if as_json and out is None else Reports(out or Path("explained"), files)
    failed = False
    with progress("explaining", quiet=as_json) as report_progress:
        for number, path in enumerate(files):
            found, error = _explain_file(recognizer, path, explainers, expression, check=check)
            failed |= error is not None
            if reports and error is None:
                reports.write(path, found)
            (_print_json if as_json else _print)(path, found, error)
            report_progress((number + 1) / len(files))
    if reports and reports.written:
        say(f"mien: wrote {reports.finish()}; open it in a browser")
    if failed:
        raise typer.Exit(SOME_FAILED)


class Reports:
    """Writes a report for each image, and an overview page, into one folder.

    Args:
        folder: created if needed.
        files: all images; reports of images with the same name are numbered.
    """

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        from mien import __version__

        self._folder, self._footer = folder, f"mien {__version__}"
        names = UniqueNames(OVERVIEW)
        self._pages = {path: folder / names.unique(path.stem, ".html") for path in files}
        self.written: list[tuple[str, str, Sequence[Explanation]]] = []
        check_folder("--out", folder)
        check_outputs([Output("--out", page) for page in (*self._pages.values(), folder / OVERVIEW)], files)
        # the PNG of a face has the name of its image: one that lies there, or a link to it, keeps the name
        images = set(map(identity_of, files))
        present = folder.iterdir() if folder.is_dir() else ()
        self._images = UniqueNames(*(path.name for path in present if identity_of(path) in images))

    def write(self, path: Path, found: Sequence[Explanation]) -> None:
        """Write the report of one image, and each face with its maps as a PNG file."""
        from mien.explain.overlay import side_by_side
        from mien.explain.page import explanation_page
        from mien.media.files import write_text
        from mien.media.image import write

        page = self._pages[path]
        write_text(page, explanation_page(path.name, found, self._footer))
        for explanation in found:
            write(self._folder / self._images.unique(page.stem, ".png"), side_by_side(explanation))
        self.written.append((path.name, page.name, found))

    def finish(self) -> Path:
        """Write the overview where there are several images; returns the file to open."""
        from mien.explain.page import overview_page
        from mien.media.files import write_text

        if len(self.written) == 1:
            return self._folder / self.written[0][1]
        write_text(self._folder / OVERVIEW, overview_page("Explanations", self.written, self._footer))
        return self._folder / OVERVIEW


def _load(model: str, detector: str, head: str, methods: Sequence[str]) -> tuple[Recognizer, tuple[Explainer, ...]]:
    """The recognizer and one explainer per method, all of the same model.

    Raises:
        UsageError: a method is unknown, or needs a run directory.
    """
    from mien.detection import find_detector
    from mien.explain import Occlusion
    from mien.models.store import ModelStore
    from mien.recognizer import Recognizer

    unknown = sorted(set(methods) - {OCCLUSION, *GRADIENT_METHODS})
    if unknown:
        raise UsageError(
            f"expected a method of {OCCLUSION}, {', '.join(GRADIENT_METHODS)}; received {', '.join(unknown)}"
        )
    store, run = ModelStore(), Path(model)
    content = store.load(model_named(model))
    occlusion = Occlusion(content, head, threads=None)
    makers: dict[str, Callable[[], Explainer]] = {OCCLUSION: lambda: occlusion}
    if set(methods) & set(GRADIENT_METHODS):
        if not run.is_dir():
            raise UsageError(
                f"expected a run directory as --model for {' and '.join(GRADIENT_METHODS)}, which need its Keras "
                f"network; received {model!r}: use --method occlusion, which explains any model"
            )
        from mien.explain.gradients import grad_cam, integrated_gradients

        makers |= {
            "grad-cam": lambda: grad_cam(run, head),
            "integrated-gradients": lambda: integrated_gradients(run, head),
        }
    recognizer = Recognizer(find_detector(detector, store), occlusion.classifier, head)
    return recognizer, tuple(makers[name]() for name in dict.fromkeys(methods))


def _explain_file(
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
    from mien.explain.explanation import explanation_json

    sys.stdout.write(explanation_json(str(path), found, error) + "\n")
    sys.stdout.flush()


def _print(path: Path, found: Sequence[Explanation], error: str | None) -> None:
    if error:
        say(f"mien: {error}")
        return
    lines = [line for explanation in found for line in _lines(explanation)] or ["no face found"]
    console().print("\n".join([printable(str(path)), *(f"  {line}" for line in lines)]))


def _lines(explanation: Explanation) -> list[str]:
    """The terminal output for one face."""
    unsure = " (unsure)" if explanation.prediction.unsure else ""
    probability = explanation.prediction.probability_of(explanation.label)
    lines = [f"{printable(explanation.label)} {probability:.0%}{unsure}"]
    for attribution in explanation.maps:
        parts = ", ".join(f"{part.name} {part.share:.0%}" for part in attribution.parts)
        lines.append(f"  {attribution.method}: {parts or 'no landmarks, so no face parts'}")
        if attribution.faithfulness:
            lines += _faithfulness_lines(attribution.faithfulness)
    return lines


def _faithfulness_lines(faithfulness: Faithfulness) -> list[str]:
    areas = faithfulness.curves
    correlations = ", ".join(
        f"{correlation:+.2f} at {share:.0%}" for share, correlation in faithfulness.rank_correlations
    )
    baselines = f"random {areas.random.area:.2f}, centre first {areas.centre.area:.2f}"
    return [
        f"    deletion {areas.deletion.area:.2f} ({baselines}), insertion {areas.insertion.area:.2f}",
        f"    rank correlation with randomised layers: {correlations}",
    ]
