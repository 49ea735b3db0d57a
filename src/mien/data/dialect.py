"""How a csv file is written: encoding, delimiter, quotes, and whether its first line names the columns.

A dialect is recognised from the start of the file. The standard form (UTF-8, commas, no quotes) is split without
Python's csv module, which would take several times as long.
"""

from __future__ import annotations

import codecs
import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 400_000
"""A row of 256x256 pixels takes at most 262,144 bytes, plus its other columns."""

DELIMITERS = (b",", b";", b"\t", b"|")
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, and the encoding of each; the longer mark of two that begin alike comes first."""

csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))  # its own limit is half an image of 256x256


@dataclass(frozen=True)
class Dialect:
    r"""The form of a csv file.

    Attributes:
        delimiter: between columns.
        encoding: as Python names it; "utf-8" also for the single-byte encodings, which are kept as they are.
        line_end: "\n", or "\r" in files of old Macs.
        skip: bytes of the byte order mark of UTF-8.
    """

    delimiter: bytes = b","
    encoding: str = "utf-8"
    line_end: str = "\n"
    skip: int = 0

    @contextmanager
    def recoded(self, file: IO[bytes]) -> Iterator[IO[bytes]]:
        r"""The file as UTF-8 with lines that end in "\n"."""
        if self.encoding == "utf-8" and self.line_end == "\n":
            file.read(self.skip)
            yield file
            return
        recoded = _Recoded(file, self)
        try:
            yield recoded  # type: ignore[misc]  # readline is all that is used
        finally:
            recoded.text.detach()  # it would close the file

    def cells(self, line: bytes) -> list[bytes]:
        """The values of a line, without quotes around them; spaces stay."""
        if b'"' not in line:
            return line.split(self.delimiter)
        return self._parsed(line)[0]

    def is_open(self, line: bytes) -> bool:
        """Whether a quoted value goes on in the next line."""
        return b'"' in line and self._parsed(line)[1]

    def _parsed(self, line: bytes) -> tuple[list[bytes], bool]:
        # Latin-1 maps each byte to one character and back; the second line is only read if a quote is open
        rows = csv.reader([line.decode("latin-1"), ""], delimiter=self.delimiter.decode(), skipinitialspace=True)
        try:
            values = [value.encode("latin-1") for value in next(rows, [])]
        except csv.Error:  # a line end in a value without quotes
            return line.split(self.delimiter), False
        return values, rows.line_num > 1


def sniff(head: bytes, *, cut: bool) -> list[tuple[Dialect, list[bytes]]]:
    """A dialect for each delimiter, and the lines of the start that are not blank.

    Args:
        head: the start of the file.
        cut: whether the file goes on behind it; its last line is then left out.
    """
    encoding, skip = _encoding(head)
    text = head[skip:] if encoding == "utf-8" else head.decode(encoding, "replace").lstrip("\ufeff").encode()
    line_end = "\r" if b"\r" in text and b"\n" not in text else "\n"
    found = text.splitlines(keepends=True) if line_end == "\n" else text.split(b"\r")
    lines = [line for line in found[: -1 if cut else None] if line.strip()]
    return [(Dialect(delimiter, encoding, line_end, skip), lines) for delimiter in DELIMITERS]


def _encoding(head: bytes) -> tuple[str, int]:
    """The encoding, and the length of a mark of UTF-8."""
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            return encoding, len(mark) if encoding == "utf-8" else 0
    if len(head) >= 8 and not any(head[1:8:2]) and all(head[0:8:2]):
        return "utf-16-le", 0
    if len(head) >= 8 and not any(head[0:8:2]) and all(head[1:8:2]):
        return "utf-16-be", 0
    return "utf-8", 0


class _Recoded:
    r"""The lines of a file in another encoding, or with other line ends, as UTF-8 with "\n"."""

    def __init__(self, file: IO[bytes], dialect: Dialect) -> None:
        file.read(dialect.skip)
        single = dialect.encoding == "utf-8"  # Latin-1 maps each byte to one character and back
        self._form = "latin-1" if single else "utf-8"
        self._end = dialect.line_end
        self.text = io.TextIOWrapper(file, "latin-1" if single else dialect.encoding, "replace", newline=self._end)

    def readline(self, limit: int) -> bytes:
        """The next line, at most so many bytes of it; b"" at the end."""
        line = self.text.readline(limit)
        if self._end == "\r" and line.endswith("\r"):
            line = line[:-1] + "\n"
        return line.encode(self._form, "replace")
