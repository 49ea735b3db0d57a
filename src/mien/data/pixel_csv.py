"""Csv files of pixels, one image per line with its label: FER2013's own format, and the common variants.

- ``emotion,pixels,Usage``: FER2013 (Goodfellow et al. 2013), in any column order, as Kaggle's ``icml_face_data.csv``;
- ``label,pixels``: all pixels in one column, separated by spaces, commas or semicolons, with or without brackets;
- ``label,pixel0,pixel1,...`` or ``label,1x1,1x2,...``: one column per pixel (as Kaggle's digits);
- ``pixels,happy,sad,...``: one column per expression, with votes or a 1 for the expression shown.

Columns may be divided by commas, semicolons, tabs or bars, values may be quoted, the encoding is UTF-8, UTF-16 or
Latin-1, and the first line may be a row already. ``mien.data.columns`` and ``mien.data.labels`` have the names of
columns and the meaning of labels; without a column of splits every row is Training. Each row is read exactly or
rejected with its line number. Blank lines are skipped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mien.data.archives import DAMAGED, Source, sources_in
from mien.data.columns import check_alike
from mien.data.csv_rows import CsvReader, Form, form_of
from mien.data.labels import LabelColumn, shares
from mien.data.rows import Rows, cached
from mien.errors import DatasetError
from mien.media.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.data.rows import Arrays

FER2013_NAME = "fer2013"


@dataclass(frozen=True)
class Part:
    """A csv file of a data set.

    Attributes:
        source: the file, or the member of an archive.
        split: of all its rows, where its name says it; else its rows do.
        place: its name among several, before the line numbers of its rows.
    """

    source: Source
    split: str = ""
    place: str = ""


def read(path: Path) -> Dataset:
    """The data set of a csv of pixels; parsed once, then cached by the file's SHA-256.

    Args:
        path: a csv, plain, compressed, or the only one in an archive.

    Returns:
        Face crops uint8 (count, side, side, 1) in the file's order; the first valid row sets the side. Rows are line
        numbers, the header being line 1.

    Raises:
        DatasetError: there is no such file, it is damaged, its header lacks labels or pixels, no row is valid, or its
            numbers are no labels of FER2013 although they seem to be meant.
    """
    try:
        sources = sources_in(path)
    except DAMAGED as error:
        raise unreadable(path, error) from error
    return read_parts([Part(max(sources, key=lambda source: form_of(source).columns.fit))], path)


def read_fer2013(path: Path) -> Dataset:
    """The data set of a FER2013 csv: a row whose emotion is not 0 to 6 is rejected.

    Args:
        path: as in ``read``.

    Returns:
        As ``read``, under the name "fer2013".

    Raises:
        DatasetError: as ``read``, or the labels are not FER2013's.
    """
    data = read(path)
    if data.truths[0].head != FER2013_NAME:
        raise DatasetError(
            f"expected FER2013's labels 0 to 6 and the header 'emotion,pixels,Usage' in {path}; received the labels "
            f"{', '.join(data.truths[0].labels[:5])}"
        )
    return data


def read_parts(parts: Sequence[Part], path: Path, notes: Sequence[str] = ()) -> Dataset:
    """The data set of one or several csv files of the same columns.

    Args:
        parts: the files, in order; the rows of several have the file's name before the line number.
        path: that the user gave; names the data set.
        notes: for the data set.

    Raises:
        DatasetError: as ``read``.
    """
    forms = [form_of(part.source) for part in parts]
    check_alike([form.columns for form in forms], path)
    try:
        digests = {part.source.path: sha256_of(part.source.path) for part in parts}
    except OSError as error:
        raise unreadable(path, error) from error
    digest = digests[parts[0].source.path]
    if len(parts) > 1 or parts[0].split:
        listed = (f"{'/'.join(part.source.inner)}\0{part.split}\0{digests[part.source.path]}" for part in parts)
        digest = hashlib.sha256("\n".join(listed).encode(errors="surrogateescape")).hexdigest()
    labels = _label_column(forms)
    name = FER2013_NAME if labels.is_fer2013 else path.name.split(".", 1)[0]
    return cached(digest, name, partial(_parsed, parts, forms, labels, path, notes))


def unreadable(path: Path, error: Exception) -> DatasetError:
    """The error of a file that can't be opened, or is damaged."""
    if isinstance(error, OSError) and error.strerror:
        return DatasetError(f"expected a csv of pixels at {path}; it can't be opened ({error.strerror})")
    return DatasetError(f"expected a whole file at {path}; it is damaged ({error})")


def _label_column(forms: Sequence[Form]) -> LabelColumn:
    sample = [
        row[form.columns.label]
        for form in forms
        for row in form.rows
        if form.columns.label is not None and len(row) == len(form.columns.names)
    ]
    return LabelColumn(is_emotion=all(form.columns.is_emotion for form in forms), sample=sample)


def _parsed(
    parts: Sequence[Part], forms: Sequence[Form], labels: LabelColumn, path: Path, notes: Sequence[str]
) -> Arrays:
    rows = Rows()
    for part, form in zip(parts, forms, strict=True):
        prefix = f"{part.place}:" if len(parts) > 1 else ""
        table = CsvReader(form, labels, rows, prefix, part.split)
        try:
            with part.source.opened() as file, form.dialect.recoded(file) as text:
                table.take(text)
        except DAMAGED as error:
            raise DatasetError(
                f"expected a whole file at {path}; it is damaged after line {table.number} ({error})"
            ) from error
    rows.require(path)
    if forms[0].columns.votes:
        truth = shares(rows.labels, [emotion for _, emotion in forms[0].columns.votes])
        return rows.arrays(truth, notes)
    truth, label_notes = labels.truth(rows.labels, rows.written_side, path)
    return rows.arrays(truth, [*notes, *label_notes])
