"""Checks of the files that a command will write, before it starts: no output takes the place of anything else.

Every command that writes passes its outputs and its inputs to ``check_outputs``. Nothing is touched by a check.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mien.errors import UsageError
from mien.media.files import descriptor_of, identity_of, is_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Kind:
    """A kind of file that a command writes.

    Attributes:
        suffixes: that its name may have, the usual one first.
        magic: how its content begins; empty: it is text.
    """

    suffixes: tuple[str, ...]
    magic: bytes = b""


KINDS = {
    "csv": Kind((".csv", ".txt")),
    "parquet": Kind((".parquet", ".pq"), b"PAR1"),
    "json": Kind((".json", ".jsonl", ".ndjson")),
    "srt": Kind((".srt",)),
    "vtt": Kind((".vtt",)),
    "elan": Kind((".eaf", ".elan", ".xml")),
    "page": Kind((".html", ".htm", ".page")),
    "text": Kind((".txt",)),
    "png": Kind((".png",), b"\x89PNG"),
    "npz": Kind((".npz",), b"PK"),
}
"""The kinds by their names, which are those of options where there are any."""

NEUTRAL_SUFFIXES = frozenset({"", ".tmp", ".part", ".new", ".old", ".bak", ".out"})
"""Suffixes that say nothing about the kind: scripts write under such a name first, then rename."""

HEAD_BYTES = 4096
"""Bytes of an existing file that are compared with its kind."""

CONTROL_BYTES = bytes({*range(32), 127} - set(b"\t\n\f\r"))
"""What no text contains, in any encoding that extends ASCII."""


class Output(NamedTuple):
    """A file that a command will write.

    Attributes:
        option: that names it, such as ``--csv``.
        path: of the file.
        kind: None where mien itself chose the name.
    """

    option: str
    path: Path
    kind: Kind | None = None


def check_outputs(outputs: Iterable[Output], inputs: Iterable[Path]) -> None:
    """Check that each output is a file of its own: no input, no other output, and nothing of another kind.

    Files are the same by device and inode, also through links, and by names that differ in case alone. Pipes, devices
    and descriptors such as ``/dev/stdout`` may have any name.

    Args:
        outputs: all that the command will write.
        inputs: sources, data sets, models and detectors; names that are no files count as names.

    Raises:
        UsageError: an output would take the place of another file.
        OSError: its place can't be written: no folder, or closed.

    Example:
        >>> from pathlib import Path
        >>> check_outputs([Output("--csv", Path("clip.mp4"), KINDS["csv"])], [])
        Traceback (most recent call last):
        mien.errors.UsageError: expected a file for results, as --csv writes; received clip.mp4, the name of ...
    """
    planned = list(outputs)
    if not planned:
        return
    used = _keys_of_inputs(inputs, planned)
    seen: dict[object, str] = {}
    for output in planned:
        keys = _keys(output.path)
        _check_place(output)
        if used & keys:
            raise _refused(output, "one of the inputs")
        if not _is_character_device(output.path):
            for key in keys:
                if key in seen:
                    raise _refused(output, f"a file that {seen[key]} writes too")
            seen |= dict.fromkeys(keys, output.option)
        if output.kind is not None and not is_stream(output.path):
            _check_kind(output, output.kind)


def check_folder(option: str, folder: Path, data: Path | None = None) -> None:
    """Check that results can be written into a folder; it need not exist.

    Args:
        option: that names it.
        folder: for the results.
        data: a data set or photos; in folders by class, they must not contain the folder: its images would be theirs.

    Raises:
        UsageError: it is no folder, or belongs to the data set.
        OSError: it can't be created, or is closed.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"expected a folder for {option}; received the file {folder}. Choose another name")
    _check_writable(folder)
    if data is not None and folder.resolve().is_relative_to(data.resolve()) and _has_class_folders(data):
        raise UsageError(
            f"expected a folder for {option} outside of the images in {data}; received {folder}, whose images would "
            "belong to them. Choose another folder"
        )


