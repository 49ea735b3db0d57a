"""Quality issues of face crops, and the reasons of unsure predictions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.classification.quality import quality_issues
from mien.structures import Box, Face, Prediction

SHARP = cv2.circle(np.full((48, 48, 1), 30, np.uint8), (24, 24), 15, 220, 3)


def face(side: float) -> Face:
    return Face(Box(0, 0, side, side))


@pytest.mark.parametrize(
    ("side", "crop", "found"),
    [
        (60, SHARP, ()),
        (20, SHARP, ()),
        (19, SHARP, ("small",)),
        (60, cv2.GaussianBlur(SHARP, (0, 0), 0.7)[..., None], ()),
        (60, cv2.GaussianBlur(SHARP, (0, 0), 2.0)[..., None], ("blurred",)),
        (60, cv2.GaussianBlur(SHARP, (0, 0), 4.0)[..., None], ("blurred",)),
        (60, cv2.GaussianBlur(SHARP, (0, 0), 2.0)[..., None] // 2 + 60, ("blurred",)),
        (60, SHARP // 2 + 60, ()),
        (60, SHARP // 3, ("dark",)),
        (60, np.full((48, 48, 1), 128, np.uint8), ("blurred",)),
        (60, np.zeros((48, 48, 3), np.uint8), ("blurred", "dark")),
        (60, np.repeat(SHARP, 3, axis=2), ()),
        (60, cv2.resize(SHARP, (224, 224))[..., None], ()),
    ],
)
def test_quality_issues_of_a_crop(side: float, crop: np.ndarray, found: tuple[str, ...]) -> None:
    assert quality_issues(face(side), crop) == found


@pytest.mark.parametrize(
    ("best", "known", "reasons"),
    [
        (0.9, ("dark",), ()),
        (0.9, ("blurred",), ("blurred",)),
        (0.5, ("small", "dark"), ("small", "dark")),
        (0.5, (), ("ambiguous",)),
    ],
)
def test_an_unsure_prediction_says_why(best: float, known: tuple[str, ...], reasons: tuple[str, ...]) -> None:
    assert Prediction(face(60), ("happy", "sad"), (best, 1 - best), 0.6, quality_issues=known).reasons == reasons
