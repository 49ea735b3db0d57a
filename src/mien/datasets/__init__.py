"""Labelled chips to learn from and judge by: FER2013, FER+, and folders of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.datasets import fer2013, ferplus
from mien.datasets.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PRIVATE_TEST", "PUBLIC_TEST", "TRAINING", "Dataset", "Rejected", "Truth", "load"]

CSV_ENDINGS = (".csv", ".csv.gz", ".csv.xz", ".csv.zip", ".zip")
VOTES = "fer2013new.csv"


def load(path: Path) -> Dataset:
    """The data set at a path, in whichever form it is.

    Args:
        path: a folder with fer2013.csv (or .gz, .xz, .zip), such a csv itself, or a folder of pictures by class.
            FER+ votes (fer2013new.csv) that lie beside the csv are attached.

    Raises:
        DatasetError: there is no data set at the path, or it can't be read.
    """
    found = _csv_at(path)
    if found is None:
        from mien.datasets import folder

        return folder.read(path)
    data = fer2013.read(found)
    votes = found.with_name(VOTES)
    return ferplus.attach(data, votes) if votes.is_file() else data


def _csv_at(path: Path) -> Path | None:
    if path.is_dir():
        names = ("fer2013" + ending for ending in CSV_ENDINGS)
        return next((path / name for name in names if (path / name).is_file()), None)
    if path.is_file() and path.name.lower().endswith(CSV_ENDINGS):
        return path
    raise DatasetError(
        f"expected a FER2013 csv (plain, .gz, .xz or .zip) or a folder at {path}; "
        f"received {'another kind of file' if path.exists() else 'a path with nothing there'}"
    )
