"""Annotated and anonymized copies of images and videos, in a folder, marked so that a later run passes them over."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.file_outputs import is_video
from mien.apps.cli.output_guard import Output, check_folder, check_outputs
from mien.media.files import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mien.media.video import VideoFrame
    from mien.structures import Frame, FrameResult, Prediction

    Paint = Callable[[Frame, Sequence[Prediction], float | None], Frame]

MARK = "annotated by mien"
"""In the metadata of every drawing: EXIF's Software of an image, the comment of a video."""

MARK_BYTES = 1 << 16
"""Bytes at the start and at the end of a file that may hold the mark: metadata is in one of them."""


class Drawings:
    """Writes annotated images and videos into a folder, each under its own name, numbered where two files share one.

    Args:
        folder: created if missing; older files of the same names are replaced, but never one of ``files``.
        files: all that will be annotated.
        painter: makes the function that paints the frames of one file; None draws boxes, labels and avatars.
        option: that names the folder.

    Attributes:
        folder: as passed.
        outputs: the files that will be written.
        written: how many are complete.

    Raises:
        UsageError: an annotated file would replace one of the images.
    """

    def __init__(
        self,
        folder: Path,
        files: Iterable[Path],
        painter: Callable[[], Paint] | None = None,
        option: str = "--draw",
    ) -> None:
        self.folder, self.written = folder, 0
        self._painter = painter or (lambda: _annotated)
        names = UniqueNames()
        self._targets = {path: folder / names.unique(path.stem, _suffix(path)) for path in dict.fromkeys(files)}
        self.outputs = tuple(Output(option, target) for target in self._targets.values())
        check_folder(option, folder)
        check_outputs(self.outputs, self._targets)

    def write(self, path: Path, frame: Frame, result: FrameResult) -> Path:
        """Annotate one of the images; returns the path of the new file.

        Raises:
            ImageError: the image is too large for its format.
        """
        from mien.media.image import write

        write(self._targets[path], self._painter()(frame, result.predictions, None), MARK)
        self.written += 1
        return self._targets[path]

    @contextmanager
    def video(self, path: Path) -> Iterator[Callable[[VideoFrame, FrameResult], None]]:
        """A function that annotates each frame of a video; the file, with sound, is complete when the block ends."""
        from mien.media.video_writer import open_video

        paint = self._painter()
        with open_video(self._targets[path], path, MARK) as writer:
            yield lambda frame, result: writer.write(
                paint(frame.image, result.predictions, frame.seconds), frame.seconds
            )
        self.written += 1


def without_drawings(
    files: Iterable[Path], sources: Iterable[Path], folders: Iterable[Path | None]
) -> tuple[list[Path], int]:
    """The files without the drawings that an earlier run left in these folders, and how many those were.

    Args:
        files: found in the sources.
        sources: as named; what lies in a source within such a folder is kept, a drawing too.
        folders: of drawings.
    """
    places = [folder.resolve() for folder in folders if folder is not None]
    within = [source for source in sources if any(source.resolve().is_relative_to(place) for place in places)]

    def is_left_over(path: Path) -> bool:
        inside = any(path.resolve().is_relative_to(place) for place in places)
        return inside and not any(path.is_relative_to(source) for source in within) and is_drawing(path)

    found = list(files)
    kept = [path for path in found if not is_left_over(path)] if places else found
    return kept, len(found) - len(kept)


def is_drawing(path: Path) -> bool:
    """Whether mien drew an image or a video, by the mark in its metadata."""
    try:
        with path.open("rb") as file:
            head = file.read(MARK_BYTES)
            file.seek(max(path.stat().st_size - MARK_BYTES, 0))
            return MARK.encode() in head or MARK.encode() in file.read(MARK_BYTES)
    except OSError:
        return False


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
