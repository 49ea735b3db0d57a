"""Which files a data set consists of: one table of several, or all those that are named as splits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mien.data import mnist, pixel_csv, tables
from mien.data.archives import DAMAGED, ENDINGS, MAX_TABLES, Source, sources_in
from mien.data.csv_rows import form_of
from mien.data.folders import CROPS, LEGEND, name_refusal
from mien.data.pixel_csv import Part
from mien.data.records import is_json_lines, is_parquet, table_of
from mien.data.tables import named_parts, parquet_files
from mien.errors import DatasetError, MissingExtraError
from mien.media.file_kind import IMAGE_SUFFIXES
from mien.media.parquet_images import PARQUET_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mien.data.dataset import Dataset

VOTES = "fer2013new.csv"
SHARD = re.compile(r".+-\d{5}-of-\d{5}\b", re.IGNORECASE)
"""A file of a split as Hugging Face's datasets name it."""

WHOLE_JSON = re.compile(rb'\s*(\[\s*\{|\{\s*"[^"]*"\s*:\s*\{\s*"0"\s*:)')
"""The start of a table as one JSON value: a list of objects, or an object of columns as pandas writes it."""

METADATA = "metadata.*"
"""The list of the images in a folder, as Hugging Face's datasets name it."""


def read_tables(path: Path) -> Dataset | None:
    """The data set of the tables meant by a path; None if there are none.

    Args:
        path: a table, an archive of tables, or a folder with some.

    Raises:
        DatasetError: none of the tables has labels, several have and their names don't say which to take, or the
            chosen one can't be read.
        MissingExtraError: a Parquet file needs pyarrow.
    """
    found = _sources(path)
    if not found:
        return None
    parts, notes = chosen(found, path)
    if WHOLE_JSON.match(parts[0].source.head):
        raise DatasetError(
            f"expected JSON Lines, one object a line, in {parts[0].source.path}; received all rows in one JSON value. "
            "With pandas: to_json(file, orient='records', lines=True)"
        )
    if _is_csv_of_pixels(parts[0].source):
        return pixel_csv.read_parts(parts, path if path.is_file() else parts[0].source.path, notes)
    return tables.read_parts(parts, path, notes)


def chosen(sources: Sequence[Source], path: Path) -> tuple[list[Part], tuple[str, ...]]:
    """The tables to read, and notes on those that are left.

    One with images, labels and splits comes before those that lack splits. Several are read together if each is named
    as a split, such as train.csv and test.csv.

    Args:
        sources: all that were found.
        path: where, for messages.

    Raises:
        DatasetError: none has labels, or the choice is open.
    """
    if len(sources) == 1 and sources[0] == Source(path, (), sources[0].head) and not SHARD.match(path.name):
        return [Part(sources[0])], ()  # the user names this table as the data to use
    fits = [_fit(source) for source in sources]
    best = [source for source, fit in zip(sources, fits, strict=True) if fit == max(fits)]
    best = [source for source in best if len(source.inner) == min(len(source.inner) for source in best)]
    names = ", ".join(source.name for source in sources[:5])
    if max(fits) < 2:
        raise DatasetError(
            f"expected a table with labels and pixels or images in {path}; received {len(sources)} without: {names}"
        )
    parts = named_parts(best, path)
    own, named = max(fits) == 3, [part.split for part in parts if part.split]
    shards = all(map(is_parquet, best)) and (own or not named)
    if len(best) > 1 and not shards and (own or len(named) < len(parts)):
        raise DatasetError(
            f"expected one csv of pixels in {path}; received {len(best)}: "
            f"{', '.join(source.name for source in best[:5])}. Name one of them"
            f"{'' if path.is_dir() else ' after unpacking the file'}, or call them train, validation and test"
        )
    left = [source.name for source in sources if source not in best]
    if not left:
        return parts, ()
    taken = ", ".join(source.name for source in best[:5])
    return parts, (f"read: {taken}; not read, as {taken} has more: {', '.join(left[:5])}",)


def _sources(path: Path) -> list[Source]:
    """The tables meant by a path."""
    try:
        if path.is_file():
            if path.suffix.lower() == PARQUET_SUFFIX:
                return [Source(path, (), _magic(path))]
            return sources_in(path) if path.name.lower().endswith(ENDINGS) else []
        named = next((path / f"fer2013{end}" for end in ENDINGS if (path / f"fer2013{end}").is_file()), None)
        if named or mnist.is_mnist(path):
            return sources_in(named) if named else []
        visible = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
        if any(entry.is_dir() and _has_images(entry) for entry in visible):
            files = [*visible, *(file for entry in visible if entry.is_dir() for file in sorted(entry.glob(METADATA)))]
            return [source for file in files if (source := _list_of_images(file)) is not None]
        if stored := parquet_files(path):
            return [Source(file, (), _magic(file)) for file in stored]
        files = [entry for entry in visible if entry.is_file() and _may_be_table(entry)]
        return _all_sources(files)
    except DAMAGED as error:
        raise pixel_csv.unreadable(path, error) from error


def _all_sources(files: Sequence[Path]) -> list[Source]:
    """The tables in several files; an archive without one matters only if there is no other."""
    found: list[Source] = []
    problem = None
    if len(files) > MAX_TABLES:
        raise DatasetError(
            f"expected at most {MAX_TABLES} tables in {files[0].parent}; received {len(files)}. Name one"
        )
    for file in files:
        try:
            found += sources_in(file)
        except DatasetError as error:
            problem = problem or error
    if problem is not None and not found:
        raise problem
    return found


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.rglob("*"))


def _list_of_images(file: Path) -> Source | None:
    """A table that lists images in its folder with their labels; None of any other file."""
    if not file.is_file() or not (_may_be_table(file) or file.suffix.lower() == PARQUET_SUFFIX):
        return None
    try:
        (source,) = [Source(file, (), _magic(file))] if file.suffix.lower() == PARQUET_SUFFIX else sources_in(file)
        table = table_of(source)
    except (DatasetError, MissingExtraError, ValueError, *DAMAGED):  # one that lies there without being the data
        return None
    listed = any(name_refusal(name, file.parent) is None for name in table.images)
    return source if table.columns.fit >= 2 and listed else None


def _may_be_table(file: Path) -> bool:
    name = file.name.lower()
    return name.endswith(ENDINGS) and not name.endswith(".txt") and name not in {VOTES, LEGEND, CROPS}


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _is_csv_of_pixels(source: Source) -> bool:
    return not (is_parquet(source) or is_json_lines(source)) and form_of(source).columns.image is None


def _fit(source: Source) -> int:
    if source.name.lower() == VOTES:
        return 0
    if is_parquet(source) or is_json_lines(source):
        return table_of(source).columns.fit
    return form_of(source).columns.fit
