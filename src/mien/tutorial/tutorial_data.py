"""The data of the lessons: real where it lies on this machine, small and drawn where it doesn't.

Real data is taken from the folder that ``MIEN_LESSON_DATA`` names:

    fer2013/fer2013.csv   (or .gz, .xz, .zip) FER2013
    mnist/                the files of MNIST

Without the variable everything is drawn. A lesson prints ``origin`` first, so that no figure of drawn images is taken
for one of real ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.data import mnist, pixel_csv
from mien.data.csv_rows import ENDINGS
from mien.data.dataset import TRAINING, Dataset
from mien.data.splits import training_and_validation
from mien.errors import UsageError
from mien.media.files import write_text
from mien.tutorial.drawn_data import drawn_digits, drawn_faces

if TYPE_CHECKING:
    Splits = tuple[Dataset, Dataset]

VARIABLE = "MIEN_LESSON_DATA"
"""Of the environment: the folder with the real data."""


def folder() -> Path | None:
    """The folder with the real data; None where the variable is not set, so that lessons draw their own.

    Raises:
        UsageError: there is no such folder.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    path = Path(named)
    if not path.is_dir():
        raise UsageError(f"expected {VARIABLE} as a folder with fer2013/ and mnist/; received {named!r}: set another")
    return path


def origin() -> str:
    """What the figures of this run are figures of, in a sentence to print before all others."""
    if folder() is not None:
        return f"REAL DATA, from the folder that {VARIABLE} names."
    return (
        "DRAWN DATA: small made images, to see that everything runs. No figure below says anything of real digits "
        f"or faces; for those set {VARIABLE} to a folder with fer2013/ and mnist/."
    )


def digits(training: int, validation: int) -> Splits:
    """Digits to learn from and others to judge by: of MNIST where it is there, else drawn.

    Args:
        training: how many at most.
        validation: likewise; no image is in both.

    Raises:
        DatasetError: MNIST can't be read in the folder named.
    """
    real = folder()
    if real is None:
        return _split(drawn_digits(training, validation))
    learnt, held = training_and_validation(mnist.read(real / "mnist"), share=0.2)
    return _first(learnt, training), _first(held, validation)


def faces(training: int, validation: int) -> Splits:
    """Faces to learn from and others to judge by: of FER2013's Training and PublicTest where it is there, else drawn.

    Args:
        training: how many at most, in the file's order, which is that of chance.
        validation: likewise.

    Raises:
        DatasetError: FER2013 can't be read in the folder named.
    """
    real = folder()
    if real is None:
        return _split(drawn_faces(training, validation))
    learnt, held = training_and_validation(pixel_csv.read_fer2013(_csv(real)))
    return _first(learnt, training), _first(held, validation)


def faces_csv(drawn: Path, training: int, validation: int) -> Path:
    """A csv in FER2013's format: its own where it is there, whole; else drawn faces, written to a path.

    Args:
        drawn: where drawn faces are written.
        training: how many of them.
        validation: likewise.

    Raises:
        DatasetError: FER2013 is not in the folder named.
    """
    real = folder()
    if real is not None:
        return _csv(real)
    write_csv(drawn_faces(training, validation), drawn)
    return drawn


def write_csv(data: Dataset, path: Path) -> None:
    """Writes grey face crops in FER2013's format: a line of ``emotion,pixels,Usage`` an image."""
    lines = (
        f"{answer},{' '.join(map(str, crop.ravel().tolist()))},{split}\n"
        for answer, crop, split in zip(data.truths[0].class_ids, data.crops, data.splits, strict=True)
    )
    write_text(path, "emotion,pixels,Usage\n" + "".join(lines))


def _csv(real: Path) -> Path:
    found = [real / "fer2013" / f"fer2013{ending}" for ending in ENDINGS]
    return next((path for path in found if path.is_file()), found[0])


def _split(drawn: Dataset) -> Splits:
    learnt = drawn.splits == TRAINING
    return drawn.select(learnt), drawn.select(~learnt)


def _first(data: Dataset, most: int) -> Dataset:
    """The first rows of a data set; the digest of the whole stands for them."""
    return data.select(np.arange(min(most, len(data))))
