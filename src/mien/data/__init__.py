"""Labelled face crops to learn from and judge by: FER2013, FER+, MNIST, anyone's csv, and folders of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.data import fer2013, ferplus, mnist, pixels
from mien.data.csv_rows import ENDINGS
from mien.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PRIVATE_TEST", "PUBLIC_TEST", "TRAINING", "Dataset", "Rejected", "Truth", "load"]

VOTES = "fer2013new.csv"


def load(path: Path) -> Dataset:
    """The data set at a path, in whichever form it is.

    Args:
        path: a csv of pixels (or .gz, .xz, .zip), FER2013's or any other that ``pixels`` reads; a file of MNIST's; or
            a folder with fer2013.csv, with the files of MNIST, with one csv and no folders, or with images by
            class. FER+ votes (fer2013new.csv) that lie beside FER2013's csv are attached.

    Raises:
        DatasetError: there is no data set at the path, or it can't be read.
    """
    if not (path.is_dir() or path.is_file()):
        raise DatasetError(f"expected a data set at {path}; received a path with nothing there")
    try:
        found, digits = _csv_at(path), mnist.found_at(path)
    except OSError as error:
        raise DatasetError(f"expected a data set at {path}; it can't be opened ({error.strerror})") from error
    if found is not None:
        return _from_csv(found)
    if digits:
        return mnist.read(path)
    if path.is_file():
        raise DatasetError(
            f"expected a csv of pixels (plain, .gz, .xz or .zip), a file of MNIST's, or a folder at {path}; received "
            "another kind of file"
        )
    from mien.data import folder

    return folder.read(path)


def _from_csv(path: Path) -> Dataset:
    if not fer2013.claims(path):
        return pixels.read(path)
    data = fer2013.read(path)
    votes = path.with_name(VOTES)
    return ferplus.attach(data, votes) if votes.is_file() else data


def _csv_at(path: Path) -> Path | None:
    """The csv that a path stands for: itself, FER2013's, or the only one of a folder that has no folders."""
    if path.is_file():
        return path if path.name.lower().endswith(ENDINGS) else None
    named = next((path / f"fer2013{ending}" for ending in ENDINGS if (path / f"fer2013{ending}").is_file()), None)
    if named or mnist.found_at(path):
        return named
    visible = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    if any(entry.is_dir() for entry in visible):
        return None
    found = [entry for entry in visible if entry.name.lower().endswith(ENDINGS) and entry.name != VOTES]
    if len(found) > 1:
        raise DatasetError(
            f"expected one csv of pixels in {path}; received {len(found)}: "
            f"{', '.join(entry.name for entry in found[:5])}. Name the one that is meant"
        )
    return found[0] if found else None
