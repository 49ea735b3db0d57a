"""The rows of a csv file of pixels: its form is recognised from its start, then each line is a row or is rejected."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, TypeAlias

from mien.data.archives import HEAD_BYTES, Source
from mien.data.columns import Columns, columns_of, columns_without_names
from mien.data.dialect import MAX_LINE_BYTES, Dialect, sniff
from mien.data.labels import LabelColumn, votes_of
from mien.data.rows import BadRowError, Rows, pixels_of, split_of
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATORS = bytes.maketrans(b"[](){},;|\t'\"", b" " * 12)
"""Between the pixels of a list."""

SAMPLE_ROWS = 100
"""Rows from which the form of a file is decided."""

MAX_BLANK_LINES = 1_000_000
MAX_JOINED_LINES = 600
"""Lines of one quoted value; an image printed by NumPy takes 128."""

MAX_FAILED_JOINS = 100
"""Quotes without an end, after which lines are no longer joined: each costs a search."""

Label: TypeAlias = "int | str | tuple[float, ...]"


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
        table = [tuple(text_of(cell) for cell in dialect.cells(line)) for line in _whole(lines, dialect)]
        columns = columns_of(table[0] if table else (), table[1:])
        if not columns.fit and (found := columns_without_names(table)):
            columns = found
        forms.append(Form(dialect, columns, tuple(table[columns.has_header :])))
    return max(forms, key=lambda form: form.columns.fit)


def _whole(found: list[bytes], dialect: Dialect) -> Iterator[bytes]:
    """The first lines, with those joined that a quoted value goes on in."""
    remaining = deque(found)
    for _ in range(SAMPLE_ROWS):
        if not remaining:
            return
        line, count = remaining.popleft(), 0
        while remaining and count < MAX_JOINED_LINES and dialect.is_open(line):
            line, count = line + remaining.popleft(), count + 1
        yield line


@dataclass
class CsvReader:
    """Reads one csv file into ``rows``.

    Attributes:
        form: of the file.
        labels: how its labels are written.
        rows: of the data set.
        prefix: of the places of rows, which are line numbers.
        split: of all rows, or "".
        number: of the line read last.
    """

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
        if columns.split is not None:
            value = values[columns.split].strip()
            if cut or value not in self._known_splits:
                seen = {text_of(known) for known in self._known_splits} if cut else ()
                self._known_splits[value] = split_of(text_of(value), seen, cut=cut)
            split = self._known_splits[value]
        else:
            split = columns.split_in(lambda at: text_of(values[at]), self.split)
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
