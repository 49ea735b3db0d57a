"""The data sets of the tutorials: MNIST and FER2013 where they are available, small synthetic ones otherwise.

Real data is read from the folder in the environment variable ``MIEN_TUTORIAL_DATA``:

    fer2013/fer2013.csv   (or .gz, .xz, .zip) FER2013
    mnist/                the files of MNIST

Without the variable, digits are drawn in OpenCV's fonts and faces as mien's avatars, both with random rotation, shift,
brightness and blur. Results on them say nothing about handwriting or real faces, so a tutorial prints ``origin`` first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.data import mnist, pixel_csv
from mien.data.csv_rows import ENDINGS
from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, one_hot
from mien.data.splits import training_and_validation
from mien.emotions import FER2013
from mien.errors import UsageError
from mien.media.files import write_text
from mien.media.opencv import load_opencv
from mien.training.config import PLAIN
from mien.training.engine.augmentation import augment, draws
from mien.visualization.avatar import pose
from mien.visualization.avatar.styles import avatar_image

if TYPE_CHECKING:
    from mien.data.dataset import Truth
    from mien.structures import Crops
    from mien.visualization.avatar import Pose

    Splits = tuple[Dataset, Dataset]

cv2 = load_opencv("drawing digits")

DATA_VARIABLE = "MIEN_TUTORIAL_DATA"
"""Environment variable with the folder of the real data."""

OLD_DATA_VARIABLE = "MIEN_LESSON_DATA"
"""Its name in mien 0.1.0, still read."""

DIGITS = tuple(map(str, range(10)))
DIGIT_PX, FACE_PX = 28, 48
"""Side of an image in pixels, as in MNIST and FER2013."""

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SIMPLEX | cv2.FONT_ITALIC,
    cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC,
)

LABEL_NOISE = 0.1
"""Share of the drawn faces with a random label: annotators disagree about faces, so real data sets are noisy."""

MIN_INTENSITY = 0.5
"""Lowest intensity of an expression; the remainder is the neutral face."""

DIGIT_AUGMENTATION = dataclasses.replace(
    PLAIN, rotate=20.0, scale=(0.75, 1.15), shift=0.06, shear=0.2, brightness=0.1, blur=0.3
)
FACE_AUGMENTATION = dataclasses.replace(
    PLAIN, rotate=6.0, scale=(0.95, 1.1), shift=0.03, brightness=0.15, blur=0.2, shrink=0.2
)
"""Variation of the drawn images, like that of handwriting and of cameras."""

SYMBOLS = ("tear", "sweat", "steam", "chill", "blush", "tongue")
"""Comic symbols of an avatar; omitted, so that only brows, eyes and mouth show the expression."""


def folder() -> Path | None:
    """The folder with the real data; None where the variable is not set, so that the data is synthetic.

    Raises:
        UsageError: the folder does not exist.
    """
    value = os.environ.get(DATA_VARIABLE) or os.environ.get(OLD_DATA_VARIABLE, "")
    if not value:
        return None
    path = Path(value)
    if not path.is_dir():
        raise UsageError(
            f"expected {DATA_VARIABLE} to be a folder with fer2013/ and mnist/; received {value!r}. Set another folder"
        )
    return path


def origin() -> str:
    """A sentence that says whether the data is real or synthetic; tutorials print it first."""
    if folder() is not None:
        return f"REAL DATA from the folder in {DATA_VARIABLE}."
    return (
        "DRAWN DATA: small synthetic images, only to show the workflow. No result below applies to real digits or "
        f"faces; for those, set {DATA_VARIABLE} to a folder with fer2013/ and mnist/."
    )


def digits(training: int, validation: int) -> Splits:
    """A training and a validation split of digits: MNIST where available, else drawn.

    Args:
        training: maximum number of images in the training split.
        validation: maximum number of images in the validation split; the splits are disjoint.

    Raises:
        DatasetError: MNIST can't be read from the folder.
    """
    real = folder()
    if real is None:
        return _split(drawn_digits(training, validation))
    train, held_out = training_and_validation(mnist.read(real / "mnist"), share=0.2)
    return _first(train, training), _first(held_out, validation)


def faces(training: int, validation: int) -> Splits:
    """A training and a validation split of faces: FER2013's Training and PublicTest where available, else drawn.

    Args:
        training: maximum number of images in the training split, in the order of the file, which is random.
        validation: maximum number of images in the validation split.

    Raises:
        DatasetError: FER2013 can't be read from the folder.
    """
    real = folder()
    if real is None:
        return _split(drawn_faces(training, validation))
    train, held_out = training_and_validation(pixel_csv.read_fer2013(_csv(real)))
    return _first(train, training), _first(held_out, validation)


def faces_csv(drawn: Path, training: int, validation: int) -> Path:
    """A CSV file in FER2013's format: the real one where available, else a file of drawn faces.

    Args:
        drawn: path for the drawn faces.
        training: number of drawn faces in the split Training.
        validation: number of drawn faces in the split PublicTest.

    Raises:
        DatasetError: FER2013 is not in the folder.
    """
    real = folder()
    if real is not None:
        return _csv(real)
    write_csv(drawn_faces(training, validation), drawn)
    return drawn


def write_csv(data: Dataset, path: Path) -> None:
    """Write grey face crops in FER2013's CSV format: a row of ``emotion,pixels,Usage`` per image."""
    lines = (
        f"{class_id},{' '.join(map(str, crop.ravel().tolist()))},{split}\n"
        for class_id, crop, split in zip(data.truths[0].class_ids, data.crops, data.splits, strict=True)
    )
    write_text(path, "emotion,pixels,Usage\n" + "".join(lines))


