"""Results written to files while they come: CSV and Parquet."""

from __future__ import annotations

import csv
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mien.media.files import atomic_write
from mien.outputs.arrow import arrow_schema, arrow_table
from mien.outputs.schema import columns, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mien.structures import FrameResult

ROWS_A_GROUP = 8192


class Writer(Protocol):
    """Takes results one by one; got from ``open_csv`` or ``open_parquet``."""

    def write(self, result: FrameResult) -> None:
        """Adds the rows of one image or frame."""


class CsvWriter:
    """Writes results to an open text file as CSV (RFC 4180), the header first.

    Open the file with ``newline=""`` and ``encoding="utf-8"``.
    """

    def __init__(self, file: TextIO, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._csv = csv.writer(file)
        self._csv.writerow(columns(self._labels))

    def write(self, result: FrameResult) -> None:
        """Adds the rows of one image or frame."""
        # all rows at once: an interrupt then finds an image's faces all there, or none
        self._csv.writerows([[_csv_cell(value) for value in row] for row in rows(result, self._labels)])


class ParquetWriter:
    """Writes results to a Parquet file, a group of rows at a time, so that memory stays bounded.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._schema = arrow_schema(self._labels)
        import pyarrow.parquet as pq

        self._file = pq.ParquetWriter(path, self._schema)
        self._waiting: list[tuple[Any, ...]] = []

    def write(self, result: FrameResult) -> None:
        """Adds the rows of one image or frame."""
        self._waiting += rows(result, self._labels)
        if len(self._waiting) >= ROWS_A_GROUP:
            self._write_group()

    def close(self) -> None:
        """Writes the rows that still wait, and the end of the file."""
        if self._waiting:
            self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        self._file.write_table(arrow_table(self._waiting, self._schema))
        self._waiting = []


@contextmanager
def open_csv(path: Path, labels: Sequence[str]) -> Iterator[Writer]:
    """A writer of a CSV file, which is there when the block ends, whole.

    Ctrl-C inside the block keeps the rows written so far and is raised again; any other error keeps nothing.
    """
    with _kept_on_interrupt(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        yield CsvWriter(file, labels)


@contextmanager
def open_parquet(path: Path, labels: Sequence[str]) -> Iterator[Writer]:
    """A writer of a Parquet file; the same rules as ``open_csv``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with _kept_on_interrupt(path) as aside, closing(ParquetWriter(aside, labels)) as writer:
        yield writer


def write_csv(results: Iterable[FrameResult], path: Path, labels: Sequence[str]) -> None:
    """Writes results as CSV while they come; see ``open_csv``."""
    _write_all(results, open_csv(path, labels))


def write_parquet(results: Iterable[FrameResult], path: Path, labels: Sequence[str]) -> None:
    """Writes results as Parquet while they come; see ``open_parquet``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    _write_all(results, open_parquet(path, labels))


def _write_all(results: Iterable[FrameResult], opened: AbstractContextManager[Writer]) -> None:
    with opened as writer:
        for result in results:
            writer.write(result)


@contextmanager
def _kept_on_interrupt(path: Path) -> Iterator[Path]:
    interrupt: KeyboardInterrupt | None = None
    with atomic_write(path) as aside:
        try:
            yield aside
        except KeyboardInterrupt as came:
            interrupt = came
    if interrupt is not None:
        raise interrupt


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
