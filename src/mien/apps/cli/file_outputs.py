"""The forms of results of ``mien predict``: lines of JSON, tables, and the timeline of a video."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.options import console
from mien.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.structures import FrameResult
    from mien.tracking import Timeline
    from mien.visualization.report.curves import Curves

    Write = Callable[[FrameResult], None]


def is_video(path: Path) -> bool:
    """Whether a file counts as a video, by its suffix."""
    from mien.media.video import VIDEO_SUFFIXES

    return path.suffix.lower() in VIDEO_SUFFIXES


def print_json(result: FrameResult) -> None:
    """Print a result as a JSON line and flush it.

    Raises:
        BrokenPipeError: nobody reads it any more: a pipe or a terminal was closed.
    """
    from mien.outputs import to_json_line

    try:
        sys.stdout.write(to_json_line(result) + "\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error


@contextmanager
def result_files(labels: tuple[str, ...], csv: Path | None, parquet: Path | None) -> Iterator[Write]:
    """A function that writes each result to the CSV and Parquet files; they are complete when the block ends."""
    from mien.outputs import open_csv, open_parquet

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


def given(timelines: dict[str, Path | None]) -> str:
    """The options that name a file, as typed."""
    return ", ".join(f"--{name}" for name, path in timelines.items() if path)


def write_timelines(
    video: Path, timeline: Timeline, curves: Curves | None, paths: dict[str, Path | None]
) -> dict[Path, Exception]:
    """Write the timeline of a video in each form that has a path: "srt", "vtt", "elan", "page".

    Returns:
        The files that could not be written, each with the error; the others are complete.
    """
    from mien import __version__
    from mien.media.files import write_bytes
    from mien.tracking import to_eaf, to_srt, to_vtt
    from mien.visualization.report.curves import Curves
    from mien.visualization.report.timeline_page import timeline_page

    tracks, footer = timeline.tracks(), f"mien {__version__}"
    makers: dict[str, Callable[[Path], bytes]] = {
        "srt": lambda _: to_srt(tracks).encode(),
        "vtt": lambda _: to_vtt(tracks).encode(),
        "elan": lambda _: to_eaf(tracks, video),
        "page": lambda path: timeline_page(
            video.name, _beside(video, path), tracks, curves or Curves(), footer
        ).encode(),
    }
    failed: dict[Path, Exception] = {}
    for name, path in paths.items():
        if path is not None:
            try:
                write_bytes(path, makers[name](path))
            except Exception as error:  # noqa: BLE001  one that fails must not take the others
                failed[path] = error
    return failed


def _beside(video: Path, page: Path) -> str:
    """The address of a video relative to a page."""
    try:
        return Path(os.path.relpath(video.absolute(), page.absolute().parent)).as_posix()
    except ValueError:  # on Windows, another disk
        return video.absolute().as_uri()


def print_people(name: str, timeline: Timeline) -> None:
    """Print a row per face of a video: when it was visible, and the share of each expression."""
    from rich.table import Table

    tracks = timeline.tracks()
    if not tracks:
        frames = f"{timeline.frames:,} frame{'' if timeline.frames == 1 else 's'}"
        console().print(printable(f"{name}\nno face found in {frames}"))
        return
    shown = Table("face", "from", "to", "visible", "changes/min", "expressions", box=None, pad_edge=False)
    for column in shown.columns[:5]:
        column.justify = "right"
    for track in tracks:
        start, end = track.segments[0].start, track.segments[-1].end
        shares = ", ".join(f"{label} {share:.0%}" for label, share in track.shares.items())
        figures = (*map(_seconds, (start, end, track.seconds)), f"{track.changes_per_minute:.0f}")
        shown.add_row(str(track.number), *figures, printable(shares))
    console().print(printable(name))
    console().print(shown)


def _seconds(value: float) -> str:
    """A time to a tenth of a second; one of a frame or two to a hundredth."""
    return f"{value:.{2 if 0 < value < 0.1 else 1}f} s"
