"""One run of ``mien predict`` over files: photos and videos are analyzed, annotated, tabulated and written."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mien.apps.cli.file_outputs import is_video, print_people
from mien.apps.cli.options import console, progress, write_failure
from mien.errors import MienError, VideoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mien.apps.cli.drawings import Drawings
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
        drawings: write images and videos with their faces annotated or anonymized.
        names: of files that have another name in results, such as stdin.
        table: whether tables are printed at the end.

    Attributes:
        recognizer: as passed.
        videos: those that gave frames, each with its timeline.
        curves: probabilities over time of one video, for its page; None where no page is written.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sampling: Sampling,
        drawings: Sequence[Drawings] = (),
        names: Mapping[Path, str] | None = None,
        *,
        table: bool,
    ) -> None:
        self.recognizer, self._sampling, self._drawings = recognizer, sampling, drawings
        self._table, self._failed, self._writing = table, False, False
        self._outputs: Sequence[Output] = ()
        self._names = names or {}
        self._results: list[FrameResult] = []
        self.videos: list[tuple[Path, Timeline]] = []
        self.curves: Curves | None = None

    def read(self, files: Sequence[Path], outputs: Sequence[Output] = ()) -> bool:
        """Analyze every file; whether some could not be read, or their copies not written.

        Whatever happens to one file becomes its error, and the next one is analyzed. Ctrl-C still prints the results
        so far.

        Args:
            files: photos and videos.
            outputs: called with every result.

        Raises:
            Exception: that of an output, since it concerns all files.
        """
        self._outputs = outputs
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
        from mien.structures import FrameResult

        try:
            if is_video(path):
                yield from self._analyze_video(path)
            else:
                self._put(analyze_image(self.recognizer, path, self._drawings, self._name(path)), shown=True)
        except Exception as error:  # one file must not take the results of the others
            if self._writing:
                raise
            self._put(FrameResult(self._name(path), error=message_of(error)), shown=True)
        yield 1.0

    def _analyze_video(self, path: Path) -> Iterator[float]:
        """Analyze a video; one that is incomplete keeps its results, its timeline and its annotated copies.

        Raises:
            VideoError: it has no frame that was wanted, or is incomplete.
        """
        from mien.media.video import FileSource
        from mien.tracking import Timeline

        source = FileSource(path)
        timeline, length = Timeline(1 / source.fps), source.length
        consumers: list[Callable[[VideoFrame, FrameResult], None]] = [
            lambda _, result: self._put(result),
            lambda _, result: timeline.add(result),
        ]
        if self.curves:
            curves = self.curves
            consumers.append(lambda frame, result: curves.add(frame.image, result))
        incomplete: VideoError | None = None
        with ExitStack() as stack:
            stack.callback(source.close)
            consumers += [stack.enter_context(drawing.video(path)) for drawing in self._drawings]
            try:
                yield from self.recognizer.analyze_video(source, self._name(path), self._sampling, consumers)
            except VideoError as error:
                incomplete = error
            finally:
                if timeline.frames:
                    self.videos.append((path, timeline))
            if not timeline.frames:
                raise incomplete or VideoError(f"'{path}': {_no_frame(self._sampling, length)}")
        if incomplete:
            raise incomplete

    def _name(self, path: Path) -> str:
        return self._names.get(path, str(path))

    def _put(self, result: FrameResult, *, shown: bool = False) -> None:
        """Pass a result to the outputs, and to the table of images if it is shown there."""
        self._failed |= result.error is not None
        self._writing = True
        for output in self._outputs:
            output(result)
        self._writing = False
        if shown:
            self._results.append(result)

    def _print(self) -> None:
        if self._table and self._results:
            print_table(self._results)
        for path, timeline in self.videos if self._table else ():
            print_people(self._name(path), timeline)


def analyze_image(
    recognizer: Recognizer, path: Path, drawings: Iterable[Drawings], name: str | None = None
) -> FrameResult:
    """The result of one image, also drawn on request; ``error`` is set where it can't be read.

    Args:
        recognizer: analyzes it.
        path: of the image.
        drawings: write annotated copies.
        name: in the result; the path if None.
    """
    (analysis,) = recognizer.analyze([(str(path) if name is None else name, path)])
    if analysis.frame is not None:
        for drawing in drawings:
            drawing.write(path, analysis.frame, analysis.result)
    return analysis.result


def message_of(error: Exception) -> str:
    """The message of an error as the result of a file has it."""
    if isinstance(error, MienError):
        return str(error)
    if isinstance(error, OSError):
        return write_failure(error)
    return f"expected results; received a fault in mien, {type(error).__name__}: {error}. Please report it"


def _no_frame(sampling: Sampling, length: float | None) -> str:
    """Why a video of some seconds gave no frame, though it can be decoded."""
    end = "its end" if sampling.end is None else f"{sampling.end:g} s"
    video = "the video" if length is None else f"the video of {length:.1f} s"
    return f"expected frames between {sampling.start:g} s and {end}; {video} has none there. Choose another --from"


def print_table(results: list[FrameResult]) -> None:
    """Print the results of images as a table."""
    from mien.outputs import table

    console().print(table(results))
