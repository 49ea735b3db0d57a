from __future__ import annotations

import numpy as np
import pytest

from mien.classification.face_crop import crop, point_in_crop
from mien.errors import UsageError
from mien.explain.face_parts import PARTS, part_map, part_shares
from mien.models.card import CropRule
from mien.structures import Box, Face, Landmarks, Point

BOX = Box(100, 50, 200, 170)
FRONTAL = Landmarks(Point(130, 95), Point(170, 95), Point(150, 118), Point(135, 140), Point(165, 140))


def turned(degrees):
    """The same face, leaning about the middle of its box."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (Point(*(turn @ (np.array(point) - BOX.centre) + BOX.centre)) for point in (
        FRONTAL.right_eye, FRONTAL.left_eye, FRONTAL.nose, FRONTAL.right_mouth, FRONTAL.left_mouth
    ))  # fmt: skip
    return Face(BOX, Landmarks(*points))


@pytest.mark.parametrize("roll", [0, 20, -35])
@pytest.mark.parametrize("rule", [CropRule(1.2), CropRule(1.0, align_beyond=10)])
def test_a_point_lies_in_the_crop_where_crop_puts_it(roll, rule):
    face = turned(roll)
    frame = np.zeros((240, 300, 3), np.uint8)
    x, y = np.rint(face.landmarks.nose).astype(int)
    frame[y - 3 : y + 3, x - 3 : x + 3] = 255
    face_crop = crop(frame, face, rule, 96, 1)[..., 0].astype(float)
    rows, columns = np.mgrid[:96, :96] + 0.5
    found = ((face_crop * columns).sum() / face_crop.sum(), (face_crop * rows).sum() / face_crop.sum())
    assert found == pytest.approx(point_in_crop(Point(x, y), face, rule, 96), abs=0.3)


@pytest.mark.parametrize("roll", [0, 25, -25])
def test_landmarks_lie_in_their_parts(roll):
    face, rule = turned(roll), CropRule(1.2)
    regions = part_map(face, rule, 48)

    def part_at(point):
        x, y = point_in_crop(point, face, rule, 48)
        return PARTS[regions[int(y), int(x)]]

    marks = face.landmarks
    assert [part_at(point) for point in (marks.right_eye, marks.left_eye)] == ["eyes", "eyes"]
    assert part_at(marks.nose) == "nose"
    assert [part_at(point) for point in (marks.right_mouth, marks.left_mouth)] == ["mouth", "mouth"]
    up = np.array(marks.right_eye) - 0.45 * (np.array(marks.right_mouth) - np.array(marks.right_eye))
    assert part_at(Point(*up)) == "brows"
    assert PARTS[regions[0, 0]] == "around the face"


def test_shares_are_of_the_positive_attribution():
    face, rule = turned(0), CropRule(1.2)
    regions = part_map(face, rule, 48)
    attribution = np.where(regions == PARTS.index("mouth"), 3.0, -1.0).astype(np.float32)
    attribution[regions == PARTS.index("nose")] = 1.0
    mouth, nose = ((regions == PARTS.index(name)).sum() for name in ("mouth", "nose"))
    given = {part.name: part for part in part_shares(attribution, face, rule)}
    assert given["mouth"].share == pytest.approx(3 * mouth / (3 * mouth + nose))
    assert given["eyes"].share == 0
    assert given["mouth"].density > given["nose"].density > 1


def test_without_landmarks_there_are_no_parts():
    assert part_shares(np.ones((48, 48), np.float32), Face(BOX), CropRule()) == ()
    assert part_shares(-np.ones((48, 48), np.float32), turned(0), CropRule()) == ()
    with pytest.raises(UsageError, match="with landmarks"):
        part_map(Face(BOX), CropRule(), 48)
