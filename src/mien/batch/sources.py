"""Where the images of a run are: files, and rows of Parquet files that hold encoded images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import ImageError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARQUET = ".parquet"
ROW = re.compile(r"(?P<file>.*\.parquet)#(?P<row>\d+)", re.IGNORECASE | re.DOTALL)
NAMES = ("bytes", "image", "image")
"""Columns that are taken for the images where several could be."""

TAKEN, BUFFER = 64, 1 << 20
"""Rows of a Parquet file in memory, and bytes read of a column in one go."""


def references(sources: Iterable[Path]) -> Iterator[str]:
    """What each image is called in a plan: the path of a file, or ``FILE.parquet#ROW``, rows from 0.

    Args:
        sources: files; Parquet files stand for all their rows.

    Raises:
        UsageError: a Parquet file can't be read, or has no column of images.
        MissingExtraError: there is a Parquet file, and pyarrow is not installed.
    """
    for source in sources:
        if source.suffix.lower() != PARQUET:
            yield str(source)
            continue
        table = _Table(source)
        yield from (f"{source}#{row}" for row in range(table.rows))


class Images:
    """Gives images by reference; Parquet files are read forward, so that references in order are read once."""

    def __init__(self) -> None:
        self._table: _Table | None = None

    def get(self, reference: str) -> str | bytes:
        """The path of an image, or its encoded bytes.

        Raises:
            ImageError: the row of a Parquet file can't be read.
        """
        found = ROW.fullmatch(reference)
        if found is None:
            return reference
        path = Path(found["file"])
        try:
            if self._table is None or self._table.path != path:
                self._table = _Table(path)
            return self._table.image(int(found["row"]))
        except (UsageError, OSError) as error:
            raise ImageError(f"{reference} can't be read ({error})") from error


class _Table:
    """A Parquet file, read forward a few rows at a time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("Parquet input", "pyarrow", "parquet") from error
        self.path = path
        try:
            # a row group may be larger than memory: its column is streamed
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"expected a Parquet file of images; {path} can't be read ({error})") from error
        self.rows: int = self._file.metadata.num_rows
        self._column = _column_of(self._file.schema_arrow, path)
        self._errors = pa.ArrowException
        self._groups = [self._file.metadata.row_group(at).num_rows for at in range(self._file.num_row_groups)]
        self._group, self._next, self._batches = -1, 0, iter(())
        self._held: list[bytes | None] = []

    def image(self, row: int) -> bytes:
        """The encoded image of a row.

        Raises:
            UsageError: it is damaged, or the row is empty or none of the file's.
        """
        try:
            self._go_to(row)
        except self._errors as error:
            self._group = -1
            raise UsageError(f"damaged Parquet: {error}") from error
        held = self._held[row - self._next]
        if not held:
            raise UsageError("the row holds no image")
        return held

    def _go_to(self, row: int) -> None:
        """Reads on until a row is held; begins its row group anew if it lies behind."""
        group, first = 0, 0
        while group < len(self._groups) and row >= first + self._groups[group]:
            first += self._groups[group]
            group += 1
        if not 0 <= row < self.rows:
            raise UsageError(f"expected a row from 0 to {self.rows - 1}")
        if group != self._group or row < self._next:
            self._group, self._next, self._held = group, first, []
            self._batches = self._file.iter_batches(TAKEN, row_groups=[group], columns=[self._column])
        while row >= self._next + len(self._held):
            self._next += len(self._held)
            self._held = _bytes_of(next(self._batches).column(0))


def _bytes_of(column: Any) -> list[bytes | None]:
    """A column's values; Hugging Face's images are a struct of ``bytes`` and ``path``."""
    if hasattr(column, "field"):
        column = column.field("bytes")
    values: list[bytes | None] = column.to_pylist()
    return values


def _column_of(schema: Any, path: Path) -> str:
    """The path of the column that holds images.

    Raises:
        UsageError: there is none, or several and none has a usual name.
    """
    import pyarrow.types as kinds

    def holds(field: Any) -> bool:
        kind = field.type
        if kinds.is_struct(kind):
            return any(part.name == "bytes" and holds(part) for part in kind)
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    fields = {field.name: field for field in schema if holds(field)}
    name = next((name for name in NAMES if name in fields), next(iter(fields)) if len(fields) == 1 else None)
    if name is None:
        raise UsageError(
            f"expected one column of encoded images (binary, or Hugging Face's image) in {path}, or one of several "
            f"called {' or '.join(NAMES)}; received {', '.join(map(str, schema.names))}"
        )
    return f"{name}.bytes" if kinds.is_struct(fields[name].type) else str(name)