def drawn_digits(training: int, validation: int, seed: int = 0) -> Dataset:
    """Drawn digits in the form of MNIST: uint8 (count, 28, 28, 1), white on black, labels "0" to "9".

    Args:
        training: number of images in the split Training.
        validation: number of images in the split PublicTest.
        seed: the same seed gives the same images.
    """
    count = training + validation
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(count) % len(DIGITS))
    plain = np.stack([_digit(int(label), rng) for label in targets])
    crops = _noisy(augment(plain, draws(seed, 0, count), DIGIT_AUGMENTATION), rng, 8.0)
    return _dataset("drawn digits", crops, one_hot("classes", DIGITS, targets), training)


def drawn_faces(training: int, validation: int, seed: int = 0) -> Dataset:
    """Drawn faces in the form of FER2013: uint8 (count, 48, 48, 1) with its seven labels.

    Expressions have intensities from weak to full, and a tenth of the labels is random in both splits.

    Args:
        training: number of images in the split Training.
        validation: number of images in the split PublicTest.
        seed: the same seed gives the same images.
    """
    count = training + validation
    rng = np.random.default_rng(seed)
    shown = rng.permutation(np.arange(count) % len(FER2013))
    plain = np.stack([_face(int(label), rng) for label in shown])
    crops = _noisy(augment(plain, draws(seed, 0, count), FACE_AUGMENTATION), rng, 8.0)
    noisy = np.where(rng.random(count) < LABEL_NOISE, rng.integers(0, len(FER2013), count), shown)
    return _dataset("drawn faces", crops, one_hot("fer2013", tuple(FER2013), noisy), training)


def _csv(real: Path) -> Path:
    found = [real / "fer2013" / f"fer2013{ending}" for ending in ENDINGS]
    return next((path for path in found if path.is_file()), found[0])


def _split(drawn: Dataset) -> Splits:
    train = drawn.splits == TRAINING
    return drawn.select(train), drawn.select(~train)


def _first(data: Dataset, limit: int) -> Dataset:
    """The first rows of a data set; they keep the digest of the whole."""
    return data.select(np.arange(min(limit, len(data))))


def _digit(label: int, rng: np.random.Generator) -> Crops:
    """A digit in a random font, centred."""
    font, scale, thick = int(rng.choice(FONTS)), float(rng.uniform(0.7, 0.95)), int(rng.integers(1, 4))
    (width, height), _ = cv2.getTextSize(DIGITS[label], font, scale, thick)
    crop = np.zeros((DIGIT_PX, DIGIT_PX), np.uint8)
    corner = ((DIGIT_PX - width) // 2, (DIGIT_PX + height) // 2)
    cv2.putText(crop, DIGITS[label], corner, font, scale, 255, thick, cv2.LINE_AA)
    return crop[..., None]


def _face(label: int, rng: np.random.Generator) -> Crops:
    """An avatar of random intensity and skin grey on a random grey background."""
    intensity = float(rng.uniform(MIN_INTENSITY, 1.0))
    skin, ground = float(rng.uniform(140, 230)), rng.uniform(20, 235)
    painted = avatar_image(_posed(label, intensity, skin), FACE_PX).astype(np.float32)
    grey = painted[..., :3].mean(axis=2)
    covered = painted[..., 3] / 255.0
    crop: Crops = np.rint(covered * grey + (1.0 - covered) * ground).astype(np.uint8)[..., None]
    return crop


def _posed(label: int, intensity: float, skin: float) -> Pose:
    """An expression of the given intensity, without comic symbols."""
    labels = tuple(FER2013)
    shares = [intensity * (at == label) + (1.0 - intensity) * (name == "neutral") for at, name in enumerate(labels)]
    return dataclasses.replace(pose(labels, shares), skin=(skin, skin, skin), **dict.fromkeys(SYMBOLS, 0.0))


def _noisy(crops: Crops, rng: np.random.Generator, spread: float) -> Crops:
    """Add Gaussian sensor noise with a standard deviation in grey levels."""
    grain = rng.normal(0.0, spread, crops.shape)
    grainy: Crops = np.clip(np.rint(crops + grain), 0, 255).astype(np.uint8)
    return grainy


def _dataset(name: str, crops: Crops, truth: Truth, training: int) -> Dataset:
    return Dataset(
        name=name,
        crops=crops,
        truths=(truth,),
        splits=np.where(np.arange(len(crops)) < training, TRAINING, PUBLIC_TEST),
        rows=np.array([str(row) for row in range(len(crops))]),
        digest=hashlib.sha256(crops.tobytes() + truth.class_ids.tobytes()).hexdigest(),
    )
