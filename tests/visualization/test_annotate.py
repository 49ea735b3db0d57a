"""Predictions and avatars on a frame."""

from __future__ import annotations

from pathlib import Path

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from PIL import Image

from mien.emotions import COLOURS, FER2013
from mien.errors import ImageError, UsageError
from mien.structures import Box, Face, Prediction
from mien.visualization.annotate import colour_of, draw
from mien.visualization.avatar import POSES
from mien.visualization.avatar.styles import avatar_image

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HAPPY = (0.01, 0.0, 0.0, 0.91, 0.01, 0.05, 0.02)
FACE = Box(177, 66, 269, 175)


def prediction(box=FACE, probabilities=HAPPY, labels=FER2013, unsure_below=0.4):
    return Prediction(Face(box), tuple(labels), probabilities, unsure_below)


def changed(before, after):
    """The bounding rectangle of the pixels that differ: left, top, right, bottom."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.fixture(scope="module")
def astronaut():
    frame = skimage.data.astronaut()
    frame.flags.writeable = False  # a drawing on the input would raise
    return frame


def test_the_input_stays_and_the_output_is_the_callers(astronaut):
    before = astronaut.copy()
    drawn = draw(astronaut, [prediction()])
    assert (astronaut == before).all()
    assert (drawn.dtype, drawn.shape, drawn.flags.writeable) == (astronaut.dtype, astronaut.shape, True)


def test_a_drawing_stays_near_its_face(astronaut):
    left, top, right, bottom = changed(astronaut, draw(astronaut, [prediction()]))
    assert FACE.left - FACE.width <= left <= FACE.left + 1
    assert FACE.top - FACE.height <= top <= FACE.top
    assert FACE.right - 1 <= right <= FACE.right + 1.5 * FACE.width
    assert FACE.bottom - 1 <= bottom <= FACE.bottom + FACE.height


def test_the_face_itself_stays_visible(astronaut):
    drawn = draw(astronaut, [prediction()])
    inside = np.s_[int(FACE.top) + 12 : int(FACE.bottom) - 12, int(FACE.left) + 12 : int(FACE.right) - 12]
    assert (drawn[inside] == astronaut[inside]).all()


@pytest.mark.parametrize(("unsure_below", "colour"), [(0.4, COLOURS["happy"]), (0.95, (116, 122, 130))])
def test_the_box_has_the_colour_of_the_expression_or_grey_when_unsure(astronaut, unsure_below, colour):
    drawn = draw(astronaut, [prediction(unsure_below=unsure_below)], avatars=False, charts=False)
    middle = round(FACE.centre[1])
    assert tuple(drawn[middle, int(FACE.left)]) == colour
    assert tuple(drawn[middle, int(FACE.right) - 1]) == colour


def test_avatars_and_charts_can_be_left_out(astronaut):
    areas = [
        (draw(astronaut, [prediction()], avatars=avatars, charts=charts) != astronaut).any(axis=2).sum()
        for avatars, charts in ((False, False), (True, False), (False, True), (True, True))
    ]
    assert areas[0] < areas[1] < areas[2] < areas[3]


def test_no_prediction_changes_nothing(astronaut):
    assert (draw(astronaut, []) == astronaut).all()


@pytest.mark.parametrize(
    "box", [Box(-500, -500, -10, -10), Box(512, 0, 600, 90), Box(0, 512, 50, 513), Box(1e9, 1e9, 2e9, 2e9)]
)
def test_a_box_outside_the_frame_is_left_out(astronaut, box):
    assert (draw(astronaut, [prediction(box)]) == astronaut).all()


@pytest.mark.parametrize(
    "box",
    [
        Box(-1e12, -1e12, 1e12, 1e12),
        Box(-30, -30, 20, 20),
        Box(500, 500, 560, 575),
        Box(100.2, 100.2, 100.3, 100.3),
        Box(0, 0, 512, 512),
        Box(0, 200, 512, 202),
    ],
    ids=["endless", "corner", "other-corner", "speck", "whole", "flat"],
)
def test_a_box_of_any_size_gets_a_label_inside_the_frame(astronaut, box):
    drawn = draw(astronaut, [prediction(box)], charts=False, avatars=False)
    plate = (drawn == COLOURS["happy"]).all(axis=2).sum()
    assert plate > 300


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (9, 9), (48, 48), (40, 2000)])
def test_tiny_and_long_frames_are_drawn(shape):
    frame = np.full((*shape, 3), 90, np.uint8)
    drawn = draw(frame, [prediction(Box(0, 0, shape[1], shape[0]))])
    assert drawn.shape == frame.shape
    assert (drawn != frame).any()


def test_a_face_of_forty_pixels_gets_label_and_chart():
    frame = np.full((200, 200, 3), 90, np.uint8)
    box = Box(30, 80, 70, 120)
    drawn = draw(frame, [prediction(box)])
    left, _, right, _ = changed(frame, drawn)
    assert right - left > 100
    assert (draw(frame, [prediction(box)], charts=False) != drawn).any()


def test_labels_of_neighbours_do_not_cover_each_other():
    frame = np.full((400, 900, 3), 90, np.uint8)
    boxes = [Box(60 + 150 * place, 150, 150 + 150 * place, 250) for place in range(5)]
    alone = [(draw(frame, [prediction(box)], charts=False, avatars=False) != frame).any(axis=2).sum() for box in boxes]
    together = (draw(frame, [prediction(box) for box in boxes], charts=False, avatars=False) != frame).any(axis=2).sum()
    assert together == sum(alone)


def test_two_hundred_predictions_are_drawn(astronaut):
    boxes = [Box(25 * column, 45 * row, 25 * column + 20, 45 * row + 25) for column in range(20) for row in range(10)]
    drawn = draw(astronaut, [prediction(box) for box in boxes])
    assert all(
        (drawn != astronaut)[int(box.top) : int(box.bottom), int(box.left) : int(box.right)].any() for box in boxes
    )


@pytest.mark.parametrize("label", ["怒り", "злость", "غضب", "a\nb", "", "x" * 500, "\udce9", "\x00", "🤖"])
def test_any_name_of_a_class_can_be_drawn(astronaut, label):
    drawn = draw(astronaut, [prediction(labels=(label, "other"), probabilities=(0.9, 0.1))])
    assert (drawn == colour_of(label)).all(axis=2).sum() > 100


@pytest.mark.parametrize("count", [1, 30])
def test_any_number_of_classes_can_be_drawn(astronaut, count):
    names = [f"class {number}" for number in range(count)]
    assert (draw(astronaut, [prediction(labels=names, probabilities=(1 / count,) * count)]) != astronaut).any()


@pytest.mark.parametrize(
    ("label", "colour"), [("happy", COLOURS["happy"]), ("joy", COLOURS["happy"]), (" Fear", COLOURS["fear"])]
)
def test_a_known_expression_keeps_its_colour(label, colour):
    assert colour_of(label) == colour


def test_own_classes_have_colours_of_their_own():
    assert len({colour_of(name) for name in ("yes", "no", "maybe", "wink", "yawn")}) == 5
    assert colour_of("wink") == (184, 124, 61)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), None])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ImageError, match="expected an image"):
        draw(frame, [])


def test_an_avatar_image_is_a_disc_on_nothing():
    image = avatar_image(POSES["neutral"], 64)
    assert (image.shape, image.dtype) == ((64, 64, 4), np.uint8)
    assert image[0, 0, 3] == 0
    assert image[40, 32, 3] == 255


def test_an_avatar_of_no_pixels_is_refused():
    with pytest.raises(UsageError, match="at least 1 pixel"):
        avatar_image(POSES["neutral"], 0)


def test_a_portrait_is_drawn():
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        frame = np.asarray(Image.open(file).convert("RGB"))
    left, top, _, _ = changed(frame, draw(frame, [prediction(Box(175, 120, 350, 335))]))
    assert left < 175
    assert top < 120


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="the data set folder ../shared/data is absent")
def test_a_crowded_image_is_drawn_and_its_largest_face_stays_visible():
    frame = np.asarray(Image.open(SHARED / "groups" / "selfie-many-people.jpg").convert("RGB"))
    boxes = [Box(345, 110, 470, 290), Box(90, 295, 205, 440), Box(205, 120, 305, 265), Box(0, 240, 75, 355)]
    drawn = draw(frame, [prediction(box) for box in boxes])
    assert (drawn[140:280, 365:450] == frame[140:280, 365:450]).all()
