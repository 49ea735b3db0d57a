"""``mien predict``: photos, folders and videos in; a table, JSON Lines, CSV, Parquet or annotated images out."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mien.apps.cli.file_outputs import Drawings, given, is_video, write_timelines
from mien.apps.cli.file_reader import FileReader
from mien.apps.cli.options import (
    BATCH,
    INPUT,
    OUTPUT,
    SOME_FAILED,
    VIDEO,
    AvatarOption,
    DetectorOption,
    HeadOption,
    ModelOption,
    examples,
    model_named,
    progress,
    say,
)
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mien.media.file_kind import Kind
    from mien.structures import FrameResult

    Output = Callable[[FrameResult], None]


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = (
        "mien predict photo.jpg holiday/                  # a table",
        "mien predict holiday/ --csv faces.csv --draw out # a spreadsheet, boxes",
        "mien predict clip.mp4 --page clip.html           # a timeline of a video",
    )
    app.command("predict", epilog=examples(*lines))(predict)


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            rich_help_panel=INPUT,
            help="Photos, videos, folders of them; with --out photos, and Parquet files of images.",
        ),
    ],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    head: HeadOption = "fused",
    as_json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=OUTPUT, help="Print JSON Lines, one per image or frame."),
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", rich_help_panel=OUTPUT, help="Write a CSV file, one row per face."),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(
            "--parquet",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write a Parquet file, one row per face; needs 'mien[parquet]'.",
        ),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw", metavar="FOLDER", rich_help_panel=OUTPUT, help="Write images and videos with annotated faces."
        ),
    ] = None,
    anonymize: Annotated[
        Path | None,
        typer.Option(
            "--anonymize",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
            help="Write images and videos with an avatar over each face. Videos need 'mien[video]', as with --draw.",
        ),
    ] = None,
    avatar: AvatarOption = "drawn",
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="SECONDS", rich_help_panel=VIDEO, help="Interval between analyzed frames."),
    ] = None,
    stride: Annotated[
        int, typer.Option("--stride", metavar="N", rich_help_panel=VIDEO, help="Analyze every N-th frame.")
    ] = 1,
    start: Annotated[float, typer.Option("--from", metavar="SECONDS", rich_help_panel=VIDEO, help="Start time.")] = 0.0,
    end: Annotated[
        float | None, typer.Option("--to", metavar="SECONDS", rich_help_panel=VIDEO, help="End time.")
    ] = None,
    srt: Annotated[
        Path | None,
        typer.Option("--srt", metavar="FILE", rich_help_panel=VIDEO, help="Write SubRip subtitles; of one video."),
    ] = None,
    vtt: Annotated[
        Path | None,
        typer.Option("--vtt", metavar="FILE", rich_help_panel=VIDEO, help="Write WebVTT subtitles; of one video."),
    ] = None,
    elan: Annotated[
        Path | None,
        typer.Option("--elan", metavar="FILE", rich_help_panel=VIDEO, help="Write ELAN annotations; of one video."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", rich_help_panel=VIDEO, help="Write an HTML timeline; of one video."),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option("--thumbnails/--no-thumbnails", rich_help_panel=VIDEO, help="Show the faces on the page."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            rich_help_panel=BATCH,
            help="Write many images into one .parquet, .csv or .jsonl, on all cores. A killed run continues.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            min=1,
            metavar="N",
            rich_help_panel=BATCH,
            show_default="one per core",
            help="Number of worker processes.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            rich_help_panel=BATCH,
            help="local, or ray: on the cluster at RAY_ADDRESS, else on this machine; needs 'mien[scale]'.",
        ),
    ] = "local",
) -> None:
    """Classify the expression of each face in photos and videos.

    In videos a tracker gives each face a number and smooths its probabilities over half a second.
    """
    from mien.media.video import Sampling
    from mien.recognizer import Recognizer

    sampling = Sampling(every, stride, start, end)
    files = _files_for_batch(sources, out) if out else files_in(sources, outputs=(csv, parquet, srt, vtt, elan, page))
    images = [path for path in files if not is_video(path)]
    timelines = {"srt": srt, "vtt": vtt, "elan": elan, "page": page}
    if out:
        if len(images) != len(files) or any((csv, parquet, draw, anonymize, as_json, *timelines.values())):
            raise UsageError("expected images alone with --out, and no other form of results")
        if _predict_batch(images, _Models(model_named(model), detector, head), out, processes, engine):
            raise typer.Exit(SOME_FAILED)
        return
    if any(timelines.values()) and (images or len(files) != 1):
        raise UsageError(f"expected one video for {given(timelines)}; received {len(files)} files")
    drawings = [Drawings(draw, files)] if draw else []
    if anonymize:
        drawings.append(_anonymized(anonymize, files, avatar))
    recognizer = Recognizer.load(model_named(model), detector, head)
    with result_files(recognizer.labels, csv, parquet) as write:
        outputs = [write, *([print_json] if as_json else [])]
        reader = FileReader(recognizer, sampling, outputs, drawings, table=not as_json)
        if page:
            from mien.visualization.report.curves import Curves

            reader.curves = Curves(thumbnails=thumbnails)
        failed = reader.read(files)
    for path, timeline in reader.videos:
        write_timelines(path, timeline, reader.curves, timelines)
    for path in filter(None, (csv, parquet, draw, anonymize, *timelines.values())):
        say(f"written: {path}" + ("; open it in a browser" if path == page else ""))
    if failed:
        raise typer.Exit(SOME_FAILED)


class _Models(NamedTuple):
    """Names or paths of a model and a detector, and the output head."""

    model: str
    detector: str
    head: str


def _files_for_batch(sources: Sequence[Path], out: Path) -> list[Path]:
    """The images among the sources, and Parquet files of images."""
    from mien.batch import parts_folder

    return files_in(sources, ["image"], [".parquet"], [out, parts_folder(out)])


def _predict_batch(sources: Sequence[Path], models: _Models, out: Path, processes: int | None, engine: str) -> bool:
    """Write the predictions of many images into one table; whether some could not be read."""
    from mien.batch import Pipeline, Plan, image_references, run_batch
    from mien.recognizer import Recognizer

    labels = Recognizer.load(*models).labels  # a wrong name fails here, once, and not in every process
    plan = Plan(Pipeline.of(*models), tuple(image_references(sources)))
    with progress("analyzing") as update:
        report = run_batch(plan, out, labels, processes, lambda done, total: update(done / total), engine)
    earlier = report.images - report.analyzed
    summary = f"{report.analyzed} images in {report.seconds:.0f} s, {report.images_per_second:.0f} images/s"
    say(summary + (f"; {earlier} were done before" if earlier else "") + f"; written: {out}")
    if report.warned:
        say(f"{report.warned} images were read with a warning; mien predict without --out, or a .jsonl, has the words")
    if report.failed:
        say(f"{report.failed} images could not be read; the column error has the reasons")
    return bool(report.failed)


def _anonymized(folder: Path, files: Iterable[Path], avatar: str) -> Drawings:
    from mien.visualization.anonymize import Anonymizer
    from mien.visualization.avatar.styles import find_avatar

    kind = find_avatar(avatar)
    return Drawings(folder, files, lambda: Anonymizer(kind).anonymize)


def files_in(
    sources: Sequence[Path],
    kinds: Sequence[Kind] = ("image", "video"),
    suffixes: Sequence[str] = (),
    outputs: Iterable[Path | None] = (),
) -> list[Path]:
    """Find the images and videos among the sources; one line says what else was in their folders.

    Args:
        sources: files, and folders that are searched.
        kinds: what to take from folders: "image", "video".
        suffixes: of further files to take from folders.
        outputs: files and folders that this command writes; they are not reported as skipped.

    Raises:
        UsageError: there are none.
    """
    from mien.media.folders import find_files, in_words

    skipped: list[Path] = []
    found = list(find_files(sources, kinds, suffixes, filter(None, outputs), skipped.append))
    if not found:
        raise UsageError(
            f"expected {' or '.join(f'{kind}s' for kind in kinds)}; found none in {', '.join(map(str, sources))}"
            + (f" ({in_words(skipped)})" if skipped else "")
        )
    if skipped:
        say(in_words(skipped) + ("" if "video" in kinds else "; images alone are taken here"))
    return found


def print_json(result: FrameResult) -> None:
    """Print a result as a JSON line and flush it."""
    from mien.outputs import to_json_line

    sys.stdout.write(to_json_line(result) + "\n")
    sys.stdout.flush()


@contextmanager
def result_files(labels: tuple[str, ...], csv: Path | None, parquet: Path | None) -> Iterator[Output]:
    """A function that writes each result to the CSV and Parquet files; they are complete when the block ends.

    Raises:
        UsageError: a file is a folder, or has the name of an image, as after ``--csv *.jpg``.
    """
    from mien.media.file_kind import IMAGE_SUFFIXES
    from mien.outputs import open_csv, open_parquet

    for path in filter(None, (csv, parquet)):
        if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
            kind = "a folder" if path.is_dir() else "the name of an image"
            raise UsageError(f"expected a file for results, such as faces.csv; received {kind}, {path}")
    with ExitStack() as files:
        writers = [
            files.enter_context(opened(path, labels))
            for opened, path in ((open_csv, csv), (open_parquet, parquet))
            if path is not None
        ]

        def write(result: FrameResult) -> None:
            for writer in writers:
                writer.write(result)

        yield write
