"""Labelled data sets of face crops: FER2013, FER+, MNIST, csv files of pixels, and folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.data import ferplus, mnist, pixel_csv
from mien.data.csv_rows import ENDINGS
from mien.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.errors import DatasetError

if TYPE_CHECKING:
    import os

__all__ = ["PRIVATE_TEST", "PUBLIC_TEST", "TRAINING", "Dataset", "Rejected", "Truth", "load"]

VOTES = "fer2013new.csv"


def load(path: str | os.PathLike[str]) -> Dataset:
    """Load a data set; the format is detected.

    >>> data = load("fer2013.csv")  # doctest: +SKIP
    >>> data.split(PUBLIC_TEST).crops.shape  # doctest: +SKIP
    (3589, 48, 48, 1)

    Args:
        path: a csv of pixels (or .gz, .xz, .zip), FER2013's or any other that ``pixel_csv`` reads; a file of MNIST; or
            a folder with fer2013.csv, the files of MNIST, one csv and no folders, or images by class. FER+ votes
            (fer2013new.csv) next to FER2013's csv are attached.

    Returns:
        Face crops uint8 (count, size, size, channels) with their truths, splits, places and rejected rows.

    Raises:
        DatasetError: there is no data set at the path, or it can't be read.
    """
    path = Path(path)
    if not (path.is_dir() or path.is_file()):
        raise DatasetError(f"expected a data set at {path}; there is no such file or folder")
    try:
        csv_file, is_digits = _csv_at(path), mnist.is_mnist(path)
    except OSError as error:
        raise DatasetError(f"expected a data set at {path}; it can't be opened ({error.strerror})") from error
    if csv_file is not None:
        return _from_csv(csv_file)
    if is_digits:
        return mnist.read(path)
    if path.is_file():
        raise DatasetError(
            f"expected a csv of pixels (plain, .gz, .xz or .zip), a file of MNIST, or a folder at {path}; received "
            "another kind of file"
        )
    from mien.data import folders

    return folders.read_crops(path)


def _from_csv(path: Path) -> Dataset:
    if not pixel_csv.is_fer2013(path):
        return pixel_csv.read(path)
    data = pixel_csv.read_fer2013(path)
    votes = path.with_name(VOTES)
    return ferplus.attach(data, votes) if votes.is_file() else data


def _csv_at(path: Path) -> Path | None:
    """The csv meant by a path: itself, fer2013.csv of a folder, or the only csv of a folder without subfolders."""
    if path.is_file():
        return path if path.name.lower().endswith(ENDINGS) else None
    named = next((path / f"fer2013{ending}" for ending in ENDINGS if (path / f"fer2013{ending}").is_file()), None)
    if named or mnist.is_mnist(path):
        return named
    visible = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    if any(entry.is_dir() for entry in visible):
        return None
    found = [entry for entry in visible if entry.name.lower().endswith(ENDINGS) and entry.name != VOTES]
    if len(found) > 1:
        raise DatasetError(
            f"expected one csv of pixels in {path}; received {len(found)}: "
            f"{', '.join(entry.name for entry in found[:5])}. Name one of them"
        )
    return found[0] if found else None
