"""Labelled data sets of face crops: FER2013, FER+, MNIST, tables of pixels or images, and folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth
from mien.errors import DatasetError

if TYPE_CHECKING:
    import os

__all__ = ["PRIVATE_TEST", "PUBLIC_TEST", "TRAINING", "Dataset", "Rejected", "Truth", "load"]


def load(path: str | os.PathLike[str]) -> Dataset:
    """Load a data set; the format is detected.

    >>> data = load("fer2013.csv")  # doctest: +SKIP
    >>> data.split(PUBLIC_TEST).crops.shape  # doctest: +SKIP
    (3589, 48, 48, 1)

    Args:
        path: a csv of pixels, FER2013's or any other that ``pixel_csv`` reads; a table of ``tables``: Parquet, JSON
            Lines, or a csv of image paths; any of them compressed or in an archive; a file of MNIST; or a folder with
            fer2013.csv, with tables, with the files of MNIST, or with images by class. FER+ votes (fer2013new.csv)
            next to FER2013's csv are attached.

    Returns:
        Face crops uint8 (count, size, size, channels) with their truths, splits, places and rejected rows.

    Raises:
        DatasetError: there is no data set at the path, or it can't be read.
        MissingExtraError: it is a Parquet file, and pyarrow is not installed.
    """
    from mien.data import discovery, ferplus, folders, mnist

    path = Path(path)
    if not (path.is_dir() or path.is_file()):
        raise DatasetError(f"expected a data set at {path}; there is no such file or folder")
    data = discovery.read_tables(path)
    if data is not None:
        votes = (path if path.is_dir() else path.parent) / discovery.VOTES
        return ferplus.attach(data, votes) if data.name == "fer2013" and votes.is_file() else data
    if mnist.is_mnist(path):
        return mnist.read(path)
    if path.is_file():
        raise DatasetError(
            f"expected a table of labels and pixels or images (csv, JSON Lines, Parquet; plain, compressed, or in a "
            f"zip or tar), a file of MNIST, or a folder at {path}; received another kind of file"
        )
    return folders.read_crops(path)
