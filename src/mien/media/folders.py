"""Images and videos in folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING

from mien.media.file_kind import IMAGE_SUFFIXES, kind_of
from mien.media.files import identity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from mien.media.file_kind import Kind


def find_files(
    paths: Iterable[Path],
    kinds: Collection[Kind] = ("image", "video"),
    suffixes: Collection[str] = (),
    outputs: Iterable[Path] = (),
    skip: Callable[[Path], None] = lambda _: None,
) -> Iterator[Path]:
    """Find images and videos: files are yielded as given, folders are searched recursively, in natural order.

    Links are followed, and each folder is walked once. A path that can't be opened (a missing file, a locked folder) is
    yielded too, so that opening it reports what is wrong with it. A file with the suffix of an image is one without
    being opened; of all others the first bytes decide.

    Args:
        paths: files and folders; names are taken literally, not as patterns.
        kinds: what to take from folders.
        suffixes: of further files to take, in lower case.
        outputs: what this program writes: its folders are not searched, its files are not reported as skipped. One that
            is an image or a video is found all the same, so that the caller can refuse to write over it.
        skip: called with each other file of a folder that is not taken.

    Yields:
        Paths below the given ones.
    """
    walked: set[tuple[int, int] | None] = set()
    own = {identity_of(output) for output in outputs} - {None}
    for path in paths:
        waiting = [path]
        while waiting:
            here = waiting.pop()
            if not os.path.isdir(here):  # noqa: PTH112  the method raises PermissionError in a closed folder
                if here == path or _is_wanted(here, kinds, suffixes):
                    yield here
                elif identity_of(here) not in own:
                    skip(here)
            elif (identity := identity_of(here)) not in walked and (here == path or identity not in own):
                walked |= {identity} - {None}
                try:
                    visible = [entry for entry in here.iterdir() if not entry.name.startswith(".")]
                except OSError:
                    yield here
                else:
                    waiting += sorted(visible, key=_natural_key, reverse=True)


def in_words(skipped: Iterable[Path]) -> str:
    """How many files were skipped, by suffix, the most frequent first: "3 files skipped: 2 .txt, 1 without suffix"."""
    counts = Counter(path.suffix.lower() or "without suffix" for path in skipped)
    total = sum(counts.values())
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{total} file{'' if total == 1 else 's'} skipped: {kinds}"


def _is_wanted(path: Path, kinds: Collection[Kind], suffixes: Collection[str]) -> bool:
    suffix = path.suffix.lower()
    if suffix in suffixes:
        return True
    return ("image" if suffix in IMAGE_SUFFIXES else kind_of(path)) in kinds


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A sort key that puts 2.jpg before 10.jpg; the name itself orders what differs in case only."""
    pieces = re.split(r"([0-9]+)", path.name.casefold())
    return [(int(piece) if piece.isdecimal() else -1, piece) for piece in pieces], path.name
