"""Records of tables: Parquet, JSON Lines, and csv files of image paths; and the values in them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.data.columns import Columns, columns_of
from mien.data.csv_rows import form_of, lines, pixels_in, text_of
from mien.data.folders import name_refusal
from mien.data.rows import BadRowError, check_square
from mien.errors import DatasetError, MissingExtraError, printable
from mien.media.image import read as read_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mien.data.archives import Source

MAX_RECORD_BYTES = 64 << 20
"""A line of JSON with an image in base64."""

BATCH_ROWS = 256
SAMPLE_ROWS = 100


@dataclass(frozen=True)
class Table:
    """A table of records.

    Attributes:
        source: the file, or the member of an archive.
        columns: what they hold.
        class_names: of the numbers in the column of labels, where the file has them.
        sample: the first labels.
        images: the first values of the column of images that are text, such as paths.
        has_images: whether the images are stored in it, for ``mien.media.parquet_images``.
    """

    source: Source
    columns: Columns
    class_names: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    has_images: bool = False


def is_parquet(source: Source) -> bool:
    """Whether a source is a Parquet file."""
    return source.head.startswith(b"PAR1")


def is_json_lines(source: Source) -> bool:
    """Whether a source begins as JSON Lines do."""
    return source.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def table_of(source: Source) -> Table:
    """The columns of a table, recognised from its start.

    Raises:
        DatasetError: a Parquet file is damaged.
        MissingExtraError: it needs pyarrow.
    """
    binary: set[str] = set()
    if is_parquet(source):
        file = _parquet(source.path)
        binary = {field.name for field in file.schema_arrow if _is_binary(field.type)}
        names, first = list(file.schema_arrow.names), next(_batches(file, SAMPLE_ROWS), [])
        class_names = _class_names(file.schema_arrow.metadata or {})
    elif is_json_lines(source):
        first = []
        for line in source.head.removeprefix(b"\xef\xbb\xbf").splitlines()[:SAMPLE_ROWS]:
            try:
                first.append(_object(line))
            except BadRowError:
                continue
        names, class_names = list(dict.fromkeys(name for record in first for name in record)), {}
    else:
        form = form_of(source)
        names, class_names = list(form.columns.names), {}
        first = [dict(zip(names, row, strict=False)) for row in form.rows]
    columns = columns_of(names, [[text_in(record.get(name.strip().lower())) for name in names] for record in first])
    label = names[columns.label] if columns.label is not None else ""
    sample = tuple(text_in(record.get(label.strip().lower())) for record in first)
    stored = columns.image is not None and names[columns.image] in binary
    image = names[columns.image].strip().lower() if columns.image is not None else ""
    images = tuple(filter(None, (text_in(record.get(image)) for record in first)))
    return Table(source, columns, tuple(class_names.get(label, ())), sample, images, stored)


def records_of(table: Table) -> Iterator[tuple[int, Mapping[str, Any] | BadRowError]]:
    """The place of each record, and the record: rows of Parquet from 0, lines from 1."""
    if is_parquet(table.source):
        file = _parquet(table.source.path)
        number = 0
        for batch in _batches(file, BATCH_ROWS):
            for record in batch:
                yield number, record
                number += 1
        return
    with table.source.opened() as file:
        if is_json_lines(table.source):
            for number, line in lines(file, MAX_RECORD_BYTES):
                try:
                    yield number, _object(line)
                except BadRowError as error:
                    yield number, error
            return
        form = form_of(table.source)
        with form.dialect.recoded(file) as text:
            numbered = lines(text)
            next(numbered, None)
            for number, line in numbered:
                cells = [text_of(cell) for cell in form.dialect.cells(line)]
                if len(cells) != len(form.columns.names):
                    yield number, BadRowError(f"expected {len(form.columns.names)} columns; received {len(cells)}")
                else:
                    yield number, dict(zip(form.columns.names, cells, strict=True))


def _object(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"expected a JSON object; it can't be read ({str(error)[:80]})") from error
    if not isinstance(record, dict):
        raise BadRowError(f"expected a JSON object; received {type(record).__name__}")
    return {name.strip().lower(): value for name, value in record.items()}


def _parquet(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("a Parquet data set", "pyarrow", "parquet") from error
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"expected a whole Parquet file at {path}; it is damaged ({error})") from error


def _batches(file: Any, size: int) -> Iterator[list[dict[str, Any]]]:
    """Rows of a Parquet file, some at a time; columns of encoded images are left to ``ImageLoader``."""
    import pyarrow as pa

    fields = [field.name for field in file.schema_arrow if not _is_binary(field.type)]
    try:
        for batch in file.iter_batches(size, columns=fields):
            yield [{name.strip().lower(): value for name, value in record.items()} for record in batch.to_pylist()]
    except pa.ArrowException as error:
        raise DatasetError(f"expected a whole Parquet file; it is damaged ({error})") from error


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind)) or (
        kinds.is_struct(kind) and any(part.name == "bytes" for part in kind)
    )


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """The names of the classes of each column, as Hugging Face's datasets store them."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {
            str(name): tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (ValueError, AttributeError, TypeError):
        return {}


def text_in(value: Any) -> str:
    """A value of a record as a csv would hold it; "" for lists, objects and missing values."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else ""


def pixels_in_record(values: Sequence[Any], side: int) -> bytes:
    """The pixels of a record: text, a list, or one value for each pixel."""
    if len(values) == 1:
        if isinstance(values[0], str):
            return pixels_in(values[0].encode(), side)
        values = values[0] if isinstance(values[0], list) else []
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRowError("expected pixels as whole numbers from 0 to 255; received other values") from error
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        raise BadRowError(f"expected the pixels of a square; received {array.shape[1]}x{array.shape[0]}")
    if not array.size or array.ndim > 2 or not ((array >= 0) & (array <= 255) & (array == array.round())).all():
        raise BadRowError("expected pixels as whole numbers from 0 to 255; received other values")
    check_square(array.size, side)
    return array.astype(np.uint8).tobytes()


def image_of(value: Any, folder: Path) -> Path | bytes:
    """The image of a record: its encoded bytes, or its path in the folder of the table."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value:
        raise BadRowError("the row holds no image")
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    if value.startswith("data:") or len(value) > 300:
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise BadRowError(f"expected an image in base64; it can't be decoded ({error})") from error
    refusal = name_refusal(value.replace("\\", "/"), folder)
    if refusal is None:
        return folder / value.replace("\\", "/")
    try:
        return base64.b64decode(encoded, validate=True) if len(value) > 60 else _none(refusal)
    except binascii.Error:
        return _none(refusal)


def _none(refusal: str) -> bytes:
    raise BadRowError(printable(refusal))


def side_of(source: Path | bytes) -> int:
    """The side of a square image as it was stored; 0 of any other."""
    height, width = read_image(source).shape[:2]
    return width if height == width else 0
