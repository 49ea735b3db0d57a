"""An avatar covers each face, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from mien.emotions import FER2013
from mien.structures import Box, Face, Landmarks, Point, Prediction
from mien.visualization.anonymize import Anonymizer, anonymize_faces
from mien.visualization.avatar.styles import DrawnAvatar

LABELS = tuple(map(str, FER2013))
FACE = Box(178, 65, 270, 176)


def shows(box, emotion="happy", landmarks=None):
    row = tuple(1.0 if label == emotion else 0.0 for label in LABELS)
    return Prediction(Face(box, landmarks), LABELS, row)


def test_a_face_is_anonymized_and_nothing_far_from_it():
    frame = astronaut()
    anonymized = anonymize_faces(frame, [shows(FACE)], DrawnAvatar())
    face = (slice(75, 170), slice(185, 262))
    assert (anonymized[face] != frame[face]).any(axis=2).mean() > 0.99
    np.testing.assert_array_equal(anonymized[300:], frame[300:])
    assert anonymized is not frame


def test_an_avatar_leans_with_the_head():
    def leaning(by):
        marks = Landmarks(Point(200, 100), Point(240, 100 + by), Point(220, 120), Point(205, 150), Point(235, 150))
        return anonymize_faces(astronaut(), [shows(FACE, "surprise", marks)], DrawnAvatar()).astype(int)

    upright, leaning_right, leaning_left = leaning(0), leaning(20), leaning(-20)
    assert np.abs(upright - leaning_right).max() > 100
    assert np.abs(leaning_left - leaning_right).max() > 100


@pytest.mark.parametrize(
    "box", [Box(-60, -60, 20, 20), Box(500, 500, 600, 600), Box(-900, 0, -800, 100), Box(-4e5, -4e5, 4e5, 4e5)]
)
def test_faces_at_the_edge_outside_and_huge_are_drawn_as_far_as_they_are_there(box):
    anonymized = anonymize_faces(astronaut(), [shows(box)], DrawnAvatar())
    assert anonymized.shape == (512, 512, 3)
    assert (anonymized != astronaut()).any() == (box.intersection(Box(0, 0, 512, 512)) > 0)


def test_a_lost_face_stays_covered_for_a_second_and_a_photo_has_no_memory():
    frame, anonymizer = astronaut(), Anonymizer(DrawnAvatar())
    tracked = Prediction(Face(FACE), LABELS, tuple(float(label == "happy") for label in LABELS), track=1)
    covered = anonymizer.anonymize(frame, [tracked], 2.0)
    np.testing.assert_array_equal(anonymizer.anonymize(frame, [], 2.9), covered)
    np.testing.assert_array_equal(anonymizer.anonymize(frame, [], None), frame)
    np.testing.assert_array_equal(anonymizer.anonymize(frame, [], 3.1), frame)
