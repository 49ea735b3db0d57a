"""The timeline of a video: printed as a table, and written as subtitles, ELAN annotations or an HTML page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.options import console
from mien.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.tracking import Curves, Timeline


def given(timelines: dict[str, Path | None]) -> str:
    """The options that name a file, as typed."""
    return ", ".join(f"--{name}" for name, path in timelines.items() if path)


def write_timelines(video: Path, timeline: Timeline, curves: Curves | None, wanted: dict[str, Path | None]) -> None:
    """Write the timeline of a video in each form that has a path: "srt", "vtt", "elan", "page"."""
    from mien import __version__
    from mien.media.files import write_bytes
    from mien.tracking import Curves, to_eaf, to_srt, to_vtt
    from mien.visualization.report.timeline_page import timeline_page

    people, made = timeline.people(), f"mien {__version__}"
    makers: dict[str, Callable[[Path], bytes]] = {
        "srt": lambda _: to_srt(people).encode(),
        "vtt": lambda _: to_vtt(people).encode(),
        "elan": lambda _: to_eaf(people, video),
        "page": lambda path: timeline_page(video.name, _beside(video, path), people, curves or Curves(), made).encode(),
    }
    for name, path in wanted.items():
        if path is not None:
            write_bytes(path, makers[name](path))


def _beside(video: Path, page: Path) -> str:
    """The address of a video relative to a page."""
    try:
        return Path(os.path.relpath(video.absolute(), page.absolute().parent)).as_posix()
    except ValueError:  # on Windows, another disk
        return video.absolute().as_uri()


def print_people(path: Path, timeline: Timeline) -> None:
    """Print a row per face of a video: when it was visible, and the share of each expression."""
    from rich.table import Table

    people = timeline.people()
    if not people:
        return
    shown = Table("face", "from", "to", "visible", "changes/min", "expressions", box=None, pad_edge=False)
    for column in shown.columns[:5]:
        column.justify = "right"
    for person in people:
        start, end = person.segments[0].start, person.segments[-1].end
        shares = ", ".join(f"{word} {seconds / person.seconds:.0%}" for word, seconds in person.totals.items())
        figures = (f"{start:.1f} s", f"{end:.1f} s", f"{person.seconds:.1f} s", f"{person.changes_a_minute:.0f}")
        shown.add_row(str(person.track), *figures, printable(shares))
    console().print(printable(str(path)))
    console().print(shown)
