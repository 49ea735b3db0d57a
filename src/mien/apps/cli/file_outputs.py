"""Files that ``mien predict`` writes for images and videos: annotated and anonymized copies, timelines, subtitles."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.options import console
from mien.errors import UsageError, printable
from mien.media.files import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mien.media.video import VideoFrame
    from mien.structures import Frame, FrameResult, Prediction

    Paint = Callable[[Frame, Sequence[Prediction], float | None], Frame]
    from collections.abc import Callable

    from mien.tracking import Timeline
    from mien.visualization.report.curves import Curves


class Drawings:
    """Writes annotated images and videos into a folder, each under its own name, numbered where two files share one.

    Args:
        folder: created if missing; older files of the same names are replaced, but never one of ``files``.
        files: all that will be annotated.
        painter: makes the function that paints the frames of one file; None draws boxes, labels and avatars.

    Raises:
        UsageError: an annotated file would replace one of the images.
    """

    def __init__(self, folder: Path, files: Iterable[Path], painter: Callable[[], Paint] | None = None) -> None:
        self._painter = painter or (lambda: _annotated)
        names = UniqueNames()
        self._targets = {path: folder / names.unique(path.stem, _suffix(path)) for path in dict.fromkeys(files)}
        originals = {_identity(path) for path in self._targets} - {None}
        if any(_identity(target) in originals for target in self._targets.values()):
            raise UsageError(
                f"expected a folder for drawings other than that of the images; received {folder}, where drawings "
                "would take the place of images"
            )

    def write(self, path: Path, frame: Frame, result: FrameResult) -> Path:
        """Annotate one of the images; returns the path of the new file.

        Raises:
            ImageError: the image is too large for its format.
        """
        from mien.media.image import write

        write(self._targets[path], self._painter()(frame, result.predictions, None))
        return self._targets[path]

    @contextmanager
    def video(self, path: Path) -> Iterator[Callable[[VideoFrame, FrameResult], None]]:
        """A function that annotates each frame of a video; the file, with sound, is complete when the block ends."""
        from mien.media.video_writer import open_video

        paint = self._painter()
        with open_video(self._targets[path], path) as writer:
            yield lambda frame, result: writer.write(
                paint(frame.image, result.predictions, frame.seconds), frame.seconds
            )


def _annotated(frame: Frame, predictions: Sequence[Prediction], _: float | None) -> Frame:
    from mien.visualization.annotate import draw

    return draw(frame, predictions)


def _suffix(path: Path) -> str:
    """The suffix of the annotated copy of a file."""
    from mien.media.video_writer import CONTAINERS

    suffix = path.suffix.lower()
    if is_video(path):
        return suffix if suffix in CONTAINERS else ".mp4"
    return suffix if suffix in (".jpg", ".jpeg", ".webp") else ".png"


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file, the same under each of its names; None where there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its content; by its suffix where the content says nothing."""
    from mien.media.file_kind import kind_of

    return kind_of(path) == "video"


def given(timelines: dict[str, Path | None]) -> str:
    """The options that name a file, as typed."""
    return ", ".join(f"--{name}" for name, path in timelines.items() if path)


def write_timelines(video: Path, timeline: Timeline, curves: Curves | None, paths: dict[str, Path | None]) -> None:
    """Write the timeline of a video in each form that has a path: "srt", "vtt", "elan", "page"."""
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
    for name, path in paths.items():
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

    tracks = timeline.tracks()
    if not tracks:
        return
    shown = Table("face", "from", "to", "visible", "changes/min", "expressions", box=None, pad_edge=False)
    for column in shown.columns[:5]:
        column.justify = "right"
    for track in tracks:
        start, end = track.segments[0].start, track.segments[-1].end
        shares = ", ".join(f"{label} {seconds / track.seconds:.0%}" for label, seconds in track.totals.items())
        figures = (f"{start:.1f} s", f"{end:.1f} s", f"{track.seconds:.1f} s", f"{track.changes_per_minute:.0f}")
        shown.add_row(str(track.number), *figures, printable(shares))
    console().print(printable(str(path)))
    console().print(shown)
