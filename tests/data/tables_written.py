"""A small data set, and the ways in which people write it down as text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import tarfile
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data import Dataset

COUNT, SIDE = 42, 12
IMAGES = np.random.default_rng(5).integers(0, 256, (COUNT, SIDE, SIDE, 1), np.uint8)
LABELS = [at % 7 for at in range(COUNT)]
SPLITS = ["Training"] * 28 + ["PublicTest"] * 7 + ["PrivateTest"] * 7
HEADER = ("emotion", "pixels", "Usage")

LISTS = {
    "spaces": lambda pixels: " ".join(map(str, pixels)),
    "commas": lambda pixels: ",".join(map(str, pixels)),
    "list": lambda pixels: str(list(pixels)),
    "numpy": lambda pixels: str(np.array(pixels)),
    "floats": lambda pixels: " ".join(f"{pixel}.0" for pixel in pixels),
    "semicolons": lambda pixels: ";".join(map(str, pixels)),
}
"""Forms of all pixels in one column."""


def rows(form: str = "spaces", labels: Sequence[object] = LABELS, splits: Sequence[str] = SPLITS) -> list[list[str]]:
    """The rows, each a label, pixels and a split."""
    with np.printoptions(threshold=10**6):
        pixels = [LISTS[form](image.ravel().tolist()) for image in IMAGES]
    return [list(map(str, row)) for row in zip(labels, pixels, splits, strict=True)]


def written(
    table: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL
) -> str:
    """A table as Python's csv writes it."""
    content = io.StringIO()
    csv.writer(content, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)
    return content.getvalue()


def in_tar(mode: str, **members: bytes) -> bytes:
    """A tar with members, "__" in a name for a slash and "_csv" for the ending."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, body in members.items():
            header = tarfile.TarInfo(name.replace("__", "/").replace("_csv", ".csv"))
            header.size = len(body)
            archive.addfile(header, io.BytesIO(body))
    return content.getvalue()


def in_zip(members: dict[str, bytes]) -> bytes:
    """A zip with members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return content.getvalue()


PACKED = {
    ".csv": lambda content: content,
    ".csv.gz": gzip.compress,
    ".csv.bz2": bz2.compress,
    ".csv.xz": lambda content: lzma.compress(content, preset=0),
    ".zip": lambda content: in_zip({"README.txt": b"not this", "fer2013/fer2013.csv": content}),
    ".tar": lambda content: in_tar("w", README=b"not this", fer2013__fer2013_csv=content),
    ".tar.gz": lambda content: in_tar("w:gz", fer2013__fer2013_csv=content),
    ".tgz": lambda content: in_tar("w:gz", a_csv=content),
    ".tar.xz": lambda content: in_tar("w:xz", fer2013__fer2013_csv=content),
}
"""Ways of packing a csv, by the ending of the file."""


def check(data: Dataset, *, splits: bool = True, labels: Sequence[int] = LABELS) -> None:
    """The data is that of this module, byte for byte, and nothing of it is rejected."""
    assert data.rejected == ()
    assert data.crops.tobytes() == IMAGES.tobytes()
    assert (data.truths[0].head, len(data.truths[0].labels)) == ("fer2013", 7)
    assert data.truths[0].class_ids.tolist() == list(labels)
    assert data.splits.tolist() == (SPLITS if splits else ["Training"] * COUNT)
