"""Encoded images in Parquet files: a column of bytes, or Hugging Face's image type, read row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import ImageError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARQUET_SUFFIX = ".parquet"
ROW_REFERENCE = re.compile(r"(?P<file>.*\.parquet)#(?P<row>\d+)", re.IGNORECASE | re.DOTALL)
COLUMN_NAMES = ("bytes", "image", "picture")
"""Names of the image column, in order of preference, where several columns could hold images."""

BATCH_ROWS, BUFFER_BYTES = 64, 1 << 20
"""Rows of a Parquet file in memory, and bytes of a column read at once."""


def image_references(sources: Iterable[Path]) -> Iterator[str]:
    """One reference for each image: the path of a file, or ``FILE.parquet#ROW``, rows counted from 0.

    Args:
        sources: files; a Parquet file stands for all its rows.

    Raises:
        UsageError: a Parquet file can't be read, or has no column of images.
        MissingExtraError: there is a Parquet file, and pyarrow is not installed.
    """
    for source in sources:
        if source.suffix.lower() != PARQUET_SUFFIX:
            yield str(source)
            continue
        table = _Table(source)
        yield from (f"{source}#{row}" for row in range(table.rows))


class ImageLoader:
    """Loads images by reference; Parquet files are read forward, so references in order need one pass."""

    def __init__(self) -> None:
        self._table: _Table | None = None

    def load(self, reference: str) -> str | bytes:
        """The path of an image file, or the encoded bytes of a Parquet row.

        Args:
            reference: as ``image_references`` gives it.

        Raises:
            ImageError: the row of a Parquet file can't be read.
        """
        match = ROW_REFERENCE.fullmatch(reference)
        if match is None:
            return reference
        path = Path(match["file"])
        try:
            if self._table is None or self._table.path != path:
                self._table = _Table(path)
            return self._table.image(int(match["row"]))
        except (UsageError, OSError) as error:
            raise ImageError(f"{reference} can't be read ({error})") from error


class _Table:
    """A Parquet file, read forward a few rows at a time."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("Parquet input", "pyarrow", "parquet") from error
        self.path = path
        try:
            # a row group may be larger than memory, so its column is streamed
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise UsageError(f"expected a Parquet file of images; {path} can't be read ({error})") from error
        self.rows: int = self._file.metadata.num_rows
        self._column = _image_column(self._file.schema_arrow, path)
        self._arrow_error = pa.ArrowException
        self._group_rows = [self._file.metadata.row_group(at).num_rows for at in range(self._file.num_row_groups)]
        self._group, self._first, self._batches = -1, 0, iter(())
        self._batch: list[bytes | None] = []

    def image(self, row: int) -> bytes:
        """The encoded image of a row.

        Raises:
            UsageError: the row is damaged, empty, or outside the file.
        """
        try:
            self._seek(row)
        except self._arrow_error as error:
            self._group = -1
            raise UsageError(f"damaged Parquet: {error}") from error
        image = self._batch[row - self._first]
        if not image:
            raise UsageError("the row holds no image")
        return image

    def _seek(self, row: int) -> None:
        """Read batches until one holds the row; reopen its row group if the row lies behind."""
        group, first = 0, 0
        while group < len(self._group_rows) and row >= first + self._group_rows[group]:
            first += self._group_rows[group]
            group += 1
        if not 0 <= row < self.rows:
            raise UsageError(f"expected a row from 0 to {self.rows - 1}")
        if group != self._group or row < self._first:
            self._group, self._first, self._batch = group, first, []
            self._batches = self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[self._column])
        while row >= self._first + len(self._batch):
            self._first += len(self._batch)
            self._batch = _values(next(self._batches).column(0))


def _values(column: Any) -> list[bytes | None]:
    """A column's values; Hugging Face's image type is a struct of ``bytes`` and ``path``."""
    if hasattr(column, "field"):
        column = column.field("bytes")
    values: list[bytes | None] = column.to_pylist()
    return values


def _image_column(schema: Any, path: Path) -> str:
    """The path of the column that holds images.

    Raises:
        UsageError: there is none, or there are several and none has a usual name.
    """
    import pyarrow.types as kinds

    def holds_bytes(field: Any) -> bool:
        kind = field.type
        if kinds.is_struct(kind):
            return any(part.name == "bytes" and holds_bytes(part) for part in kind)
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    fields = {field.name: field for field in schema if holds_bytes(field)}
    name = next((name for name in COLUMN_NAMES if name in fields), next(iter(fields)) if len(fields) == 1 else None)
    if name is None:
        raise UsageError(
            f"expected one column of encoded images (binary, or Hugging Face's image) in {path}, or one of several "
            f"called {' or '.join(COLUMN_NAMES)}; received {', '.join(map(str, schema.names))}"
        )
    return f"{name}.bytes" if kinds.is_struct(fields[name].type) else str(name)
