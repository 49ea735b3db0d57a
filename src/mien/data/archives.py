"""Tables inside compressed files and archives: .gz, .bz2, .xz, .zip, .tar and .tar.gz, recognised by their content.

Nothing is unpacked to the disk, so a member's name is only a name. Links in an archive are not followed, and a file is
decompressed no further than a plausible table would need.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE_ENDINGS = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json")
PACKED_ENDINGS = (".gz", ".bz2", ".xz", ".zip")
ENDINGS = (
    *TABLE_ENDINGS,
    *(table + packed for table in TABLE_ENDINGS for packed in PACKED_ENDINGS),
    *(".txt", ".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz"),
)
"""File name endings of tables as text, in lower case."""

HEAD_BYTES = 1 << 20
"""Of the start of a table, from which its form is recognised."""

MAX_RATIO, MIN_LIMIT_BYTES = 300, 64 << 20
"""A file is decompressed to at most this many times its size, or to 64 MiB; FER2013 takes 4 times, blank digits 100."""

BUFFER_BYTES = 1 << 16
MAX_MEMBERS = 10_000
MAX_TABLES = 100
"""Tables of which the start is kept, at most 100 MiB in all."""

MAX_LAYERS = 3
"""Of compression around one file."""

DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""Exceptions of the decompressors on damaged, truncated or encrypted files."""


@dataclass(frozen=True)
class Source:
    """A table: a file, or a member of an archive.

    Attributes:
        path: the file or the archive.
        inner: the member's name; two for a member of an archive in an archive; none for a file itself.
        head: the start of the table, decompressed.
    """

    path: Path
    inner: tuple[str, ...] = ()
    head: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The name of the table itself, without its folders."""
        return self.inner[-1].rsplit("/", 1)[-1] if self.inner else self.path.name

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes of the table, decompressed on the fly; a damaged file raises one of ``DAMAGED``."""
        with ExitStack() as stack:
            file = stack.enter_context(self.path.open("rb"))
            limit = _limit(self.path)
            stream = _peeled(file, limit)
            for name in self.inner:
                stream = _peeled(_member(stack, stream, name), limit)
            yield stream


def sources_in(path: Path) -> list[Source]:
    """The tables in a file: itself, or the tables among an archive's members.

    Raises:
        DatasetError: the archive holds no table as text.
        OSError: or another of ``DAMAGED``, if the file is damaged.
    """
    found: list[Source] = []
    received: list[str] = []
    with path.open("rb") as file:
        stream = _peeled(file, _limit(path))
        if not (_is_zip(stream) or _is_tar(stream)):
            return [Source(path, (), stream.read(HEAD_BYTES))]
        for name, member in _members(stream):
            received.append(name)
            if not name.lower().endswith(ENDINGS) or name.lower().endswith(".txt"):
                continue
            inside = _peeled(member, _limit(path))
            if inside.peek(4)[:4] == b"PK\3\4":  # type: ignore[attr-defined]  # BufferedReader; a zip can't be read forward
                continue
            if _is_tar(inside):
                tables = (member for member in _members(inside) if member[0].lower().endswith(TABLE_ENDINGS))
                found += [
                    Source(path, (name, inner), table.read(HEAD_BYTES))
                    for inner, table in islice(tables, MAX_TABLES + 1)
                ]
            else:
                found.append(Source(path, (name,), inside.read(HEAD_BYTES)))
            if len(found) > MAX_TABLES:
                raise DatasetError(f"expected at most {MAX_TABLES} tables in {path}; received more: unpack it")
    if not found:
        raise DatasetError(
            f"expected a csv inside {path}; received {', '.join(received[:5]) or 'nothing'}. If it holds images, "
            "Parquet files or another zip, unpack it and give the folder"
        )
    return found


@contextmanager
def decompressed(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed on the fly; a damaged file raises one of ``DAMAGED``."""
    with Source(path).opened() as file:
        yield file


class _Bounded(io.RawIOBase):
    """A stream from its start, which was read already, on; it ends with an error at a limit."""

    def __init__(self, head: bytes, rest: IO[bytes], limit: int) -> None:
        self._head, self._rest, self._left = head, rest, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._head + self._rest.read(len(buffer) - len(self._head))
        self._head = b""
        self._left -= len(content)
        if self._left < 0:
            raise DatasetError(
                f"expected a table; received a file that unpacks to over {MAX_RATIO} times its size, as bombs do"
            )
        buffer[: len(content)] = content
        return len(content)


def _limit(path: Path) -> int:
    return max(MIN_LIMIT_BYTES, MAX_RATIO * path.stat().st_size)


def _peeled(file: IO[bytes], limit: int) -> IO[bytes]:
    """A file without the compression around it."""
    for _ in range(MAX_LAYERS + 1):
        head = file.read(6)
        whole: Any = file
        if isinstance(getattr(file, "raw", None), io.FileIO):
            file.seek(0)
        else:
            whole = io.BufferedReader(_Bounded(head, file, limit), BUFFER_BYTES)
        if head[:2] == b"\x1f\x8b":
            unpacked: Any = gzip.GzipFile(fileobj=whole)
        elif head[:3] == b"BZh":
            unpacked = bz2.BZ2File(whole)
        elif head == b"\xfd7zXZ\0":
            unpacked = lzma.LZMAFile(whole)  # noqa: SIM115 - the caller closes the file beneath
        else:
            return whole  # type: ignore[no-any-return]  # a file or a BufferedReader
        file = io.BufferedReader(_Bounded(b"", unpacked, limit), BUFFER_BYTES)
    raise DatasetError(f"expected a table; received one in over {MAX_LAYERS} layers of compression")


def _is_zip(stream: IO[bytes]) -> bool:
    """Whether a file is a zip; one within another archive is not opened, as it can't be read forward."""
    is_file = isinstance(getattr(stream, "raw", None), io.FileIO)
    return is_file and stream.peek(4)[:4] in {b"PK\3\4", b"PK\5\6"}  # type: ignore[attr-defined]  # BufferedReader


def _is_tar(stream: IO[bytes]) -> bool:
    return stream.peek(262)[257:262] == b"ustar"  # type: ignore[attr-defined, no-any-return]  # BufferedReader


def _members(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of a zip or tar that are not hidden; each is open until the next."""
    if _is_zip(stream):
        with zipfile.ZipFile(stream) as archive:
            for number, entry in enumerate(archive.infolist()):
                is_link = stat.S_ISLNK(entry.external_attr >> 16)
                if number < MAX_MEMBERS and not (entry.is_dir() or is_link or _hidden(entry.filename)):
                    with archive.open(entry) as member:
                        yield entry.filename, member
        return
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for number, header in enumerate(tar):
            regular = header.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not header.issparse()
            if number < MAX_MEMBERS and regular and not _hidden(header.name):
                content = tar.extractfile(header)
                if content is not None:
                    yield header.name, content


def _member(stack: ExitStack, stream: IO[bytes], name: str) -> IO[bytes]:
    members = _members(stream)
    stack.callback(members.close)  # type: ignore[attr-defined]  # a generator
    for found, member in members:
        if found == name:
            return member
    raise DatasetError(f"expected a member {name}; the archive has changed")


def _hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in {"", ".", ".."}]
    return not parts or any(part.startswith((".", "__MACOSX")) for part in parts)
