"""Rows of a table as they are read: each is a label and an image, exactly as written, or is rejected with its place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mien.data import cache
from mien.data.dataset import PRIVATE_TEST, TRAINING, Dataset, Rejected, Truth
from mien.data.split_names import EMPTY, NO, YES, split_named, unmixed
from mien.errors import DatasetError, MienError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import numpy.typing as npt

Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"

SIDES = range(8, 257)
"""Sides of face crops in pixels."""

MAX_REJECTED = 100_000
"""Rejected rows after which a file is refused; bounds the memory that a hostile file can use."""

PIXEL_VALUES = {
    f"{value:0{width}d}{end}".encode(): value for width in (1, 2, 3) for end in ("", ".", ".0") for value in range(256)
}
"""Pixels as text, also as whole floats: "7", "007", "7.", "7.0"."""

SPLIT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
CACHE_NAME = "pixels"


class BadRowError(Exception):
    """A row can't be read, and why."""


@dataclass
class Rows:
    """The rows read so far.

    Attributes:
        side: of the face crops, in pixels; 0 before the first valid row, which sets it.
        written_side: of the first image as it was written, before it was resized.
        pixels: of all face crops, concatenated.
        labels: of each row: a number, a name, or votes.
        splits: of each row.
        places: of each row: a line number, or a file's name and a number.
        rejected: places of rejected rows, with the reason.
    """

    side: int = 0
    written_side: int = 0
    pixels: bytearray = field(default_factory=bytearray)
    labels: list[Any] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def add(self, place: str, label: Any, pixels: bytes, split: str) -> None:
        """Add a valid row."""
        self.side = self.side or math.isqrt(len(pixels))
        self.written_side = self.written_side or self.side
        self.pixels += pixels
        self.labels.append(label)
        self.splits.append(split)
        self.places.append(place)

    def reject(self, place: str, reason: str) -> None:
        """Add a rejected row.

        Raises:
            DatasetError: there are too many.
        """
        self.rejected.append((place, reason))
        if len(self.rejected) > MAX_REJECTED:
            raise DatasetError(
                f"expected rows of a label and an image; {MAX_REJECTED} rows up to {place} are none, the last: {reason}"
            )

    def arrays(self, truth: Truth, notes: Sequence[str]) -> Arrays:
        """All that the data set consists of, in a form that can be cached.

        Args:
            truth: of the labels.
            notes: on how they were read.
        """
        splits, split_notes = unmixed(self.splits)
        shape = (len(self.places), self.side, self.side, 1)
        return {
            "crops": np.frombuffer(self.pixels, dtype=np.uint8).reshape(shape),
            "splits": splits,
            "rows": np.array(self.places, dtype=np.str_),
            "rejected": np.array(self.rejected, dtype=np.str_).reshape(-1, 2),
            "head": np.array(truth.head),
            "labels": np.array(truth.labels, dtype=np.str_),
            "targets": truth.targets,
            "notes": np.array([*notes, *split_notes], dtype=np.str_),
        }

    def require(self, path: object) -> None:
        """Refuse a table without valid rows.

        Raises:
            DatasetError: there is none.
        """
        if not self.places:
            reasons = "; ".join(f"line {place}: {why}" for place, why in self.rejected[:3]) or "there are none"
            raise DatasetError(f"expected rows of a label and pixels in {path}; none could be read ({reasons})")


def cached(digest: str, name: str, parse: Callable[[], Arrays]) -> Dataset:
    """A data set that is parsed once, then cached by the digest of its files.

    Args:
        digest: SHA-256 of the files, in hex.
        name: of the data set.
        parse: reads it.
    """
    stored = cache.load(CACHE_NAME, digest)
    if stored is not None:
        try:
            return dataset(stored, name, digest)
        except (MienError, KeyError, ValueError, IndexError, TypeError):
            pass  # not written by this reader: parse again and overwrite it
    arrays = parse()
    data = dataset(arrays, name, digest)
    cache.save(CACHE_NAME, digest, arrays)
    return data


