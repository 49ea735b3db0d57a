"""Small drawn data sets in the form of MNIST and FER2013, so that a lesson runs where the real ones aren't.

The digits are of OpenCV's fonts, the faces are mien's avatars; both are turned, moved, lit and blurred by
chance. Figures reached on them say nothing of handwriting or of real faces.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, one_hot
from mien.emotions import FER2013
from mien.training.config import PLAIN
from mien.training.engine.augmentation import augment, draws
from mien.visualization.avatar import pose
from mien.visualization.avatar.styles import avatar_image

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.data.dataset import Truth
    from mien.structures import Crops
    from mien.visualization.avatar import Pose

    Answers = npt.NDArray[np.int64]

DIGITS = tuple(map(str, range(10)))
DIGIT_SIDE, FACE_SIDE = 28, 48
"""Pixels, as in MNIST and FER2013."""

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SIMPLEX | cv2.FONT_ITALIC,
    cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC,
)

MISLABELLED = 0.1
"""Share of the drawn faces with another label than that drawn: people disagree about faces, and so do data sets."""

WEAKEST = 0.5
"""How strong the faintest expression is; the rest of it is the neutral face."""

HANDS = dataclasses.replace(PLAIN, rotate=20.0, scale=(0.75, 1.15), shift=0.06, shear=0.2, brightness=0.1, blur=0.3)
CAMERAS = dataclasses.replace(PLAIN, rotate=6.0, scale=(0.95, 1.1), shift=0.03, brightness=0.15, blur=0.2, shrink=0.2)
"""How far an image is changed: what hands do to digits, and cameras to faces."""

APART = ("tear", "sweat", "steam", "chill", "blush", "tongue")
"""What tells an avatar's expression apart from brows, eyes and mouth; left out, so that those must be read."""


def drawn_digits(training: int, validation: int, seed: int = 0) -> Dataset:
    """Drawn digits in the form of MNIST: face crops uint8 (count, 28, 28, 1), white on black, labels "0" to "9".

    Args:
        training: images of the split Training.
        validation: of the split PublicTest.
        seed: the same seed draws the same images.
    """
    count = training + validation
    dice = np.random.default_rng(seed)
    answers = dice.permutation(np.arange(count) % len(DIGITS))
    plain = np.stack([_digit(int(answer), dice) for answer in answers])
    crops = _noisy(augment(plain, draws(seed, 0, count), HANDS), dice, 8.0)
    return _dataset("drawn digits", crops, one_hot("classes", DIGITS, answers), training)


def drawn_faces(training: int, validation: int, seed: int = 0) -> Dataset:
    """Drawn faces in the form of FER2013: face crops uint8 (count, 48, 48, 1) under its seven labels.

    Expressions are of any strength from weak to full, and a tenth of the labels is wrong in both splits.

    Args:
        training: images of the split Training.
        validation: of the split PublicTest.
        seed: the same seed draws the same images.
    """
    count = training + validation
    dice = np.random.default_rng(seed)
    shown = dice.permutation(np.arange(count) % len(FER2013))
    plain = np.stack([_face(int(answer), dice) for answer in shown])
    crops = _noisy(augment(plain, draws(seed, 0, count), CAMERAS), dice, 8.0)
    told = np.where(dice.random(count) < MISLABELLED, dice.integers(0, len(FER2013), count), shown)
    return _dataset("drawn faces", crops, one_hot("fer2013", tuple(FER2013), told), training)


def _digit(answer: int, dice: np.random.Generator) -> Crops:
    """A digit of some font in the middle of a face crop."""
    font, scale, thick = int(dice.choice(FONTS)), float(dice.uniform(0.7, 0.95)), int(dice.integers(1, 4))
    (width, height), _ = cv2.getTextSize(DIGITS[answer], font, scale, thick)
    crop = np.zeros((DIGIT_SIDE, DIGIT_SIDE), np.uint8)
    corner = ((DIGIT_SIDE - width) // 2, (DIGIT_SIDE + height) // 2)
    cv2.putText(crop, DIGITS[answer], corner, font, scale, 255, thick, cv2.LINE_AA)
    return crop[..., None]


def _face(answer: int, dice: np.random.Generator) -> Crops:
    """An avatar of some strength and some grey before some grey."""
    strength = float(dice.uniform(WEAKEST, 1.0))
    skin, ground = float(dice.uniform(140, 230)), dice.uniform(20, 235)
    painted = avatar_image(_posed(answer, strength, skin), FACE_SIDE).astype(np.float32)
    grey = painted[..., :3].mean(axis=2)
    covered = painted[..., 3] / 255.0
    crop: Crops = np.rint(covered * grey + (1.0 - covered) * ground).astype(np.uint8)[..., None]
    return crop


def _posed(answer: int, strength: float, skin: float) -> Pose:
    """An expression of a strength, without what an avatar shows beside brows, eyes and mouth."""
    labels = tuple(FER2013)
    shares = [strength * (at == answer) + (1.0 - strength) * (label == "neutral") for at, label in enumerate(labels)]
    return dataclasses.replace(pose(labels, shares), skin=(skin, skin, skin), **dict.fromkeys(APART, 0.0))


def _noisy(crops: Crops, dice: np.random.Generator, spread: float) -> Crops:
    """Face crops with the grain of a sensor: Gaussian, of a standard deviation in grey levels."""
    grain = dice.normal(0.0, spread, crops.shape)
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
