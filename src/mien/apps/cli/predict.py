"""``mien predict``: photos, folders and videos in; a table, JSON Lines, CSV, Parquet or annotated images out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mien.apps.cli.drawings import Drawings
from mien.apps.cli.file_outputs import given, is_video, print_json, result_files, write_timelines
from mien.apps.cli.file_reader import FileReader, message_of
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
from mien.apps.cli.output_guard import KINDS, Output, check_outputs, files_in_folders, is_stdout, model_files
from mien.apps.cli.sources import files_in, with_stdin
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PARQUET_SUFFIX = ".parquet"


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
            help="Photos, videos, folders of them, - for stdin; with --out photos and Parquet files of images.",
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
            help="Write a Parquet file, one row per face; needs pyarrow.",
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
            help="Write images and videos with an avatar over each face.",
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
            help="local, or ray: on the cluster at RAY_ADDRESS, else on this machine; needs Ray.",
        ),
    ] = "local",
) -> None:
    """Classify the expression of each face in photos and videos.

    In videos a tracker gives each face a number and smooths its probabilities over half a second.
    """
    from mien.media.video import Sampling
    from mien.recognizer import Recognizer

    sampling = Sampling(every, stride, start, end)
    models = _Models(model_named(model), detector, head)
    wanted = _Wanted(csv, parquet, {"srt": srt, "vtt": vtt, "elan": elan, "page": page}, as_json, thumbnails)
    if out:
        if any((*wanted.files, draw, anonymize, as_json)):
            raise UsageError("expected images alone with --out, and no other form of results")
        if _predict_batch(sources, models, out, processes, engine):
            raise typer.Exit(SOME_FAILED)
        return
    with with_stdin(sources) as (stored, names):
        files = files_in(stored, outputs=wanted.files, drawings=(draw, anonymize))
        if any(wanted.timelines.values()) and (len(files) != 1 or not is_video(files[0])):
            raise UsageError(f"expected one video for {given(wanted.timelines)}; received {len(files)} files")
        drawings = [Drawings(draw, files)] if draw else []
        if anonymize:
            drawings.append(_anonymized(anonymize, files, avatar))
        planned = [*wanted.outputs, *(output for drawing in drawings for output in drawing.outputs)]
        check_outputs(planned, [*files, *model_files(models.model, detector)])
        table = not as_json and not any(map(is_stdout, wanted.files))
        reader = FileReader(Recognizer.load(*models), sampling, drawings, names, table=table)
        failed, written = _predict_files(reader, files, wanted)
    for path in written + [drawing.folder for drawing in drawings if drawing.written]:
        say(f"written: {path}" + ("; open it in a browser" if path == page else ""))
    if failed:
        raise typer.Exit(SOME_FAILED)


class _Wanted(NamedTuple):
    """The forms of results: files, and lines of JSON."""

    csv: Path | None
    parquet: Path | None
    timelines: dict[str, Path | None]
    as_json: bool
    thumbnails: bool

    @property
    def outputs(self) -> list[Output]:
        """The files, with the options that name them."""
        paths = {"csv": self.csv, "parquet": self.parquet, **self.timelines}
        return [Output(f"--{name}", path, KINDS[name]) for name, path in paths.items() if path is not None]

    @property
    def files(self) -> list[Path]:
        """Their paths."""
        return [output.path for output in self.outputs]


class _Models(NamedTuple):
    """Names or paths of a model and a detector, and the output head."""

    model: str
    detector: str
    head: str


def _predict_batch(sources: Sequence[Path], models: _Models, out: Path, processes: int | None, engine: str) -> bool:
    """Write the predictions of many images into one table; whether some could not be read."""
    from mien.batch import Pipeline, Plan, image_references, parts_folder, run_batch, suffix_of
    from mien.recognizer import Recognizer

    # the table of an earlier run may lie in a folder of images
    found = files_in(sources, ["image"], [PARQUET_SUFFIX], [out, parts_folder(out)])
    files = [path for path in found if path in sources or path.resolve() != out.resolve()]
    if any(map(is_video, files)):
        raise UsageError("expected images alone with --out; received a video")
    kind = KINDS[{PARQUET_SUFFIX: "parquet", ".csv": "csv", ".jsonl": "json"}[suffix_of(out)]]
    check_outputs([Output("--out", out, kind)], [*files, *model_files(models.model, models.detector)])
    labels = Recognizer.load(*models).labels  # a wrong name fails here, once, and not in every process
    plan = Plan(Pipeline.of(*models), tuple(image_references(files)))
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
    from mien.visualization.avatar.styles import DRAWN, EMOJI_KIND, find_avatar

    kind = find_avatar(avatar)
    drawings = Drawings(folder, files, lambda: Anonymizer(kind).anonymize, "--anonymize")
    check_outputs(drawings.outputs, [] if avatar in (DRAWN, EMOJI_KIND) else files_in_folders(Path(avatar)))
    return drawings


def _predict_files(reader: FileReader, files: list[Path], wanted: _Wanted) -> tuple[bool, list[Path]]:
    """Analyze files into all forms of results; whether some failed, and the paths of what was written."""
    if wanted.timelines["page"]:
        from mien.visualization.report.curves import Curves

        reader.curves = Curves(thumbnails=wanted.thumbnails)
    with result_files(reader.recognizer.labels, wanted.csv, wanted.parquet) as write:
        failed = reader.read(files, [write, *([print_json] if wanted.as_json else [])])
    written = [path for path in (wanted.csv, wanted.parquet) if path]
    for path, timeline in reader.videos:
        broken = write_timelines(path, timeline, reader.curves, wanted.timelines)
        written += [file for file in wanted.timelines.values() if file and file not in broken]
        for file, error in broken.items():
            say(f"mien: {file} is not written: {message_of(error)}")
            failed = True
    return failed, written
