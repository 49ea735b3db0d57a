"""One run of ``mien predict`` over files: photos and videos are analyzed, annotated, tabulated and written."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mien.apps.cli.file_outputs import Drawings, is_video, print_people
from mien.apps.cli.options import console, progress
from mien.errors import ImageError, VideoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mien.media.video import Sampling, VideoFrame
    from mien.recognizer import Recognizer
    from mien.structures import FrameResult
    from mien.tracking import Timeline
    from mien.visualization.report.curves import Curves

    Output = Callable[[FrameResult], None]


class FileReader:
    """One run over files.

    Args:
        recognizer: analyzes them.
        sampling: which frames of videos.
        outputs: called with every result.
        drawings: write images and videos with their faces annotated or anonymized.
        table: whether tables are printed at the end.

    Attributes:
        videos: each with its timeline.
        curves: probabilities over time of one video, for its page; None where no page is written.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sampling: Sampling,
        outputs: list[Output],
        drawings: list[Drawings],
        *,
        table: bool,
    ) -> None:
        self._recognizer, self._sampling, self._outputs, self._drawings = recognizer, sampling, outputs, drawings
        self._table, self._failed = table, False
        self._photos: list[FrameResult] = []
        self.videos: list[tuple[Path, Timeline]] = []
        self.curves: Curves | None = None

    def read(self, files: list[Path]) -> bool:
        """Analyze every file; whether some could not be read. Ctrl-C still prints the results so far."""
        try:
            # JSON Lines on a terminal are progress enough
            with progress("analyzing", quiet=not self._table and sys.stdout.isatty()) as update:
                for number, path in enumerate(files):
                    for share in self._shares(path):
                        update((number + share) / len(files))
        finally:
            self._print()
        return self._failed

    def _shares(self, path: Path) -> Iterator[float]:
        """Analyze a file, yielding the completed share."""
        if is_video(path):
            yield from self._analyze_video(path)
        else:
            result = analyze_image(self._recognizer, path, self._drawings)
            self._put(result)
            self._photos.append(result)
        yield 1.0

    def _analyze_video(self, path: Path) -> Iterator[float]:
        from mien.media.video import FileSource
        from mien.structures import FrameResult
        from mien.tracking import Timeline

        timeline = Timeline()
        self.videos.append((path, timeline))
        consumers: list[Callable[[VideoFrame, FrameResult], None]] = [
            lambda _, result: self._put(result),
            lambda _, result: timeline.add(result),
        ]
        if self.curves:
            curves = self.curves
            consumers.append(lambda frame, result: curves.add(frame.image, result))
        try:
            source = FileSource(path)
            with ExitStack() as stack:
                consumers += [stack.enter_context(drawing.video(path)) for drawing in self._drawings]
                yield from self._recognizer.analyze_video(source, str(path), self._sampling, consumers)
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


def analyze_image(recognizer: Recognizer, path: Path, drawings: Iterable[Drawings]) -> FrameResult:
    """The result of one image, also drawn on request; ``error`` is set where it can't be read or drawn."""
    from mien.structures import FrameResult

    (analysis,) = recognizer.analyze([(str(path), path)])
    if analysis.frame is None:
        return analysis.result
    try:
        for drawing in drawings:
            drawing.write(path, analysis.frame, analysis.on_frame)
    except ImageError as error:
        return FrameResult(str(path), error=str(error))
    return analysis.result


def print_table(results: list[FrameResult]) -> None:
    """Print the results of images as a table."""
    from mien.outputs import table

    console().print(table(results))
