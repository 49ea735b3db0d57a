"""``mien predict``: photos and folders in; a table, JSON Lines, CSV, Parquet or drawn pictures out."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import (
    SOME_FAILED,
    DetectorOption,
    JsonOption,
    LabelsOption,
    ModelOption,
    console,
    model_named,
    progress,
)
from mien.errors import PictureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mien.arrays import Frame
    from mien.faces import FrameResult
    from mien.recognizer import Recognizer

    Output = Callable[[FrameResult], None]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("predict")(predict)


def predict(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE", help="Photos, or folders of them.")],
    *,
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    labels: LabelsOption = "answer",
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file, a row a face.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file, a row a face.")] = None,
    draw: Annotated[Path | None, typer.Option("--draw", help="Write each picture with its faces drawn here.")] = None,
) -> None:
    """Name the expression that each face in photos shows."""
    from mien.recognizer import Recognizer

    pictures = pictures_in(sources)
    drawn = Drawings(draw, pictures) if draw else None
    recognizer = Recognizer.load(model_named(model), detector, labels)
    with result_files(recognizer.labels, csv, parquet) as write:
        failed = _run(recognizer, pictures, [write, *([print_json] if as_json else [])], drawn, table=not as_json)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run(
    recognizer: Recognizer,
    pictures: list[Path],
    outputs: list[Output],
    drawn: Drawings | None,
    *,
    table: bool,
) -> bool:
    """Reads every picture; whether some could not be read. What was found is shown even if Ctrl-C comes."""
    shown: list[FrameResult] = []
    failed = False
    try:
        # lines of JSON on a terminal show well enough how far things are
        with progress("reading faces", quiet=not table and sys.stdout.isatty()) as tell:
            for place, path in enumerate(pictures):
                result = recognise(recognizer, path, drawn)
                failed |= result.error is not None
                for output in outputs:
                    output(result)
                if table:
                    shown.append(result)
                tell((place + 1) / len(pictures))
    finally:
        if shown:
            print_table(shown)
    return failed


def recognise(recognizer: Recognizer, path: Path, drawn: Drawings | None) -> FrameResult:
    """The result of one picture, drawn too where that is wanted; a picture that can't be read has its error."""
    from mien.faces import FrameResult
    from mien.images import read

    try:
        frame = read(path)
        result = dataclasses.replace(recognizer.predict(frame), source=str(path))
        if drawn:
            drawn.write(path, frame, result)
    except PictureError as error:
        return FrameResult(str(path), error=str(error))
    return result


class Drawings:
    """Writes pictures with what was found in them into a folder, each under a name of its own.

    The name is the picture's, numbered where two pictures share one.

    Args:
        folder: made if need be; what lies there under such a name is written over, but never a picture to be read.
        pictures: all that will be drawn.

    Raises:
        UsageError: a drawing would take the place of one of the pictures.
    """

    def __init__(self, folder: Path, pictures: Iterable[Path]) -> None:
        self._targets: dict[Path, Path] = {}
        taken: dict[str, int] = {}  # some disks hold A.jpg and a.jpg for one file: names without case
        for path in dict.fromkeys(pictures):
            suffix = path.suffix.lower() if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else ".png"
            name = wanted = f"{path.stem}{suffix}"
            while name.casefold() in taken:
                taken[wanted.casefold()] += 1
                name = f"{path.stem}-{taken[wanted.casefold()]}{suffix}"
            taken[name.casefold()] = 1
            self._targets[path] = folder / name
        originals = {_identity(path) for path in self._targets} - {None}
        if any(_identity(target) in originals for target in self._targets.values()):
            raise UsageError(
                f"expected a folder for drawings other than that of the pictures; received {folder}, where drawings "
                "would take the place of pictures"
            )

    def write(self, path: Path, frame: Frame, result: FrameResult) -> Path:
        """Draws what was found in one of the pictures; the file written.

        Raises:
            PictureError: the picture is too large for its format.
        """
        from mien.drawing import draw
        from mien.images import write

        write(self._targets[path], draw(frame, result.predictions))
        return self._targets[path]


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file, the same under each of its names; None where there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def pictures_in(sources: Iterable[Path]) -> list[Path]:
    """The pictures that the sources name, folders searched through.

    Raises:
        UsageError: there are none.
    """
    from mien.images import PICTURE_SUFFIXES, find_pictures

    pictures = list(find_pictures(sources))
    if not pictures:
        raise UsageError(
            f"expected pictures ({', '.join(sorted(PICTURE_SUFFIXES))}); found none in {', '.join(map(str, sources))}"
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
