"""Data sets as tables of records: Parquet, JSON Lines, and csv files of image paths.

A record holds a label, perhaps a split, and an image: as pixels (text, a list, or rows of a list), as the bytes of an
image file, in Hugging Face's form (``{"bytes": ..., "path": ...}``), in JSON as base64, or as a path within the table's
folder. Columns are recognised by ``mien.data.columns``. Names of classes that Hugging Face stores in a Parquet file's
schema are used. Images become face crops as those of folders do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.data.archives import DAMAGED, Source
from mien.data.columns import Columns, columns_of
from mien.data.dataset import TRAINING
from mien.data.folders import face_crop, name_refusal
from mien.data.labels import LabelColumn, shares, votes_of
from mien.data.pixel_csv import Part, form_of, lines, pixels_in, text_of, unreadable
from mien.data.rows import BadRowError, Rows, cached, check_square, dataset, split_of
from mien.data.split_names import split_named
from mien.errors import DatasetError, ImageError, MissingExtraError, printable
from mien.media.files import sha256_of
from mien.media.parquet_images import PARQUET_SUFFIX, ImageLoader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mien.data.dataset import Dataset
    from mien.data.rows import Arrays

SIDE = 48
"""Side of the face crops that images become, in pixels."""

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
    """

    source: Source
    columns: Columns
    class_names: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()


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
    if is_parquet(source):
        file = _parquet(source.path)
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
    columns = columns_of(names, [[_text(record.get(name)) for name in names] for record in first])
    label = names[columns.label] if columns.label is not None else ""
    sample = tuple(_text(record.get(label)) for record in first)
    return Table(source, columns, tuple(class_names.get(label, ())), sample)


def read_parts(parts: Sequence[Part], path: Path, notes: Sequence[str] = ()) -> Dataset:
    """The data set of one or several tables of the same columns.

    Args:
        parts: the tables, in order; the rows of several have the file's name before their number.
        path: that the user gave; names the data set.
        notes: for the data set.

    Raises:
        DatasetError: a table is damaged, lacks labels or images, or no row can be read.
        MissingExtraError: a Parquet file needs pyarrow.
    """
    tables = [table_of(part.source) for part in parts]
    for table in tables:
        if table.columns.problem:
            raise DatasetError("expected " + table.columns.problem.format(path=table.source.path))
    sample = [label for table in tables for label in table.sample]
    names = tables[0].class_names
    labels = LabelColumn(is_emotion=tables[0].columns.is_emotion, sample=sample, names=names)
    name = path.name.split(".", 1)[0]
    digest = hashlib.sha256()
    try:
        for part in parts:
            listed = f"{part.source.name}\0{'/'.join(part.source.inner)}\0{part.split}\0{sha256_of(part.source.path)}\n"
            digest.update(listed.encode(errors="surrogateescape"))
        reader = _Reader(Rows(), labels, digest, path)
        if any(table.columns.image is not None and not is_parquet(table.source) for table in tables):
            arrays = reader.arrays(parts, tables, notes)  # before the digest: it covers the images that are named
            return dataset(arrays, name, digest.hexdigest())
        return cached(digest.hexdigest(), name, partial(reader.arrays, parts, tables, notes))
    except DAMAGED as error:
        raise unreadable(path, error) from error


