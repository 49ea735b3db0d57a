"""Data sets as tables of records: Parquet, JSON Lines, and csv files of image paths.

A record holds a label, perhaps a split, and an image: as pixels (text, a list, or rows of a list), as the bytes of an
image file, in Hugging Face's form (``{"bytes": ..., "path": ...}``), in JSON as base64, or as a path within the table's
folder. Columns are recognised by ``mien.data.columns``. Names of classes that Hugging Face stores in a Parquet file's
schema are used. Images become face crops as those of folders do.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from mien.data.archives import DAMAGED, Source
from mien.data.columns import check_alike
from mien.data.folders import face_crop
from mien.data.labels import LabelColumn, shares, votes_of
from mien.data.pixel_csv import Part, unreadable
from mien.data.records import Table, image_of, pixels_in_record, records_of, side_of, table_of, text_in
from mien.data.rows import BadRowError, Rows, cached, dataset
from mien.data.split_names import is_split_column, split_named
from mien.errors import DatasetError, ImageError
from mien.media.files import sha256_of
from mien.media.parquet_images import PARQUET_SUFFIX, ImageLoader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.data.rows import Arrays

SIDE = 48
"""Side of the face crops that images become, in pixels."""


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
    check_alike([table.columns for table in tables], path)
    if len({table.class_names for table in tables}) > 1:
        raise DatasetError(
            f"expected tables with the same names of classes in {path}; received different ones, so that a number has "
            "two meanings. Name one table"
        )
    sample = [label for table in tables for label in table.sample]
    names = tables[0].class_names
    labels = LabelColumn(is_emotion=all(table.columns.is_emotion for table in tables), sample=sample, names=names)
    name = path.name.split(".", 1)[0]
    digest = hashlib.sha256()
    try:
        for part in parts:
            listed = f"{part.source.name}\0{'/'.join(part.source.inner)}\0{part.split}\0{sha256_of(part.source.path)}\n"
            digest.update(listed.encode(errors="surrogateescape"))
        reader = _Reader(Rows(), labels, digest, path)
        if any(table.columns.image is not None and not table.has_images for table in tables):
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
            prefix = f"{part.place}:" if len(parts) > 1 else ""
            for number, record in records_of(table):
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
            label: Any = votes_of([text_in(values[at]) for at, _ in columns.votes])
        else:
            label = self.labels.parse(text_in(values[columns.label]))
        new = next((name for name in record if name not in columns.names and is_split_column(name)), None)
        if new is not None:
            raise BadRowError(f"expected the key {new!r} from the first rows on, as it names the split; they lack it")
        split = columns.split_in(lambda at: text_in(values[at]), part.split)
        if columns.image is None:
            pixels = pixels_in_record([values[at] for at in columns.pixels], self.rows.side)
            self.rows.add(place, label, pixels, split)
            return
        if table.has_images:
            source: Path | bytes = self._stored(f"{table.source.path}#{number}")
        else:
            source = image_of(values[columns.image], table.source.path.parent)
        try:
            crop = face_crop(source, SIDE, 1)
            content = source if isinstance(source, bytes) else source.read_bytes()
        except (ImageError, OSError) as error:
            raise BadRowError(str(error)) from error
        self.digest.update(hashlib.sha256(content).digest())
        if not self.rows.places:
            self.rows.written_side = side_of(source)
        self.rows.add(place, label, crop.tobytes(), split)

    def _stored(self, reference: str) -> bytes:
        try:
            found = self.images.load(reference)
        except ImageError as error:
            raise BadRowError(str(error)) from error
        return found if isinstance(found, bytes) else b""


def named_parts(sources: Iterable[Source], root: Path) -> list[Part]:
    """The tables of one data set, each with the split that its name says, or the folder that it lies in.

    Args:
        sources: the tables.
        root: the folder of the data set.
    """
    parts = []
    for source in sources:
        inside = source.path.relative_to(root).parts[:-1] if root in source.path.parents else ()
        folders = (*inside, *(part for name in source.inner for part in name.split("/")[:-1]))
        named = map(split_named, (source.name.partition(".")[0], *reversed(folders)))
        parts.append(Part(source, next(filter(None, named), ""), "/".join((*folders, source.name))))
    return parts


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder or of its subfolders, sorted by name."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() == PARQUET_SUFFIX and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
