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
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, TypeAlias

from mien.data.archives import DAMAGED, HEAD_BYTES, Source, sources_in
from mien.data.columns import Columns, columns_of, columns_without_names
from mien.data.dataset import TRAINING
from mien.data.dialect import MAX_LINE_BYTES, Dialect, sniff
from mien.data.labels import LabelColumn, shares, votes_of
from mien.data.rows import BadRowError, Rows, cached, pixels_of, split_of
from mien.errors import DatasetError
from mien.media.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.data.rows import Arrays

FER2013_NAME = "fer2013"
SEPARATORS = bytes.maketrans(b"[](){},;|\t'\"", b" " * 12)
"""Between the pixels of a list."""

MAX_BLANK_LINES = 1_000_000
MAX_JOINED_LINES = 600
"""Lines of one quoted value; an image printed by NumPy takes 128."""

MAX_FAILED_JOINS = 100
"""Quotes without an end, after which lines are no longer joined: each costs a search."""

Label: TypeAlias = "int | str | tuple[float, ...]"


@dataclass(frozen=True)
class Part:
    """A csv file of a data set.

    Attributes:
        source: the file, or the member of an archive.
        split: of all its rows, where its name says it; else its rows do.
    """

    source: Source
    split: str = ""


@dataclass(frozen=True)
class Form:
    """How a csv file is written, and what its columns hold."""

    dialect: Dialect
    columns: Columns
    rows: tuple[tuple[str, ...], ...]


def form_of(source: Source) -> Form:
    """The form of a csv file, recognised from its start."""
    cut = len(source.head) >= HEAD_BYTES
    forms = []
    for dialect, lines in sniff(source.head, cut=cut):
        table = [tuple(text_of(cell) for cell in dialect.cells(line)) for line in lines]
        columns = columns_of(table[0] if table else (), table[1:])
        if not columns.fit and (found := columns_without_names(table)):
            columns = found
        forms.append(Form(dialect, columns, tuple(table[columns.has_header :])))
    return max(forms, key=lambda form: form.columns.fit)


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
    for form, part in zip(forms, parts, strict=True):
        if form.columns.problem:
            raise DatasetError("expected " + form.columns.problem.format(path=part.source.path))
    try:
        digests = {part.source.path: sha256_of(part.source.path) for part in parts}
    except OSError as error:
        raise unreadable(path, error) from error
    digest = digests[parts[0].source.path]
    if len(parts) > 1 or parts[0].source.inner or parts[0].split:
        listed = (f"{'/'.join(part.source.inner)}\0{part.split}\0{digests[part.source.path]}" for part in parts)
        digest = hashlib.sha256("\n".join(listed).encode(errors="surrogateescape")).hexdigest()
    labels = _label_column(forms)
    name = FER2013_NAME if labels.is_fer2013 else path.name.split(".", 1)[0]
    return cached(digest, name, partial(_parsed, parts, forms, labels, path, notes))


def pixels_in(value: bytes, side: int) -> bytes:
    """The pixels of an image as a list in one value: with spaces, commas or semicolons, with or without brackets.

    Args:
        value: the list.
        side: as of ``pixels_of``.

    Raises:
        BadRowError: as ``pixels_of``.
    """
    numbers = value.split()
    if len(numbers) == 1 or not (numbers and numbers[0].isdigit() and numbers[-1].isdigit()) or b"," in value:
        numbers = value.translate(SEPARATORS).split()
    return pixels_of(numbers, side)


def text_of(value: bytes) -> str:
    """A value as text: UTF-8, else Windows' Latin-1; bytes that are neither become lone surrogates."""
    value = unquoted(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "surrogateescape")


def unquoted(value: bytes) -> bytes:
    """A value without surrounding spaces and double quotes."""
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[:1] == value[-1:] == b'"' else value


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
        prefix = f"{part.source.name}:" if len(parts) > 1 else ""
        table = _Table(form, labels, rows, prefix, part.split)
        try:
            with part.source.opened() as file:
                table.take(form.dialect.recoded(file))
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