def dataset(arrays: Arrays, name: str, digest: str) -> Dataset:
    """The data set of ``Rows.arrays``."""
    count = len(arrays["targets"])
    labels = tuple(arrays["labels"].tolist())
    everyone = np.ones(count)
    truth = Truth(
        str(arrays["head"]), labels, arrays["targets"], everyone.astype(np.float32), everyone.astype(np.bool_)
    )
    return Dataset(
        name=name,
        crops=arrays["crops"],
        truths=(truth,),
        splits=arrays["splits"],
        rows=arrays["rows"],
        digest=digest,
        rejected=tuple(Rejected(place, reason) for place, reason in arrays["rejected"].tolist()),
        notes=tuple(arrays["notes"].tolist()),
    )


def split_of(value: str, seen: Collection[str], *, cut: bool = False) -> str:
    """The split that a value names: one of FER2013's by the table of synonyms, or one of the data's own.

    Args:
        value: as written.
        seen: values of the rows before.
        cut: whether the file may end within the value.

    Raises:
        BadRowError: the value is missing or no name, or it was cut.
    """
    value = value.strip()
    split = split_named(value)
    if value.lower() in EMPTY or not (split or SPLIT_NAME.fullmatch(value)):
        raise BadRowError(f"expected a Usage such as Training, validation or test; received {shown(value)}")
    if cut and value not in seen:
        longer = any(other.startswith(value) for other in (*seen, "Training", "PublicTest", "PrivateTest"))
        if split is None or (longer and value not in {"Training", "PublicTest", "PrivateTest"}):
            raise BadRowError(f"the last line is cut: it ends in the unknown Usage {value!r}")
    return split or value


def split_of_flags(values: Sequence[str], splits: Sequence[str]) -> str:
    """The split of a row that says yes or no to some: the one it says yes to.

    A row that is of no split named is Training if the columns are of others only; else it is held back as a test.

    Args:
        values: yes or no, as written.
        splits: that they are about.

    Raises:
        BadRowError: a value is neither, or several are yes.
    """
    lower = [value.strip().lower() for value in values]
    chosen = {split for value, split in zip(lower, splits, strict=True) if value in YES}
    if len(chosen) > 1 or not set(lower) <= YES | NO:
        raise BadRowError(f"expected yes or no to each of {', '.join(splits)}, one yes; received {', '.join(values)}")
    return chosen.pop() if chosen else PRIVATE_TEST if TRAINING in splits else TRAINING


def pixels_of(numbers: Sequence[bytes], side: int) -> bytes:
    """The pixels of a square image.

    Args:
        numbers: pixels as text, row by row.
        side: the side required; 0: any of ``SIDES``.

    Raises:
        BadRowError: a value is no whole number from 0 to 255, or the pixels form no such square.
    """
    try:
        pixels = bytes(map(PIXEL_VALUES.__getitem__, numbers))
    except KeyError:
        at = next(at for at, number in enumerate(numbers) if number not in PIXEL_VALUES)
        raise BadRowError(
            f"expected pixels as whole numbers from 0 to 255; received {shown(numbers[at])} as number {at + 1}"
        ) from None
    check_square(len(pixels), side)
    return pixels


def check_square(count: int, side: int) -> None:
    """Refuse a number of pixels that is no square of the side.

    Raises:
        BadRowError: it is not.
    """
    if side and count != side * side:
        raise BadRowError(f"expected {side * side} pixels ({side}x{side}); received {count}")
    found = math.isqrt(count)
    if found not in SIDES or found * found != count:
        raise BadRowError(f"expected the pixels of a square of 8 to 256 a side; received {count}")


def shown(value: bytes | str) -> str:
    """The start of a value, for an error message."""
    text = value[:20] if isinstance(value, str) else value[:20].decode("utf-8", "replace")
    return repr(text if len(value) <= 20 else text + "...")
