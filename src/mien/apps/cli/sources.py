"""The sources of ``mien predict`` and ``mien explain``: files, folders that are searched, and stdin."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mien.apps.cli.options import say
from mien.errors import ImageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STDIN = (Path("-"), Path("/dev/stdin"))
"""Sources that stand for the bytes on stdin."""

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)
"""How an address begins; a single letter is a disk of Windows. A path has lost one of two slashes."""

CAMERA = re.compile(r"\d{1,2}|/dev/video\d+")
"""A camera as OpenCV and Linux name it."""

HEAD_BYTES = 1 << 16
"""Bytes by which an image differs from a video."""


def files_in(sources: Sequence[Path], more: Iterable[str] = (), drawings: Iterable[Path | None] = ()) -> list[Path]:
    """Find the images and videos among the sources.

    Args:
        sources: files, and folders that are searched for images.
        more: further suffixes to search for.
        drawings: folders of annotated copies: those of an earlier run are passed over.

    Raises:
        UsageError: there are none, or a source is an address or a camera.
    """
    from mien.apps.cli.drawings import without_drawings
    from mien.media.image import IMAGE_SUFFIXES, find_images

    for source in sources:
        _check_source(source)
    found, passed_over = without_drawings(find_images(sources, {*IMAGE_SUFFIXES, *more}), sources, drawings)
    if passed_over:
        say_skipped({"annotated by an earlier run": passed_over})
    if not found:
        raise UsageError(
            f"expected images ({', '.join(sorted(IMAGE_SUFFIXES))}) or videos; found none in "
            f"{', '.join(map(str, sources))}"
        )
    return found


def say_skipped(counts: dict[str, int]) -> None:
    """Report files of the sources that are not analyzed.

    Args:
        counts: the number of files by the reason, such as "no image or video".
    """
    parts = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
    if parts:
        say(f"skipped: {parts}")


@contextmanager
def with_stdin(sources: Sequence[Path]) -> Iterator[tuple[list[Path], dict[Path, str]]]:
    """The sources with a temporary file in place of ``-``, and the name that it has in results.

    Raises:
        UsageError: stdin is a terminal, empty, or wanted twice.
    """
    wanted = [source for source in sources if source in STDIN and not (source == STDIN[0] and source.exists())]
    if not wanted:
        yield list(sources), {}
        return
    if len(wanted) > 1:
        raise UsageError(f"expected stdin once; received {' and '.join(map(str, wanted))}")
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        file = _stored(Path(folder))
        yield [file if source == wanted[0] else source for source in sources], {file: "-"}


def _stored(folder: Path) -> Path:
    """The bytes of stdin as a file: stdin.png, whatever the format, or stdin.mp4."""
    if sys.stdin.isatty():
        raise UsageError("expected an image or a video on stdin; received a terminal. Pipe one: mien predict - < FILE")
    content = folder / "content"
    with content.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with content.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise UsageError("expected an image or a video on stdin; received nothing. Pipe one: mien predict - < FILE")
    return content.rename(folder / ("stdin.png" if _is_image(head) else "stdin.mp4"))


def _is_image(head: bytes) -> bool:
    from mien.media.header import read_header

    try:
        read_header(head)
    except ImageError:
        return False
    except Exception:  # noqa: BLE001  a header that goes on beyond the head, or is damaged: decoding reports it
        return True
    return True


def _check_source(source: Path) -> None:
    """Refuse what looks like a file to nobody but the user's other tools.

    Raises:
        UsageError: it is an address or a camera.
    """
    address = ADDRESS.match(str(source))
    if address and not source.exists():
        local = address[1].lower() == "file"
        shown = f"{address[1]}://{'/' * local}{str(source)[address.end() :]}"
        remedy = "Name the path alone" if local else "Download it first: mien fetches nothing"
        raise UsageError(f"expected files or folders; received the address {shown}. {remedy}")
    if CAMERA.fullmatch(str(source)) and not source.is_file() and not source.is_dir():
        raise UsageError(
            f"expected files or folders; received {source}, a camera. mien live --camera 1 opens the first camera"
        )
    if source in STDIN and not source.is_file():
        raise UsageError("expected files or folders; received stdin, which mien predict alone reads")
