"""``mien predict``: photos, folders and videos in; a table, JSON Lines, CSV, Parquet or drawn pictures out."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.drawings import Drawings, is_video
from mien.apps.cli.many import Choice, read_many
from mien.apps.cli.options import (
    SOME_FAILED,
    AvatarOption,
    DetectorOption,
    JsonOption,
    LabelsOption,
    ModelOption,
    console,
    model_named,
    progress,
)
from mien.apps.cli.timelines import given, print_people, write_timelines
from mien.errors import PictureError, UsageError, VideoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mien.faces import FrameResult
    from mien.recognizer import Recognizer
    from mien.timeline import Curves, Timeline
    from mien.video import Sampling

    Output = Callable[[FrameResult], None]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("predict")(predict)


def predict(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help="Photos, folders of them, or videos.")],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    labels: LabelsOption = "answer",
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file, a row a face.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file, a row a face.")] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", help="Write each picture or video with its faces drawn here.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Write each picture or video here, an avatar over each face.")
    ] = None,
    avatar: AvatarOption = "drawn",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Many pictures into one .parquet, .csv or .jsonl, by all cores; goes on after a kill."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="With --out; by default one a core.")
    ] = None,
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
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Of the page: with small pictures of the faces.")
    ] = True,
    elan: Annotated[Path | None, typer.Option("--elan", help="Of one video: annotations for ELAN (.eaf).")] = None,
) -> None:
    """Name the expression that each face in photos and videos shows.

    In a video each face has the same number throughout, and what is told of it is steadied over half a second.
    """
    from mien.avatar_kinds import Cover, find_avatar
    from mien.recognizer import Recognizer
    from mien.timeline import Curves
    from mien.video import Sampling

    sampling = Sampling(every, stride, start, end)
    files = files_in(sources)
    pictures = [path for path in files if not is_video(path)]
    timelines = {"srt": srt, "vtt": vtt, "elan": elan, "page": page}
    if out:
        if len(pictures) != len(files) or any((csv, parquet, draw, mask, as_json)):
            raise UsageError("expected pictures alone with --out, and no other form of results")
        if read_many(pictures, Choice(model_named(model), detector, labels), out, processes):
            raise typer.Exit(SOME_FAILED)
        return
    if any(timelines.values()) and (pictures or len(files) != 1):
        raise UsageError(f"expected one video for {given(timelines)}; received {len(files)} files")
    drawn = [Drawings(draw, files)] if draw else []
    if mask:
        kind = find_avatar(avatar)
        drawn.append(Drawings(mask, files, lambda: Cover(kind).covered))
    recognizer = Recognizer.load(model_named(model), detector, labels)
    with result_files(recognizer.labels, csv, parquet) as write:
        outputs = [write, *([print_json] if as_json else [])]
        reader = Reader(recognizer, sampling, outputs, drawn, table=not as_json)
        reader.curves = Curves(thumbnails=thumbnails) if page else None
        failed = reader.read(files)
    for path, timeline in reader.videos:
        write_timelines(path, timeline, reader.curves, timelines)
    if failed:
        raise typer.Exit(SOME_FAILED)


class Reader:
    """One run over files.

    Args:
        recognizer: reads them.
        sampling: which frames of videos.
        outputs: take every result.
        drawn: write pictures and videos with what was found.
        table: whether tables are printed at the end.

    Attributes:
        videos: each with what its faces showed.
        curves: of one video, for its page; None where none is wanted.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sampling: Sampling,
        outputs: list[Output],
        drawn: list[Drawings],
        *,
        table: bool,
    ) -> None:
        self._recognizer, self._sampling, self._outputs, self._drawn = recognizer, sampling, outputs, drawn
        self._table, self._failed = table, False
        self._photos: list[FrameResult] = []
        self.videos: list[tuple[Path, Timeline]] = []
        self.curves: Curves | None = None

    def read(self, files: list[Path]) -> bool:
        """Reads every file; whether some could not be read. What was found is shown even if Ctrl-C comes."""
        try:
            # lines of JSON on a terminal show well enough how far things are
            with progress("reading faces", quiet=not self._table and sys.stdout.isatty()) as tell:
                for place, path in enumerate(files):
                    for share in self._shares(path):
                        tell((place + share) / len(files))
        finally:
            self._print()
        return self._failed

    def _shares(self, path: Path) -> Iterator[float]:
        """Reads a file, telling the share of it that is done."""
        if is_video(path):
            yield from self._watch(path)
        else:
            result = recognise(self._recognizer, path, self._drawn)
            self._put(result)
            self._photos.append(result)
        yield 1.0

    def _watch(self, path: Path) -> Iterator[float]:
        from mien.faces import FrameResult
        from mien.timeline import Timeline
        from mien.video import FileSource

        timeline = Timeline()
        self.videos.append((path, timeline))
        try:
            source = FileSource(path)
            end = min(filter(None, (source.length, self._sampling.end)), default=None)
            with ExitStack() as stack:
                writers = [stack.enter_context(drawn.video(path)) for drawn in self._drawn]
                for frame, result in self._recognizer.watch(source, str(path), self._sampling):
                    self._put(result)
                    timeline.add(result)
                    if self.curves:
                        self.curves.add(frame.picture, result)
                    for write in writers:
                        write(frame, result)
                    if end is not None:
                        yield min((frame.seconds - self._sampling.start) / max(end - self._sampling.start, 1e-9), 1.0)
        except VideoError as error:
            result = FrameResult(str(path), error=str(error))
            self._put(result)
            self._photos.append(result)

    def _put(self, result: FrameResult) -> None:
        self._failed |= result.error is not None
        for output in self._outputs:
            output(result)

    def _print(self) -> None:
        if self._table and self._photos:
            print_table(self._photos)
        for path, timeline in self.videos if self._table else ():
            print_people(path, timeline)


def recognise(recognizer: Recognizer, path: Path, drawn: Iterable[Drawings]) -> FrameResult:
    """The result of one picture, drawn too where that is wanted; a picture that can't be read has its error."""
    from mien.faces import FrameResult
    from mien.images import read

    try:
        frame = read(path)
        result = dataclasses.replace(recognizer.predict(frame), source=str(path))
        for each in drawn:
            each.write(path, frame, result)
    except PictureError as error:
        return FrameResult(str(path), error=str(error))
    return result


def files_in(sources: Iterable[Path]) -> list[Path]:
    """The pictures and videos that the sources name; folders are searched for pictures.

    Raises:
        UsageError: there are none.
    """
    from mien.images import PICTURE_SUFFIXES, find_pictures

    pictures = list(find_pictures(sources))
    if not pictures:
        raise UsageError(
            f"expected pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) or videos; found none in "
            f"{', '.join(map(str, sources))}"
        )
    return pictures


def print_json(result: FrameResult) -> None:
    """One JSON line, out at once."""
    from mien.results import to_json_line

    sys.stdout.write(to_json_line(result) + "\n")
    sys.stdout.flush()


def print_table(results: list[FrameResult]) -> None:
    """The table for people."""
    from mien.results import table

    console().print(table(results))


@contextmanager
def result_files(labels: tuple[str, ...], csv: Path | None, parquet: Path | None) -> Iterator[Output]:
    """What writes each result to the CSV and Parquet files asked for; they are there when the block ends.

    Raises:
        UsageError: a file is a folder, or has the name of a picture, as it has after ``--csv *.jpg``.
    """
    from mien.images import PICTURE_SUFFIXES
    from mien.results import open_csv, open_parquet

    for path in filter(None, (csv, parquet)):
        if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
            kind = "a folder" if path.is_dir() else "the name of a picture"
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
