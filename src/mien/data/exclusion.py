"""Lists of rows to leave out of training: ``mien data audit`` writes them, ``--without`` reads them.

A text file in UTF-8 with one place a line, as in ``Dataset.rows``, and after a tab the reason, for people. Blank
lines and lines that start with ``#`` say nothing. A place that a plain line could not hold (a name with a tab, or one
that starts with ``#``) is written as a JSON string, in double quotes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mien.errors import DatasetError
from mien.media.files import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mien.data.dataset import Dataset

HEADING = "# rows to leave out: a place, then a tab and the reason; take out the lines of rows that should stay"

LARGEST = 100_000_000
"""Bytes; a line for each of a million images is less."""

_PLAIN = re.compile(r"[^\s\"#](.*\S)?")


def write_list(path: Path, reasons: Mapping[str, str]) -> None:
    """Writes a list of rows to leave out, whole or not at all.

    Args:
        path: the text file.
        reasons: the places, as in ``Dataset.rows``, and why each should go; kept in this order.
    """
    lines = (f"{_written(place)}\t{' '.join(reason.split())}".rstrip() for place, reason in reasons.items())
    write_text(path, "\n".join([HEADING, *lines]) + "\n")


def read_list(path: Path) -> tuple[str, ...]:
    """The places of a list, in its order.

    Raises:
        DatasetError: the file can't be read, or is no such list.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DatasetError(f"expected a list of rows to leave out at {path}; received over {LARGEST} bytes")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        return tuple(_place(line) for line in lines if line.strip() and not line.startswith("#"))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"expected a list of rows to leave out at {path}, one place a line; it can't be read ({error}). "
            "'mien data audit' writes such a list"
        ) from error


def leave_out(data: Dataset, path: Path) -> Dataset:
    """The data without the rows of a list.

    Raises:
        DatasetError: the list can't be read, names a place that the data lacks, or leaves nothing.
    """
    return data.without(read_list(path))


def _written(place: str) -> str:
    plain = _PLAIN.fullmatch(place) and place.isprintable()
    return place if plain else json.dumps(place)


def _place(line: str) -> str:
    written = line.split("\t", 1)[0].strip()
    if not written.startswith('"'):
        return written
    place = json.loads(written)
    if not isinstance(place, str):
        raise ValueError(f"{written[:40]} is no string")  # noqa: TRY004 - read_list tells of it as of any bad line
    return place
