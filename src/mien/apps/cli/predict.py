"""``mien predict``: photos and folders in; a table, JSON Lines, CSV, Parquet or drawn pictures out."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.cli.options import DetectorOption, JsonOption, LabelsOption, ModelOption, model_named, progress
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
    model: ModelOption = "compact",
    detector: DetectorOption = "auto",
    labels: LabelsOption = "answer",
    as_json: JsonOption = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file, a row a face.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file, a row a face.")] = None,
    draw: Annotated[Path | None, typer.Option("--draw", help="Write each picture with its faces drawn here.")] = None,
) -> int:
    """Name the expression that each face in photos shows."""
    from mien.recognizer import Recognizer

    pictures = pictures_in(sources)
    recognizer = Recognizer.load(model_named(model), detector, labels)
    drawn = Drawings(draw) if draw else None
    with result_files(recognizer.labels, csv, parquet) as write:
        failed = _run(recognizer, pictures, [write, *([print_json] if as_json else [])], drawn, table=not as_json)
    return 1 if failed else 0


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
        with progress("reading faces") as tell:
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
    except PictureError as error:
        return FrameResult(str(path), error=str(error))
    result = dataclasses.replace(recognizer.predict(frame), source=str(path))
    if drawn:
        drawn.write(path, frame, result)
    return result


class Drawings:
    """Writes pictures with what was found in them into a folder, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def write(self, path: Path, frame: Frame, result: FrameResult) -> Path:
        """Draws one result; the file's name is the source's, numbered where two sources share one."""
        from mien.drawing import draw
        from mien.images import write

        suffix = path.suffix.lower() if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else ".png"
        name, number = f"{path.stem}{suffix}", 1
        while name in self._taken:
            number += 1
            name = f"{path.stem}-{number}{suffix}"
        self._taken.add(name)
        target = self._folder / name
        if target.exists() and target.samefile(path):
            raise UsageError(f"expected a folder for drawings other than that of the pictures; received {self._folder}")
        write(target, draw(frame, result.predictions))
        return target


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
    """The table for people; as wide as its names ask for where stdout is no terminal."""
    from rich.console import Console

    from mien.results import table

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table(results))


@contextmanager
def result_files(labels: tuple[str, ...], csv: Path | None, parquet: Path | None) -> Iterator[Output]:
    """What writes each result to the CSV and Parquet files asked for; they are there when the block ends."""
    from mien.results import open_csv, open_parquet

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
