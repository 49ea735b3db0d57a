"""Rolled faces: found the right way up, rotated upright for the classifier, and unsure."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.apps.cli.first_steps import PORTRAIT
from mien.detection import SHIPPED_DETECTOR, MienDetector
from mien.detection.orientation import turn_upright
from mien.media.image import read
from mien.models.store import ModelStore
from mien.recognizer import Recognizer
from mien.structures import Box, Face, Landmarks, Point


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load()


def rotated(frame: np.ndarray, degrees: float) -> np.ndarray:
    """The frame, rotated clockwise, on a canvas that holds all of it."""
    return np.asarray(Image.fromarray(frame).rotate(-degrees, Image.Resampling.BICUBIC, expand=True))


@pytest.mark.parametrize("degrees", [180, 165, -165, 150, -150, 135, -135])
@pytest.mark.parametrize("image", ["astronaut", "portrait"])
def test_an_upside_down_face_is_never_sure_and_wrong(recognizer, degrees, image):
    frame = astronaut() if image == "astronaut" else read(PORTRAIT)
    for prediction in recognizer.predict(rotated(frame, degrees)).predictions:
        assert prediction.unsure or prediction.emotion == "happy"


@pytest.mark.parametrize("image", ["astronaut", "portrait"])
def test_the_landmarks_of_an_upside_down_face_are_the_right_way_up(recognizer, image):
    frame = astronaut() if image == "astronaut" else read(PORTRAIT)
    (upright,), (turned,) = recognizer.predict(frame).predictions, recognizer.predict(frame[::-1, ::-1]).predictions
    height, width = frame.shape[:2]
    eye = upright.face.landmarks.right_eye
    assert turned.face.landmarks.right_eye == pytest.approx((width - eye.x, height - eye.y), abs=0.1 * width)
    assert abs(turned.face.landmarks.roll) > 160
    assert (turned.emotion, turned.unsure, turned.reasons) == ("happy", True, ("rolled",))


@pytest.mark.parametrize("degrees", [0, 15, -15, 30, -30])
def test_a_face_that_leans_is_as_it_was_found(monkeypatch, degrees):
    detector = MienDetector(ModelStore().load(SHIPPED_DETECTOR))
    frame = rotated(astronaut(), degrees)
    faces = detector.detect(frame)
    monkeypatch.setattr("mien.detection.mien_detector.turn_upright", lambda _detector, _frame, faces: faces)
    assert faces == detector.detect(frame)


@pytest.mark.parametrize(("eye", "rolled"), [((20, 0), False), ((14, 14.1), True), ((0, 20), True), ((-20, 0), True)])
def test_a_face_is_rolled_from_45_degrees_on(eye, rolled):
    marks = Landmarks(Point(0, 0), Point(*eye), *[Point(0, 0)] * 3)
    assert Face(Box(0, 0, 9, 9), marks).rolled == rolled
    assert not Face(Box(0, 0, 9, 9)).rolled


def test_where_nothing_is_seen_a_face_stays():
    detector = MienDetector(ModelStore().load(SHIPPED_DETECTOR))
    marks = Landmarks(Point(20, 20), Point(40, 20), Point(30, 30), Point(22, 40), Point(38, 40))
    faces = [Face(Box(10, 10, 50, 55), marks, 0.5)]
    assert turn_upright(detector, np.zeros((80, 80, 3), np.uint8), faces) == faces