class _Reader:
    """Reads the records of tables into rows."""

    def __init__(self, rows: Rows, labels: LabelColumn, digest: Any, path: Path) -> None:
        self.rows, self.labels, self.digest, self.path = rows, labels, digest, path
        self.images = ImageLoader()

    def arrays(self, parts: Sequence[Part], tables: Sequence[Table], notes: Sequence[str]) -> Arrays:
        for part, table in zip(parts, tables, strict=True):
            prefix = f"{part.source.name}:" if len(parts) > 1 else ""
            for number, record in _records(table):
                place = f"{prefix}{number}"
                try:
                    if isinstance(record, BadRowError):
                        raise record
                    self._take(place, number, record, part, table)
                except BadRowError as reason:
                    self.rows.reject(place, str(reason))
        self.rows.require(self.path)
        if tables[0].columns.votes:
            truth = shares(self.rows.labels, [emotion for _, emotion in tables[0].columns.votes])
            return self.rows.arrays(truth, notes)
        truth, label_notes = self.labels.truth(self.rows.labels, self.rows.written_side, self.path)
        return self.rows.arrays(truth, [*notes, *label_notes])

    def _take(self, place: str, number: int, record: Mapping[str, Any], part: Part, table: Table) -> None:
        columns = table.columns
        values = [record.get(name) for name in columns.names]
        if columns.label is None:
            label: Any = votes_of([_text(values[at]) for at, _ in columns.votes])
        else:
            label = self.labels.parse(_text(values[columns.label]))
        split = part.split or TRAINING
        if columns.split is not None:
            split = split_of(_text(values[columns.split]), ())
        if columns.image is None:
            pixels = _pixels([values[at] for at in columns.pixels], self.rows.side)
            self.rows.add(place, label, pixels, split)
            return
        image = values[columns.image]
        if is_parquet(table.source) and not isinstance(image, str):
            image = self._stored(f"{table.source.path}#{number}")
        source = _image(image, table.source.path.parent)
        if columns.split is None and not part.split and isinstance(source, Path):
            folders = source.relative_to(table.source.path.parent).parts[:-1]
            split = next(filter(None, map(split_named, folders)), TRAINING)
        try:
            crop = face_crop(source, SIDE, 1)
            content = source if isinstance(source, bytes) else source.read_bytes()
        except (ImageError, OSError) as error:
            raise BadRowError(str(error)) from error
        self.digest.update(hashlib.sha256(content).digest())
        if not self.rows.places:
            self.rows.written_side = _side_of(source)
        self.rows.add(place, label, crop.tobytes(), split)

    def _stored(self, reference: str) -> bytes:
        try:
            found = self.images.load(reference)
        except ImageError as error:
            raise BadRowError(str(error)) from error
        return found if isinstance(found, bytes) else b""


def _records(table: Table) -> Iterator[tuple[int, Mapping[str, Any] | BadRowError]]:
    """The place of each record, and the record: rows of Parquet from 0, lines from 1."""
    if is_parquet(table.source):
        file = _parquet(table.source.path)
        stored = None if table.columns.image is None else table.columns.names[table.columns.image]
        number = 0
        for batch in _batches(file, BATCH_ROWS, without=stored):
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
        numbered = lines(form.dialect.recoded(file))
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


def _batches(file: Any, size: int, without: str | None = None) -> Iterator[list[dict[str, Any]]]:
    """Rows of a Parquet file, some at a time; the column of stored images is left to ``ImageLoader``."""
    import pyarrow as pa

    fields = [
        field.name
        for field in file.schema_arrow
        if not _is_binary(field.type) and not (field.name == without and pa.types.is_struct(field.type))
    ]
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


def _text(value: Any) -> str:
    """A value of a record as a csv would hold it; "" for lists, objects and missing values."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _pixels(values: Sequence[Any], side: int) -> bytes:
    """The pixels of a record: text, a list, or one value for each pixel."""
    if len(values) == 1:
        if isinstance(values[0], str):
            return pixels_in(values[0].encode(), side)
        values = values[0] if isinstance(values[0], list) else []
    try:
        array = np.array(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise BadRowError("expected pixels as whole numbers from 0 to 255; received other values") from error
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        raise BadRowError(f"expected the pixels of a square; received {array.shape[1]}x{array.shape[0]}")
    if not array.size or array.ndim > 2 or not ((array >= 0) & (array <= 255) & (array == array.round())).all():
        raise BadRowError("expected pixels as whole numbers from 0 to 255; received other values")
    check_square(array.size, side)
    return array.astype(np.uint8).tobytes()


def _image(value: Any, folder: Path) -> Path | bytes:
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


def _side_of(source: Path | bytes) -> int:
    """The side of a square image as it was stored; 0 of any other."""
    from mien.media.image import read as read_image

    height, width = read_image(source).shape[:2]
    return width if height == width else 0


def in_order(sources: Iterable[Source]) -> list[Part]:
    """Several tables of one data set, each with the split that its name says."""
    return [Part(source, split_named(source.name.partition(".")[0]) or "") for source in sources]


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder or of its subfolders, sorted by name."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() == PARQUET_SUFFIX and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
