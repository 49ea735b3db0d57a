"""Long images are searched in windows: which ones, and that every face in them is found once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from mien.detection import SHIPPED_DETECTOR, MienDetector
from mien.detection.windows import LONG_ASPECT, MAX_WINDOWS, windows_of
from mien.models.store import ModelStore
from mien.structures import Box

ASTRONAUT = Box(178, 65, 270, 176)


@pytest.fixture(scope="module")
def detector():
    return MienDetector(ModelStore().load(SHIPPED_DETECTOR))


def blank(height: int, width: int) -> np.ndarray:
    """A frame of zeros that takes no memory."""
    return np.broadcast_to(np.uint8(0), (height, width, 3))


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (480, 640, 1),
        (400, 1000, 1),  # as long as an ordinary image gets
        (400, 1001, 2),
        (1001, 400, 2),
        (100, 300, 1),  # would not be enlarged further
        (900, 12_000, 13),
        (1000, 40_000, 39),
        (10_000, 1, 32),
        (3, 40_000, MAX_WINDOWS),
        (1, 40_000_000, MAX_WINDOWS),
    ],
)
def test_windows_of_an_image(height, width, count):
    assert len(windows_of(blank(height, width))) == count


@given(shorter=st.integers(1, 3000), longer=st.integers(1, 60_000), upright=st.booleans(), place=st.floats(0, 1))
def test_each_face_up_to_the_shorter_side_is_whole_where_it_counts(shorter, longer, upright, place):
    shorter, longer = sorted((shorter, longer))
    windows = windows_of(blank(longer, shorter) if upright else blank(shorter, longer))
    assert (windows[0].start, windows[-1].end) == (0, longer)
    start = place * (longer - shorter)
    edges = (0.0, start, shorter, start + shorter)
    box = Box(*edges) if upright else Box(edges[1], edges[0], edges[3], edges[2])
    counting = [window for window in windows if window.holds(box)]
    assert any(window.start <= start and start + shorter <= window.end for window in counting)
    assert len(windows) == 1 or longer > LONG_ASPECT * shorter
    assert all(math.isfinite(window.first_centre) for window in windows[1:])


def test_an_ordinary_image_is_searched_as_a_whole():
    (window,) = windows_of(astronaut())
    assert window.part_of(astronaut()).shape == astronaut().shape
    assert window.corner == (0, 0)


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize(
    ("length", "side", "starts"),
    [
        (6000, 450, (0,)),  # at one end
        (6000, 450, (5550,)),  # at the other
        (6000, 450, (675, 1800)),  # across the ends of windows
        (4000, 512, (0, 700, 1400, 2300, 3488)),
        (3000, 160, (100, 1200, 2840)),
        (1400, 512, (450,)),
    ],
)
def test_every_face_of_a_long_image_is_found_once(detector, upright, length, side, starts):
    portrait = np.asarray(Image.fromarray(astronaut()).resize((side, side), Image.Resampling.BOX))
    frame = np.full((length, 512, 3) if upright else (512, length, 3), 120, np.uint8)
    for start in starts:
        if upright:
            frame[start : start + side, :side] = portrait
        else:
            frame[:side, start : start + side] = portrait
    scale = side / 512
    left, top, right, bottom = (edge * scale for edge in ASTRONAUT.xyxy)
    expected = [Box(left, at + top, right, at + bottom) if upright else Box(at + left, top, at + right, bottom)
                for at in starts]  # fmt: skip
    faces = detector.detect(frame)
    assert len(faces) == len(expected)
    assert all(max(face.box.iou(box) for face in faces) > 0.6 for box in expected)
