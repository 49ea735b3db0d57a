"""What the faces of a video showed in all: printed, and as the files that ``mien predict`` is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.apps.cli.options import console, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.timeline import Timeline


def given(timelines: dict[str, Path | None]) -> str:
    """The options that ask for a file."""
    return ", ".join(f"--{name}" for name, path in timelines.items() if path)


def write_timelines(video: Path, timeline: Timeline, wanted: dict[str, Path | None]) -> None:
    """Writes what a video's faces showed in the forms that are wanted: "srt", "vtt", "elan"."""
    from mien.files import write_bytes
    from mien.timeline import to_eaf, to_srt, to_vtt

    people = timeline.people()
    makers: dict[str, Callable[[], bytes]] = {
        "srt": lambda: to_srt(people).encode(),
        "vtt": lambda: to_vtt(people).encode(),
        "elan": lambda: to_eaf(people, video),
    }
    for name, path in wanted.items():
        if path is not None:
            write_bytes(path, makers[name]())


def print_people(path: Path, timeline: Timeline) -> None:
    """What each face of a video showed, in all."""
    from rich.table import Table

    people = timeline.people()
    if not people:
        return
    shown = Table("face", "from", "to", "seen", "changes a minute", "expressions", box=None, pad_edge=False)
    for column in shown.columns[:5]:
        column.justify = "right"
    for person in people:
        start, end = person.segments[0].start, person.segments[-1].end
        shares = ", ".join(f"{word} {seconds / person.seconds:.0%}" for word, seconds in person.totals.items())
        figures = (f"{start:.1f} s", f"{end:.1f} s", f"{person.seconds:.1f} s", f"{person.changes_a_minute:.0f}")
        shown.add_row(str(person.track), *figures, printable(shares))
    console().print(printable(str(path)))
    console().print(shown)
