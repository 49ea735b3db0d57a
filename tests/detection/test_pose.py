"""Roll and yaw from five landmarks, of heads turned on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from mien.structures import Box, Face, Landmarks, Point, Prediction
from mien.structures.geometry import NOSE_DEPTH_RATIO

HEAD = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.6, NOSE_DEPTH_RATIO], [-0.4, 1.1, 0], [0.4, 1.1, 0]])
"""Right eye, left eye, nose, right and left corner of the mouth: x to the image's right, y down, z to the camera."""


def turned(yaw: float, roll: float = 0.0, scale: float = 40.0) -> Landmarks:
    """The head seen from afar, turned aside and then leaned, in degrees."""
    aside, lean = np.radians([yaw, roll])
    x = HEAD[:, 0] * np.cos(aside) + HEAD[:, 2] * np.sin(aside)
    points = scale * np.stack([x, HEAD[:, 1]], axis=1)
    matrix = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    return Landmarks(*(Point(*point) for point in (points @ matrix + 100).tolist()))


def face(yaw: float) -> Face:
    return Face(Box(60, 60, 140, 160), turned(yaw))


@pytest.mark.parametrize("roll", [-40.0, 0.0, 15.0])
@pytest.mark.parametrize("yaw", [-70.0, -30.0, 0.0, 12.0, 45.0])
def test_a_turned_head_is_told(yaw: float, roll: float) -> None:
    landmarks = turned(yaw, roll)
    assert landmarks.yaw == pytest.approx(yaw, abs=1e-6)
    assert landmarks.roll == pytest.approx(roll, abs=1e-6)


@pytest.mark.parametrize(("nose", "yaw"), [(3.0, 90.0), (-3.0, -90.0), (0.0, 0.0)])
def test_eyes_that_cover_each_other(nose: float, yaw: float) -> None:
    eye = Point(0.0, 0.0)
    assert Landmarks(eye, eye, Point(nose, 2.0), eye, eye).yaw == pytest.approx(yaw)


@pytest.mark.parametrize(("yaw", "away"), [(0, False), (24, False), (-24, False), (26, True), (-26, True), (80, True)])
def test_a_face_turned_away_is_answered_unsurely(yaw: float, away: bool) -> None:
    assert face(yaw).turned_away is away
    shown = Prediction(face(yaw), ("happy", "sad"), (0.9, 0.1), 0.5)
    assert shown.unsure is away
    assert shown.reasons == (("turned away",) if away else ())


def test_without_landmarks_nothing_is_known_of_it() -> None:
    assert not Face(Box(0, 0, 9, 9)).turned_away