def model_files(*names: str) -> list[Path]:
    """The files among the names of models and detectors."""
    return [path for path in map(Path, names) if path.is_file()]


def files_in_folders(*folders: Path) -> list[Path]:
    """The files directly in folders: of runs, or of an avatar."""
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()]


def is_stdout(path: Path) -> bool:
    """Whether a path leads to this process's stdout, where nothing else may then be printed."""
    try:
        state = os.fstat(1)
    except OSError:
        return False
    return identity_of(path) == (state.st_dev, state.st_ino)


def _has_class_folders(data: Path) -> bool:
    from mien.media.file_kind import IMAGE_SUFFIXES

    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in data.glob("*/*"))


def _check_place(output: Output) -> None:
    """Check that a file can be written under this name.

    Raises:
        UsageError: the name is that of a folder or a socket.
        OSError: its folder is none, or closed.
    """
    if output.path.is_dir():
        raise _refused(output, "a folder")
    if str(output.path) == "-":
        raise _refused(output, "stdin's name (stdout is /dev/stdout)")
    if descriptor_of(output.path) is not None:
        return
    if output.path.is_socket():
        raise _refused(output, "a socket")
    if not is_stream(output.path) and not output.path.exists():
        _check_writable((output.path.resolve() if output.path.is_symlink() else output.path).parent)
    elif not os.access(output.path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(output.path))


def _check_writable(folder: Path) -> None:
    """Check that a folder, or else the nearest one that exists above it, can be written.

    Raises:
        OSError: it can't.
    """
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    number = 0 if place.is_dir() else errno.ENOTDIR
    if not number and not os.access(place, os.W_OK | os.X_OK):
        number = errno.EACCES
    if number:
        raise OSError(number, os.strerror(number), str(place))


def _check_kind(output: Output, kind: Kind) -> None:
    """Check the name of a plain file, and what is in it so far.

    Raises:
        UsageError: one of them is of another kind.
    """
    suffix = output.path.suffix.lower()
    known = suffix not in NEUTRAL_SUFFIXES and any(map(str.isalpha, suffix))  # faces.2026-11-21 has no suffix
    if known and suffix not in kind.suffixes:
        raise _refused(
            output,
            f"the name of another kind of file ({output.option} *{suffix} takes the first of them for the output)",
        )
    if output.path.is_file() and output.path.stat().st_size:
        with output.path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        text = head.translate(None, CONTROL_BYTES) == head
        if not (head.startswith(kind.magic) if kind.magic else text):
            raise _refused(output, "a file of another kind, by its content")


def _refused(output: Output, what: str) -> UsageError:
    option, path, kind = output
    if kind is None:
        return UsageError(
            f"expected a folder for {option} other than that of the images and models; received {path.parent}, where "
            f"{path.name} would take the place of {what}. Choose another folder"
        )
    return UsageError(
        f"expected a file for results, as {option} writes; received {path}, {what}. Choose another name, such as "
        f"results{kind.suffixes[0]}"
    )


def _keys_of_inputs(inputs: Iterable[Path], outputs: Sequence[Output]) -> set[object]:
    """The keys of inputs that could be outputs: a million inputs have their links followed only for equal names."""
    places = [path for output in outputs for path in (output.path, Path(os.path.realpath(output.path)))]
    names, exist = {_folded(path.name) for path in places}, any(map(os.path.lexists, places))
    used: set[object] = set()
    for path in inputs:
        if _folded(path.name) in names:
            used |= _keys(path)
        elif exist:
            used.add(identity_of(path))
    return used - {None}


def _folded(name: str) -> str:
    """A name as disks compare it that see no difference between capitals and small letters."""
    return unicodedata.normalize("NFC", name).casefold()


def _keys(path: Path) -> set[object]:
    """What a file has in common with itself under another name: device and inode, and the name without its case."""
    keys: set[object] = {_folded(os.path.realpath(path))}
    identity = identity_of(path)
    return keys if identity is None else {*keys, identity}


def _is_character_device(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except (OSError, ValueError):
        return False
