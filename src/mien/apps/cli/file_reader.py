"""One run of ``mien predict`` over files: photos and videos read, told, drawn, and put into files."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mien.apps.cli.drawings import Drawings, is_video
from mien.apps.cli.options import console, progress
from mien.apps.cli.timelines import print_people
from mien.errors import ImageError, VideoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mien.media.video import Sampling
    from mien.recognizer import Recognizer
    from mien.structures import FrameResult
    from mien.tracking import Curves, Timeline

    Output = Callable[[FrameResult], None]


class FileReader:
    """One run over files.

    Args:
        recognizer: reads them.
        sampling: which frames of videos.
        outputs: take every result.
        drawn: write images and videos with what was found.
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
        from mien.media.video import FileSource
        from mien.structures import FrameResult
        from mien.tracking import Timeline

        timeline = Timeline()
        self.videos.append((path, timeline))
        try:
            source = FileSource(path)
            with ExitStack() as stack:
                writers = [stack.enter_context(drawn.video(path)) for drawn in self._drawn]
                for frame, result in self._recognizer.watch(source, str(path), self._sampling):
                    self._put(result)
                    timeline.add(result)
                    if self.curves:
                        self.curves.add(frame.image, result)
                    for write in writers:
                        write(frame, result)
                    share = source.progress(frame.seconds, self._sampling)
                    if share is not None:
                        yield share
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
    """The result of one image, drawn too where that is wanted; an image that can't be read has its error."""
    from mien.media.image import read
    from mien.structures import FrameResult

    try:
        frame = read(path)
        result = dataclasses.replace(recognizer.predict(frame), source=str(path))
        for each in drawn:
            each.write(path, frame, result)
    except ImageError as error:
        return FrameResult(str(path), error=str(error))
    return result


def print_table(results: list[FrameResult]) -> None:
    """The table for people."""
    from mien.outputs import table

    console().print(table(results))
