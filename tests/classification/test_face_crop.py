"""Face crops: position, size, colour, rotation, and the area beyond the frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from mien.classification.face_crop import crop, crop_faces
from mien.errors import UsageError
from mien.models.card import CropRule
from mien.structures import Box, Face, Landmarks, Point

SHARED = Path(__file__).resolve().parents[3] / "shared"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
PLAIN = CropRule(factor=1.0)

# Eye midpoint x and y and the distance between the eyes in FER2013's own 48 pixels, measured with YuNet, whose eyes
# move by up to 1.7 pixels with the size at which it sees the same face: hence the tolerances below.
FER2013_EYES = (24.3, 18.9, 16.3)

needs_shared = pytest.mark.skipif(not YUNET.exists(), reason="needs ../shared/data and YuNet's file")


def square(left: float, top: float, side: float) -> Face:
    return Face(Box(left, top, left + side, top + side))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows by 1 a column, green by 1 a row; blue is 9."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 9)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("pixels", [48, 96, 144, 60, 77, 200])
def test_a_reduced_crop_is_opencv_s_area_mean(pixels):
    frame = noise(220, 220)
    expected = cv2.resize(frame[5 : 5 + pixels, 9 : 9 + pixels], (48, 48), interpolation=cv2.INTER_AREA)
    face_crop = crop(frame, square(9, 5, pixels), PLAIN, 48, 3)
    assert np.abs(face_crop.astype(int) - expected).max() <= 1


def test_an_enlarged_crop_is_opencv_s_bilinear_one():
    frame = cv2.GaussianBlur(noise(80, 80), (9, 9), 0)
    expected = cv2.resize(frame, (320, 320), interpolation=cv2.INTER_LINEAR)[80:176, 80:176]
    face_crop = crop(frame, square(20, 20, 24), PLAIN, 96, 3)
    assert np.abs(face_crop.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("box", "factor", "left", "top", "side"),
    [
        (Box(40, 50, 80, 90), 1.0, 40, 50, 40),
        (Box(50, 50, 70, 90), 1.0, 40, 50, 40),  # the longer side counts, the centre stays
        (Box(40, 60, 80, 80), 1.0, 40, 50, 40),
        (Box(50, 60, 70, 80), 2.0, 40, 50, 40),
        (Box(20, 30, 100, 110), 0.5, 40, 50, 40),
        (Box(40.5, 50.25, 80.5, 90.25), 1.0, 40.5, 50.25, 40),
    ],
)
def test_the_square_is_factor_times_the_longer_side_about_the_box_s_centre(box, factor, left, top, side):
    face_crop = crop(ramp(150, 150), Face(box), CropRule(factor), 20, 3).astype(float)
    step = side / 20
    centres = (np.arange(20) + 0.5) * step - 0.5
    assert np.abs(face_crop[:, :, 0] - (left + centres)[None, :]).max() <= 0.51
    assert np.abs(face_crop[:, :, 1] - (top + centres)[:, None]).max() <= 0.51


def test_a_fraction_of_a_pixel_moves_the_crop():
    crops = [crop(ramp(100, 100) * 2, square(30 + shift, 30, 20), PLAIN, 20, 3) for shift in (0.0, 0.5, 1.0)]
    assert [int(face_crop[0, 0, 0]) for face_crop in crops] == [60, 61, 62]


def test_red_and_blue_stay_where_they_are():
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, :, 0] = 200
    face_crop = crop(red, square(5, 5, 30), PLAIN, 16, 3)
    assert face_crop[8, 8].tolist() == [200, 0, 0]


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
def test_grey_is_the_luma_of_bt_601(colour, luma):
    face_crop = crop(np.full((30, 30, 3), colour, np.uint8), square(0, 0, 30), PLAIN, 12, 1)
    assert np.unique(face_crop).tolist() == [luma]


def test_grey_comes_before_the_size():
    frame = noise(96, 96)
    expected = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(crop(frame, square(0, 0, 96), PLAIN, 48, 1)[:, :, 0].astype(int) - expected).max() <= 1


def test_the_frame_s_edge_is_replicated_outside():
    frame = noise(50, 60)
    padded = cv2.copyMakeBorder(frame, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    for left, top in ((-20, -10), (30, 25), (-30, 30), (45, -25)):
        inside = crop(padded, square(left + 40, top + 40, 32), PLAIN, 16, 3)
        assert np.array_equal(crop(frame, square(left, top, 32), PLAIN, 16, 3), inside)


@pytest.mark.parametrize("roll", [None, 30.0])
@pytest.mark.parametrize(
    ("left", "top", "side", "corner"),
    [
        (-500, -500, 20, (0, 0)),
        (1e6, 1e6, 20, (-1, -1)),
        (-1e12, 1e12, 3, (-1, 0)),
        (1e9, -1e9, 1e6, (0, -1)),
    ],
)
def test_a_box_far_outside_shows_the_nearest_corner(left, top, side, corner, roll):
    frame = noise(30, 40)
    face = square(left, top, side)
    face = Face(face.box, None if roll is None else rolled(face.box.centre, roll, side / 4))
    face_crop = crop(frame, face, CropRule(1.0, None if roll is None else 10.0), 8, 3)
    assert (face_crop == frame[corner]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [0.01, 1.0, 1e9])
def test_odd_frames_give_their_one_colour(shape, channels, side):
    face_crop = crop(np.full((*shape, 3), 77, np.uint8), square(0.2, 0.2, side), PLAIN, 48, channels)
    assert face_crop.shape == (48, 48, channels)
    assert np.unique(face_crop).tolist() == [77]


def test_a_poster_sized_face_is_the_same_image():
    small = cv2.resize(astronaut(), (480, 480), interpolation=cv2.INTER_AREA)
    poster = np.repeat(np.repeat(small, 9, axis=0), 9, axis=1)
    expected = crop(small, square(120, 40, 200), PLAIN, 48, 3).astype(int)
    assert np.abs(crop(poster, square(120 * 9, 40 * 9, 200 * 9), PLAIN, 48, 3) - expected).max() <= 2


def rolled(centre: tuple[float, float], degrees: float, reach: float) -> Landmarks:
    """Eyes that lean clockwise by so many degrees, symmetric about the centre."""
    across = reach * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    right, left = np.array(centre) - across, np.array(centre) + across
    middle = Point(*centre)
    return Landmarks(Point(*right.tolist()), Point(*left.tolist()), middle, middle, middle)


@pytest.mark.parametrize("degrees", [-60.0, -25.0, 25.0, 60.0])
def test_a_rolled_face_is_rotated_upright_about_the_box_s_centre(degrees):
    frame = astronaut()
    face = square(170, 60, 110)
    x, y = face.box.centre
    turn = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), -degrees, 1.0)  # OpenCV counts anticlockwise
    leaning = cv2.warpAffine(frame, turn, (512, 512), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    turned = crop(leaning, Face(face.box, rolled((x, y), degrees, 20)), CropRule(1.0, align_beyond=10), 48, 3)
    upright = crop(frame, face, PLAIN, 48, 3)
    assert np.abs(turned.astype(int) - upright).mean() < 4
    assert np.abs(crop(leaning, face, PLAIN, 48, 3).astype(int) - upright).mean() > 20


@pytest.mark.parametrize(
    ("rule", "degrees"),
    [(CropRule(1.0), 29), (CropRule(1.0), -29), (CropRule(1.0, 40.0), 39), (CropRule(1.0, 10.0), None)],
)
def test_a_face_is_left_as_it_is_without_roll_or_landmarks(rule, degrees):
    face = square(170, 60, 110)
    known = Face(face.box, None if degrees is None else rolled(face.box.centre, degrees, 20))
    assert np.array_equal(crop(astronaut(), known, rule, 48, 3), crop(astronaut(), face, PLAIN, 48, 3))


@pytest.mark.parametrize("degrees", [31, -31, 90, 180])
def test_a_card_without_a_rule_has_faces_rotated_beyond_30_degrees(degrees):
    known = Face(square(170, 60, 110).box, rolled((225, 115), degrees, 20))
    face_crop = crop(astronaut(), known, CropRule(1.0), 48, 3)
    assert np.array_equal(face_crop, crop(astronaut(), known, CropRule(1.0, 30.0), 48, 3))
    assert not np.array_equal(face_crop, crop(astronaut(), square(170, 60, 110), CropRule(1.0), 48, 3))


def test_faces_come_in_order_and_none_make_an_empty_batch():
    faces = [square(10, 10, 30), square(50, 60, 40)]
    frame = noise(120, 120)
    crops = crop_faces(frame, faces, PLAIN, 24, 1)
    assert np.array_equal(crops, np.stack([crop(frame, face, PLAIN, 24, 1) for face in faces]))
    assert crop_faces(frame, [], PLAIN, 24, 3).shape == (0, 24, 24, 3)


def test_two_channels_are_refused():
    with pytest.raises(UsageError, match=r"1 .*or 3 .*received 2"):
        crop(noise(9, 9), square(0, 0, 9), PLAIN, 8, 2)


def point_in_crop(face: Face, point: Point) -> np.ndarray:
    """Where a point of the frame lies in a face crop of 48 cut at factor 1."""
    side = max(face.box.width, face.box.height)
    return 24 + (np.array(point) - np.array(face.box.centre)) * 48 / side


def eyes_in_crop(face: Face) -> tuple[float, float, float]:
    """Eye midpoint x and y, and the distance between the eyes, in a face crop of 48."""
    right, left = point_in_crop(face, face.landmarks.right_eye), point_in_crop(face, face.landmarks.left_eye)
    return (*((right + left) / 2).tolist(), float(np.linalg.norm(left - right)))


@pytest.mark.shared
@needs_shared
def test_photos_are_framed_as_fer2013_is():
    from mien.detection import YuNetDetector
    from mien.media.image import read

    detector = YuNetDetector(YUNET, threads=1)
    found = [detector.detect(read(path)) for path in sorted((SHARED / "data" / "photos").glob("*.jpg"))[::8]]
    measured = np.mean([eyes_in_crop(faces[0]) for faces in found if faces], axis=0)
    assert measured == pytest.approx(FER2013_EYES, abs=2.0)


@pytest.mark.shared
@needs_shared
def test_the_astronaut_is_framed_as_fer2013_is():
    from mien.detection import YuNetDetector

    face = YuNetDetector(YUNET, threads=1).detect(astronaut())[0]
    assert eyes_in_crop(face) == pytest.approx(FER2013_EYES, abs=3.0)
