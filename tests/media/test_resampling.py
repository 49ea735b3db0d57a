"""Resizing, grey and blur against OpenCV, which is in the development install only."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.data import astronaut

from mien.media.resampling import Pyramid, Span, blur, grey, resample, resize

SIDES = st.integers(1, 120)
SHAPES = st.tuples(SIDES, SIDES, st.sampled_from([(), (1,), (3,), (4,)]))


def noise(height: int, width: int, channels: tuple[int, ...] = (3,)) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.reshape(one.shape)).max())


@given(shape=SHAPES, shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)))
def test_reduced_pixels_are_opencv_s_area_means(shape, shares):
    height, width, channels = shape
    size = max(1, round(width * shares[0])), max(1, round(height * shares[1]))
    image = noise(height, width, channels)
    reduced = resize(image, size)
    assert reduced.shape == (size[1], size[0], *channels)
    assert distance(reduced, cv2.resize(image, size, interpolation=cv2.INTER_AREA)) <= 1


@given(shape=SHAPES, factors=st.tuples(st.floats(1, 4), st.floats(1, 4)))
def test_enlarged_pixels_are_opencv_s_linear_ones(shape, factors):
    height, width, channels = shape
    size = round(width * factors[0]), round(height * factors[1])
    image = noise(height, width, channels)
    assert distance(resize(image, size), cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)) <= 1


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(720, 1280, (640, 360)), (1080, 1920, (640, 360)), (768, 1366, (640, 360)), (3000, 4000, (640, 480))],
)
def test_frames_of_cameras(height, width, size):
    image = noise(height, width)
    assert distance(resize(image, size), cv2.resize(image, size, interpolation=cv2.INTER_AREA)) <= 1


def test_transparency_is_a_channel_like_the_others():
    image = np.array([[[200, 100, 0, 0], [0, 0, 0, 100]]], np.uint8)
    assert resize(image, (1, 1)).ravel().tolist() == [100, 50, 0, 50]


@pytest.mark.parametrize("size", [(1280, 720), (1366, 768), (1000, 700), (320, 200), (4032, 3024)])
def test_a_pyramid_gives_what_resize_gives(size):
    image = noise(size[1], size[0])
    pyramid = Pyramid(image)
    for wanted in ((640, 360), (320, 180), (160, 90), (640, 360), (300, 200), (1, 1), (700, 500)):
        assert distance(pyramid.resized(wanted), resize(image, wanted)) <= 1


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::3], np.s_[..., ::-1]])
def test_views_are_resized_like_their_copies(view):
    image = astronaut()[view]
    for size in ((image.shape[1] // 2, image.shape[0] // 2), (100, 70), (600, 600)):
        assert np.array_equal(resize(image, size), resize(image.copy(), size))


def test_an_image_of_that_size_is_itself():
    image = noise(30, 40)
    assert resize(image, (40, 30)) is image


@given(start=st.floats(-1e6, 1e6), step=st.floats(0.01, 1e3), length=st.integers(1, 60))
def test_a_grid_anywhere_on_one_colour_has_that_colour(start, step, length):
    span = Span(start, step, length)
    values = resample(np.full((7, 9, 3), 77, np.uint8), span, span)
    assert values.shape == (length, length, 3)
    assert np.abs(values - 77).max() < 0.01


def test_a_grid_beyond_the_edge_repeats_it():
    line = np.array([[10.0, 20.0, 30.0]], np.float32)
    assert resample(line, Span(-2, 1, 7), Span(0, 1, 1)).ravel().tolist() == [10, 10, 10, 20, 30, 30, 30]


def test_grey_is_opencv_s_for_every_colour():
    colours = np.stack(np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 3), axis=-1).reshape(4096, 4096, 3)
    assert np.array_equal(grey(colours), cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("sigma", [0.6, 1.0, 3.0])
@pytest.mark.parametrize(
    ("border", "opencv"),
    [("edge", cv2.BORDER_REPLICATE), ("reflect", cv2.BORDER_REFLECT_101), ("symmetric", cv2.BORDER_REFLECT)],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_blur_is_opencv_s(sigma, border, opencv, channels):
    image = noise(40, 30, channels).astype(np.float32)
    side = 2 * int(np.ceil(4 * sigma)) + 1
    expected = cv2.GaussianBlur(image, (side, side), sigma, borderType=opencv)
    assert np.abs(blur(image, sigma, border) - expected).max() < 0.001
