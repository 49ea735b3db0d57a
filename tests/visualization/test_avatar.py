"""The drawn face: poses, their blend, and outlines."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.emotions import FER2013, FERPLUS, Emotion
from mien.errors import UsageError
from mien.visualization.avatar import POSES, Pose, pose, shapes
from mien.visualization.avatar.styles import avatar_image

EVERY = tuple(Emotion)
weights = st.lists(st.floats(0, 1), min_size=len(EVERY), max_size=len(EVERY)).filter(lambda row: sum(row) > 1e-6)


def certain(emotion, labels=EVERY):
    return pose(labels, [float(label == emotion) for label in labels])


def numbers(pose):
    return np.array([*pose.skin, *(getattr(pose, field.name) for field in dataclasses.fields(pose)[1:])])


@pytest.mark.parametrize("emotion", EVERY)
def test_a_certain_expression_is_its_pose(emotion):
    np.testing.assert_allclose(numbers(certain(emotion)), numbers(POSES[emotion]), rtol=1e-12)


@pytest.mark.parametrize("labels", [FER2013, FERPLUS, FERPLUS[::-1]])
def test_the_order_of_labels_does_not_matter(labels):
    assert certain(Emotion.HAPPY, labels) == certain(Emotion.HAPPY)


@pytest.mark.parametrize(
    ("label", "emotion"), [("joy", Emotion.HAPPY), ("Anger", Emotion.ANGRY), ("wink", Emotion.NEUTRAL)]
)
def test_a_class_of_the_users_own_shows(label, emotion):
    assert pose((label, "sad"), (1.0, 0.0)) == certain(emotion)


def test_strength_shows_step_by_step():
    curves = [pose(("happy", "neutral"), (share, 1 - share)).mouth_curve for share in (0, 0.25, 0.5, 0.75, 1)]
    assert curves == sorted(curves)
    assert curves[0] == pytest.approx(POSES["neutral"].mouth_curve)
    assert curves[-1] == pytest.approx(POSES["happy"].mouth_curve)


def test_probabilities_are_scaled_to_one():
    np.testing.assert_allclose(
        numbers(pose(("happy", "sad"), (3.0, 1.0))), numbers(pose(("happy", "sad"), (0.75, 0.25))), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [((), ()), (("happy",), (0.5, 0.5)), (("happy",), (0.0,)), (("happy",), (math.nan,)), (("happy",), (math.inf,))],
)
def test_what_is_no_distribution_is_refused(labels, probabilities):
    with pytest.raises(UsageError, match="expected a probability for each label"):
        pose(labels, probabilities)


@settings(max_examples=60, deadline=None)
@given(weights)
def test_every_blend_stays_inside_the_unit_square(row):
    for shape in shapes(pose(EVERY, row)):
        edge = shape.width / 2 if shape.stroke is not None else 0.0
        flat = np.array(shape.points)
        assert np.isfinite(flat).all()
        assert flat.min() - edge >= 0
        assert flat.max() + edge <= 1
        assert all(0 <= channel <= 255 for colour in (shape.fill, shape.stroke) if colour for channel in colour)


@settings(max_examples=20, deadline=None)
@given(weights, st.integers(0, len(EVERY) - 1))
def test_a_small_change_moves_the_face_a_little(row, place):
    nudged = [value + 1e-4 * sum(row) * (index == place) for index, value in enumerate(row)]
    before, after = numbers(pose(EVERY, row)), numbers(pose(EVERY, nudged))
    assert np.abs(before - after).max() < 0.05


@pytest.mark.parametrize("size", [32, 256])
def test_every_expression_looks_different(size):
    images = {emotion: avatar_image(POSES[emotion], size).astype(float) for emotion in EVERY}
    apart = {
        (one, other): np.abs(images[one] - images[other]).mean() for one in EVERY for other in EVERY if one < other
    }
    assert min(apart.values()) > 4, min(apart, key=apart.get)


def test_both_halves_of_a_calm_face_mirror_each_other():
    image = avatar_image(Pose(), 128).astype(int)
    brows_and_mouth = np.r_[38:50, 84:100]
    assert np.abs(image - image[:, ::-1])[brows_and_mouth][:, 40:88].mean() < 8
