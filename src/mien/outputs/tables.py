"""Results as tables, a row per face: CSV and Parquet files written as results arrive, Arrow and pandas in memory."""

from __future__ import annotations

import csv
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mien.emotions import FER2013
from mien.errors import MissingExtraError
from mien.media.files import atomic_write
from mien.outputs.schema import SCHEMA_VERSION, columns, rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mien.structures import FrameResult

SCHEMA_KEY = b"mien.schema"
ROW_GROUP_SIZE = 8192


class Writer(Protocol):
    """Writes results one by one; opened by ``open_csv`` or ``open_parquet``."""

    def write(self, result: FrameResult) -> None:
        """Add the rows of one image or frame."""


class CsvWriter:
    """Writes results as CSV (RFC 4180) with a header.

    Args:
        file: opened with ``newline=""`` and ``encoding="utf-8"``.
        labels: of the model, which fix the columns.
    """

    def __init__(self, file: TextIO, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._csv = csv.writer(file)
        self._csv.writerow(columns(self._labels))

    def write(self, result: FrameResult) -> None:
        """Add the rows of one image or frame."""
        # all rows in one call, so an interrupt leaves either all faces of an image or none
        self._csv.writerows([[_csv_cell(value) for value in row] for row in rows(result, self._labels)])


class ParquetWriter:
    """Writes results to a Parquet file, one row group at a time, so memory stays bounded.

    Args:
        path: of the new file.
        labels: of the model, which fix the columns.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._schema = arrow_schema(self._labels)
        import pyarrow.parquet as pq

        self._file = pq.ParquetWriter(path, self._schema)
        self._pending: list[tuple[Any, ...]] = []

    def write(self, result: FrameResult) -> None:
        """Add the rows of one image or frame."""
        self._pending += rows(result, self._labels)
        if len(self._pending) >= ROW_GROUP_SIZE:
            self._write_group()

    def close(self) -> None:
        """Write the pending rows and the footer."""
        if self._pending:
            self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        self._file.write_table(arrow_table(self._pending, self._schema))
        self._pending = []


@contextmanager
def open_csv(path: str | os.PathLike[str], labels: Sequence[str]) -> Iterator[Writer]:
    """Open a CSV file for results; it appears, complete, when the block ends.

    Ctrl-C inside the block, or a closed pipe, keeps the rows written so far and is raised again; after any other error
    no file is left.

    Args:
        path: of the new file.
        labels: of the model, which fix the columns.
    """
    with _kept_on_interrupt(Path(path)) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        yield CsvWriter(file, labels)


@contextmanager
def open_parquet(path: str | os.PathLike[str], labels: Sequence[str]) -> Iterator[Writer]:
    """Open a Parquet file for results, by the rules of ``open_csv``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with _kept_on_interrupt(Path(path)) as aside, closing(ParquetWriter(aside, labels)) as writer:
        yield writer


def write_csv(results: Iterable[FrameResult], path: str | os.PathLike[str], labels: Sequence[str]) -> None:
    """Write results as CSV as they arrive; see ``open_csv``."""
    _write_all(results, open_csv(path, labels))


def write_parquet(results: Iterable[FrameResult], path: str | os.PathLike[str], labels: Sequence[str]) -> None:
    """Write results as Parquet as they arrive; see ``open_parquet``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    _write_all(results, open_parquet(path, labels))


def to_arrow(results: Iterable[FrameResult], labels: Sequence[str] = FER2013) -> Any:
    """Results as a ``pyarrow.Table``, a row per face; its metadata has the version of the schema.

    Args:
        results: of one model, such as those of ``Recognizer.stream`` and ``predict_many``.
        labels: of the model, ``Recognizer.labels``, which fix the columns.

    Raises:
        UsageError: a prediction has other labels.
        MissingExtraError: pyarrow is not installed.
    """
    schema = arrow_schema(labels)
    return arrow_table([row for result in results for row in rows(result, labels)], schema)


def to_pandas(results: Iterable[FrameResult], labels: Sequence[str] = FER2013) -> Any:
    """Results as a ``pandas.DataFrame``, a row per face; see ``to_arrow``.

    Raises:
        UsageError: a prediction has other labels.
        MissingExtraError: pyarrow or pandas is not installed.
    """
    arrow = to_arrow(results, labels)
    try:
        frame = arrow.to_pandas()
    except ImportError as error:
        raise MissingExtraError("a data frame", "pandas", "pandas") from error
    return frame


def arrow_schema(labels: Sequence[str]) -> Any:
    """The columns as a ``pyarrow.Schema``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("a Parquet or Arrow table", "pyarrow", "parquet") from error
    fields = [(name, pa.type_for_alias(kind)) for name, kind in columns(labels).items()]
    return pa.schema(fields, metadata={SCHEMA_KEY: str(SCHEMA_VERSION).encode()})


def arrow_table(some: Sequence[tuple[Any, ...]], schema: Any) -> Any:
    """Rows as a ``pyarrow.Table``."""
    import pyarrow as pa

    by_column = [list(column) for column in zip(*some, strict=True)] or [[] for _ in schema]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(by_column, schema, strict=True)], schema=schema
    )


def _write_all(results: Iterable[FrameResult], opened: AbstractContextManager[Writer]) -> None:
    with opened as writer:
        for result in results:
            writer.write(result)


@contextmanager
def _kept_on_interrupt(path: Path) -> Iterator[Path]:
    interrupt: KeyboardInterrupt | BrokenPipeError | None = None
    with atomic_write(path) as aside:
        try:
            yield aside
        except (KeyboardInterrupt, BrokenPipeError) as came:
            interrupt = came
    if interrupt is not None:
        raise interrupt


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
