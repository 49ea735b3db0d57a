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
from mien.errors import UsageError
from mien.media.file_kind import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mien.media.file_kind import Kind

STDIN = (Path("-"), Path("/dev/stdin"))
"""Sources that stand for the bytes on stdin."""

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)
"""How an address begins; a single letter is a disk of Windows. A path has lost one of two slashes."""

CAMERA = re.compile(r"\d{1,2}|/dev/video\d+")
"""A camera as OpenCV and Linux name it."""


def files_in(
    sources: Sequence[Path],
    kinds: Sequence[Kind] = ("image", "video"),
    suffixes: Sequence[str] = (),
    outputs: Iterable[Path] = (),
    drawings: Iterable[Path | None] = (),
) -> list[Path]:
    """Find the images and videos among the sources; one line says what else was in their folders.

    Args:
        sources: files, and folders that are searched.
        kinds: what to take from folders: "image", "video".
        suffixes: of further files to take from folders.
        outputs: files and folders that this command writes; they are not reported as skipped.
        drawings: folders of annotated copies: those of an earlier run are passed over.

    Raises:
        UsageError: there are none, or a source is an address or a camera.
    """
    from mien.apps.cli.drawings import without_drawings
    from mien.media.folders import find_files, in_words

    for source in sources:
        _check_source(source)
    skipped: list[Path] = []
    candidates = find_files(sources, kinds, suffixes, outputs, skipped.append)
    found, passed_over = without_drawings(candidates, sources, drawings)
    if not found:
        raise UsageError(
            f"expected {' or '.join(f'{kind}s' for kind in kinds)}; found none in {', '.join(map(str, sources))}"
            + (f" ({in_words(skipped)})" if skipped else "")
        )
    if skipped:
        say(in_words(skipped) + ("" if "video" in kinds else "; images alone are taken here"))
    if passed_over:
        say(f"{passed_over:,} file{'' if passed_over == 1 else 's'} skipped: annotated by an earlier run")
    return found


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
    if not content.stat().st_size:
        raise UsageError("expected an image or a video on stdin; received nothing. Pipe one: mien predict - < FILE")
    return content.rename(folder / ("stdin.mp4" if kind_of(content) == "video" else "stdin.png"))


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
