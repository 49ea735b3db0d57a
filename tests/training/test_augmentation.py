from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.training.config import PLAIN, Augmentation
from mien.training.engine.augmentation import Draw, augment, draws, tone_tables, warp_matrices

STRONG = Augmentation(
    rotate=40, scale=(0.6, 1.6), shift=0.3, shear=0.2, brightness=0.6, blur=1, shrink=1, jpeg=1, random_erasing=1
)


def noise(count: int = 12, size: int = 48, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def test_a_row_of_draws_depends_on_nothing_but_seed_epoch_and_row() -> None:
    table = draws(seed=5, epoch=2, rows=100)
    assert table.dtype == np.float32
    assert table.shape == (100, len(Draw))
    assert 0 <= table.min() < 0.01
    assert 0.99 < table.max() < 1
    np.testing.assert_array_equal(draws(5, 2, 7), table[:7])
    for seed, epoch in ((5, 3), (6, 2), (2, 5)):
        assert not np.array_equal(draws(seed, epoch, 100), table)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "strength", [Augmentation(), STRONG, Augmentation().softened()], ids=["default", "strong", "soft"]
)
def test_a_image_is_the_same_in_any_order_and_batch(strength: Augmentation, channels: int) -> None:
    crops, table = noise(channels=channels), draws(0, 4, 12)
    before = crops.copy()
    together = augment(crops, table, strength)
    assert together.dtype == np.uint8
    assert together.shape == crops.shape
    assert not np.array_equal(together, crops)
    np.testing.assert_array_equal(crops, before)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(augment(crops[order], table[order], strength), together[order])
    for row in (0, 11):
        np.testing.assert_array_equal(augment(crops[row : row + 1], table[row : row + 1], strength)[0], together[row])


@pytest.mark.parametrize("size", [24, 47, 48])
@pytest.mark.parametrize("channels", [1, 3])
def test_plain_leaves_crops_as_they_are(size: int, channels: int) -> None:
    crops = noise(size=size, channels=channels)
    np.testing.assert_array_equal(augment(crops, draws(0, 0, 12), PLAIN), crops)


@pytest.mark.parametrize("size", [24, 47, 48])
def test_flip_mirrors_to_the_pixel_where_its_draw_says_so(size: int) -> None:
    crops, table = noise(count=40, size=size, channels=3), draws(0, 0, 40)
    out = augment(crops, table, replace(PLAIN, flip=0.5))
    mirrored = table[:, Draw.FLIP] < 0.5
    assert 0 < mirrored.sum() < 40
    np.testing.assert_array_equal(out, np.where(mirrored[:, None, None, None], crops[:, :, ::-1], crops))


@pytest.mark.parametrize("size", [48, 49])
def test_all_but_the_shift_turns_about_the_middle(size: int) -> None:
    strength = replace(STRONG, shift=0.0)
    middle = np.array([(size - 1) / 2, (size - 1) / 2, 1.0])
    matrices = warp_matrices(draws(0, 0, 50), strength, size)
    np.testing.assert_allclose(matrices @ middle, np.tile(middle[:2], (50, 1)), atol=1e-9)


def test_a_dot_in_the_middle_stays_there() -> None:
    crop = np.zeros((1, 49, 49, 1), np.uint8)
    crop[0, 23:26, 23:26] = 255
    warped = replace(PLAIN, flip=0.5, rotate=180, scale=(0.8, 2.0), shear=0.3)
    for row in draws(0, 0, 20):
        out = augment(crop, row[None], warped)[0, :, :, 0].astype(float)
        down, across = np.mgrid[:49, :49]
        assert (down * out).sum() / out.sum() == pytest.approx(24, abs=0.1)
        assert (across * out).sum() / out.sum() == pytest.approx(24, abs=0.1)


def test_the_shift_is_a_share_of_the_side() -> None:
    table = draws(0, 0, 200)
    offsets = warp_matrices(table, replace(PLAIN, shift=0.1), 50)[:, :, 2]
    assert np.abs(offsets).max() <= 5
    assert np.abs(offsets).max(axis=0) == pytest.approx([5, 5], abs=0.3)
    assert np.corrcoef(offsets.T)[0, 1] == pytest.approx(0, abs=0.2)  # across and down are drawn apart


def test_scale_and_angle_stay_in_their_ranges() -> None:
    table = draws(0, 0, 300)
    linear = warp_matrices(table, replace(PLAIN, rotate=20, scale=(0.5, 2.0)), 48)[:, :, :2]
    scales = np.sqrt(np.linalg.det(linear))
    angles = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert (scales.min(), scales.max()) == pytest.approx((0.5, 2.0), rel=0.03)
    assert (angles.min(), angles.max()) == pytest.approx((-20, 20), abs=0.5)
    assert np.median(scales) == pytest.approx(1.0, abs=0.1)  # even in the logarithm


@pytest.mark.parametrize("brightness", [0.0, 0.25, 0.9])
def test_a_brighter_grey_never_becomes_the_darker(brightness: float) -> None:
    tables = tone_tables(draws(0, 0, 100), replace(PLAIN, brightness=brightness))
    assert tables.shape == (100, 256)
    assert tables.dtype == np.uint8
    assert (np.diff(tables.astype(int), axis=1) >= 0).all()
    assert np.array_equal(tables, np.tile(np.arange(256), (100, 1))) == (brightness == 0.0)


@pytest.mark.parametrize(
    ("choice", "column"),
    [("blur", Draw.BLUR), ("shrink", Draw.SHRINK), ("jpeg", Draw.JPEG), ("random_erasing", Draw.ERASE)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_share_of_images_is_augmented(choice: str, column: Draw, channels: int) -> None:
    crops, table = noise(count=60, channels=channels), draws(0, 0, 60)
    out = augment(crops, table, replace(PLAIN, **{choice: 0.3}))
    changed = (out != crops).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, table[:, column] < 0.3)


def test_erasing_covers_3_to_20_per_cent_with_one_grey() -> None:
    crops = noise(count=60)
    out = augment(crops, draws(0, 0, 60), replace(PLAIN, random_erasing=1))
    for before, after in zip(crops, out, strict=True):
        down, across = np.nonzero((before != after)[:, :, 0])
        block = after[down.min() : down.max() + 1, across.min() : across.max() + 1]
        assert len(np.unique(block)) == 1
        assert 0.02 <= block.size / before.size <= 0.21