@dataclass
class _Table:
    """One csv file while it is read into ``rows``."""

    form: Form
    labels: LabelColumn
    rows: Rows
    prefix: str
    split: str
    number: int = 0
    _known_labels: dict[bytes, int | str] = field(default_factory=dict)
    _known_splits: dict[bytes, str] = field(default_factory=dict)

    def take(self, file: IO[bytes]) -> None:
        """Read all lines."""
        numbered = lines(file)
        if self.form.columns.has_header:
            next(numbered, None)
        is_open, waiting, failed = self.form.dialect.is_open, deque[tuple[int, bytes]](), 0
        while item := waiting.popleft() if waiting else next(numbered, None):
            self.number, line = item
            if b'"' in line and failed < MAX_FAILED_JOINS and is_open(line):
                following = self._continuation(line, waiting, numbered)
                try:
                    self._add(self.number, b"".join([line, *(more for _, more in following)]))
                    continue
                except BadRowError:
                    waiting.extendleft(reversed(following))
                    failed += 1
            try:
                self._add(self.number, line)
            except BadRowError as reason:
                self.rows.reject(f"{self.prefix}{self.number}", str(reason))

    def _continuation(
        self, line: bytes, waiting: deque[tuple[int, bytes]], numbered: Iterator[tuple[int, bytes]]
    ) -> list[tuple[int, bytes]]:
        """The lines that may belong to a quoted value: to the end of the quote, but no line that is a row itself."""
        following: list[tuple[int, bytes]] = []
        whole = line
        while len(following) < MAX_JOINED_LINES and (item := waiting.popleft() if waiting else next(numbered, None)):
            following.append(item)
            whole += item[1]
            if len(whole) > MAX_LINE_BYTES or not self.form.dialect.is_open(whole):
                break
            if self._is_row(item[1]):
                break
        return following

    def _is_row(self, line: bytes) -> bool:
        try:
            self._values(line)
        except BadRowError:
            return False
        return True

    def _add(self, number: int, line: bytes) -> None:
        label, pixels, split = self._values(line)
        self.rows.add(f"{self.prefix}{number}", label, pixels, split)

    def _values(self, line: bytes) -> tuple[Label, bytes, str]:
        """Label or votes, pixels and split of a line."""
        columns = self.form.columns
        if len(line) > MAX_LINE_BYTES:
            raise BadRowError(f"the line is longer than {MAX_LINE_BYTES} bytes")
        if b"\0" in line:
            raise BadRowError("the line holds a NUL byte")
        values = self.form.dialect.cells(line)
        if len(values) != len(columns.names):
            raise BadRowError(f"expected {len(columns.names)} columns; received {len(values)}")
        cut = not line.endswith(b"\n")
        label = self._label(values, cut=cut)
        split = self.split or TRAINING
        if columns.split is not None:
            value = values[columns.split].strip()
            if cut or value not in self._known_splits:
                seen = {text_of(known) for known in self._known_splits}
                self._known_splits[value] = split_of(text_of(value), seen, cut=cut)
            split = self._known_splits[value]
        return label, self._pixels(values), split

    def _label(self, values: list[bytes], *, cut: bool) -> Label:
        columns = self.form.columns
        if columns.label is None:
            return votes_of([text_of(values[at]) for at, _ in columns.votes])
        value = values[columns.label].strip()
        if value not in self._known_labels:
            label = self.labels.parse(text_of(value))
            if cut and columns.label == len(values) - 1 and not self.labels.is_fer2013:
                raise BadRowError(f"the last line is cut: it ends in the unknown label {label!r}")
            if len(self._known_labels) > 10_000:  # names or row numbers, refused at the end
                return label
            self._known_labels[value] = label
        return self._known_labels[value]

    def _pixels(self, values: list[bytes]) -> bytes:
        columns = self.form.columns.pixels
        if len(columns) > 1:
            return pixels_of([unquoted(values[at]) for at in columns], self.rows.side)
        return pixels_in(unquoted(values[columns[0]]), self.rows.side)


def lines(file: IO[bytes], limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and lines that are not blank; an over-long line is truncated to one byte over the limit."""
    number, blank = 0, 0
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(limit)
        if not line.isspace():
            yield number, line
        else:
            blank += 1
            if blank > MAX_BLANK_LINES:
                raise DatasetError(f"expected rows of a label and pixels; received over {MAX_BLANK_LINES} blank lines")
