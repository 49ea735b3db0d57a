"""``mien predict``: photos, folders and videos in; a table, JSON Lines, CSV, Parquet or drawn images out."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.drawings import Drawings, is_video
from mien.apps.cli.file_reader import FileReader
from mien.apps.cli.many import Choice, read_many
from mien.apps.cli.options import (
    SOME_FAILED,
    AvatarOption,
    DetectorOption,
    HeadOption,
    JsonOption,
    ModelOption,
    model_named,
)
from mien.apps.cli.timelines import given, write_timelines
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mien.structures import FrameResult

    Output = Callable[[FrameResult], None]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("predict")(predict)


def predict(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", help="Photos, folders of them, videos; with --out Parquet of images."),
    ],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    head: HeadOption = "fused",
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file, a row a face.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file, a row a face.")] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", help="Write each image or video with its faces drawn here.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Write each image or video here, an avatar over each face.")
    ] = None,
    avatar: AvatarOption = "drawn",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Many images into one .parquet, .csv or .jsonl, by all cores; goes on after a kill."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="With --out; by default one a core.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="With --out: local, or ray, on the cluster that RAY_ADDRESS names if any.")
    ] = "local",
    every: Annotated[float | None, typer.Option("--every", help="Of a video: seconds from frame to frame.")] = None,
    stride: Annotated[int, typer.Option("--stride", help="Of a video: every so many-th frame.")] = 1,
    start: Annotated[float, typer.Option("--from", help="Of a video: seconds from which.")] = 0.0,
    end: Annotated[float | None, typer.Option("--to", help="Of a video: seconds to which.")] = None,
    srt: Annotated[Path | None, typer.Option("--srt", help="Of one video: write its subtitles, SubRip.")] = None,
    vtt: Annotated[Path | None, typer.Option("--vtt", help="Of one video: the same as WebVTT.")] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Of one video: write a page of who showed what, when.")
    ] = None,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Of the page: with small images of the faces.")
    ] = True,
    elan: Annotated[Path | None, typer.Option("--elan", help="Of one video: annotations for ELAN (.eaf).")] = None,
) -> None:
    """Name the expression that each face in photos and videos shows.

    In a video each face has the same number throughout, and what is told of it is steadied over half a second.
    """
    from mien.media.video import Sampling
    from mien.recognizer import Recognizer
    from mien.visualization.anonymize import Anonymizer
    from mien.visualization.avatar.styles import find_avatar

    sampling = Sampling(every, stride, start, end)
    files = files_in(sources, [".parquet"] if out else [])
    images = [path for path in files if not is_video(path)]
    timelines = {"srt": srt, "vtt": vtt, "elan": elan, "page": page}
    if out:
        if len(images) != len(files) or any((csv, parquet, draw, mask, as_json, *timelines.values())):
            raise UsageError("expected images alone with --out, and no other form of results")
        if read_many(images, Choice(model_named(model), detector, head, engine), out, processes):
            raise typer.Exit(SOME_FAILED)
        return
    if any(timelines.values()) and (images or len(files) != 1):
        raise UsageError(f"expected one video for {given(timelines)}; received {len(files)} files")
    drawn = [Drawings(draw, files)] if draw else []
    if mask:
        kind = find_avatar(avatar)
        drawn.append(Drawings(mask, files, lambda: Anonymizer(kind).anonymize))
    recognizer = Recognizer.load(model_named(model), detector, head)
    with result_files(recognizer.labels, csv, parquet) as write:
        outputs = [write, *([print_json] if as_json else [])]
        reader = FileReader(recognizer, sampling, outputs, drawn, table=not as_json)
        if page:
            from mien.visualization.report.curves import Curves

            reader.curves = Curves(thumbnails=thumbnails)
        failed = reader.read(files)
    for path, timeline in reader.videos:
        write_timelines(path, timeline, reader.curves, timelines)
    if failed:
        raise typer.Exit(SOME_FAILED)


def files_in(sources: Iterable[Path], more: Iterable[str] = ()) -> list[Path]:
    """The images and videos that the sources name; folders are searched for images, and files of more suffixes.

    Raises:
        UsageError: there are none.
    """
    from mien.media.image import IMAGE_SUFFIXES, find_images

    images = list(find_images(sources, {*IMAGE_SUFFIXES, *more}))
    if not images:
        raise UsageError(
            f"expected images ({', '.join(sorted(IMAGE_SUFFIXES))}) or videos; found none in "
            f"{', '.join(map(str, sources))}"
        )
    return images


def print_json(result: FrameResult) -> None:
    """One JSON line, out at once."""
    from mien.outputs import to_json_line

    sys.stdout.write(to_json_line(result) + "\n")
    sys.stdout.flush()


@contextmanager
def result_files(labels: tuple[str, ...], csv: Path | None, parquet: Path | None) -> Iterator[Output]:
    """What writes each result to the CSV and Parquet files asked for; they are there when the block ends.

    Raises:
        UsageError: a file is a folder, or has the name of an image, as it has after ``--csv *.jpg``.
    """
    from mien.media.image import IMAGE_SUFFIXES
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
