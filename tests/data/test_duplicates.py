"""Copies: what is found however it was changed, what is not, and no face taken for another."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage.data import lfw_subset

from mien.data.duplicates import DUPLICATE_SIMILARITY, find_duplicates, fingerprints, group_duplicates
from mien.errors import ImageError, UsageError


@pytest.fixture(scope="module")
def faces():
    """A hundred faces of different people: uint8 (100, 25, 25, 1)."""
    return np.rint(lfw_subset()[:100, ..., None] * 255).astype(np.uint8)


def resized(crops, size, channels=1):
    images = [np.asarray(Image.fromarray(crop[..., 0]).resize((size, size))) for crop in crops]
    return np.repeat(np.stack(images)[..., None], channels, axis=3)


def as_jpeg(crops, quality):
    images = []
    for crop in crops:
        file = io.BytesIO()
        Image.fromarray(crop.squeeze()).save(file, "JPEG", quality=quality)
        images.append(np.asarray(Image.open(file)).reshape(crop.shape))
    return np.stack(images)


def linear(crops, gain, lift):
    return (crops * np.float64(gain) + lift).clip(0, 255).astype(np.uint8)


def noisy(crops, spread):
    return (crops + np.random.default_rng(0).normal(0, spread, crops.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda crops: crops.copy(), id="same"),
        pytest.param(lambda crops: as_jpeg(crops, 75), id="jpeg 75"),
        pytest.param(lambda crops: as_jpeg(crops, 40), id="jpeg 40"),
        pytest.param(lambda crops: linear(crops, 1, 30), id="brighter"),
        pytest.param(lambda crops: linear(crops, 0.5, 30), id="less contrast"),
        pytest.param(lambda crops: (255 * (crops / 255) ** 0.6).astype(np.uint8), id="gamma"),
        pytest.param(lambda crops: noisy(crops, 5), id="noise"),
        pytest.param(lambda crops: crops[:, :, ::-1], id="mirrored"),
        pytest.param(lambda crops: as_jpeg(crops[:, :, ::-1], 75), id="mirrored jpeg"),
    ],
)
def test_a_changed_copy_is_found(faces, change):
    found = find_duplicates(change(faces), faces)
    assert found.found.mean() >= 0.99
    assert (found.nearest[found.found] == np.flatnonzero(found.found)).all()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda crops: 255 - crops, id="negative"),
        pytest.param(lambda crops: np.roll(crops, 3, axis=2), id="another crop"),
        pytest.param(lambda crops: crops[:, ::-1], id="upside down"),
    ],
)
def test_what_is_beyond_the_method(faces, change):
    assert find_duplicates(change(faces), faces).found.mean() <= 0.01


def test_no_face_is_taken_for_another(faces):
    assert not find_duplicates(faces[:50], faces[50:]).found.any()
    assert (group_duplicates(faces).group == np.arange(100)).all()


def test_exact_and_mirrored_are_told_apart(faces):
    found = find_duplicates(
        np.concatenate([faces[:1], faces[1:2, :, ::-1], linear(faces[2:3], 0.8, 9), 255 - faces[3:4]]), faces
    )
    assert found.found.tolist() == [True, True, True, False]
    assert found.exact.tolist() == [True, False, False, False]
    assert found.mirrored[:3].tolist() == [False, True, False]
    assert found.score[0] == 1
    assert (found.score[1:] < 1).all()
    assert (found.score.dtype, found.nearest.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("size", [16, 24, 25, 48, 100])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_colour(faces, size, channels):
    crops = resized(faces[:20], size, channels)
    found = find_duplicates(as_jpeg(crops, 60), crops)
    assert found.found.all()
    assert found.nearest.tolist() == list(range(20))


def test_sizes_and_colours_may_differ(faces):
    found = find_duplicates(resized(faces[:20], 48, 3), resized(faces, 64))
    assert found.found.all()
    assert not found.exact.any()
    assert found.nearest.tolist() == list(range(20))


def test_blank_images_are_like_no_other_but_the_same(faces):
    black, grey = np.zeros_like(faces[:1]), np.full_like(faces[:1], 128)
    found = find_duplicates(np.concatenate([black, grey]), np.concatenate([faces, black]))
    assert found.found.tolist() == [True, False]
    assert found.nearest[0] == 100
    assert (fingerprints(grey) == 0).all()


@pytest.mark.parametrize("order", [(0, 50), (50, 0)])
def test_none_among_none(faces, order):
    found = find_duplicates(faces[: order[0]], faces[: order[1]])
    assert len(found.found) == order[0]
    assert not found.found.any()
    assert (found.nearest == -1).all()


def test_other_arrays_are_refused():
    with pytest.raises(ImageError, match="expected face crops"):
        find_duplicates(np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 1), np.uint8))


def test_drawings_can_ask_for_more_likeness(faces):
    rough = as_jpeg(faces, 20)
    assert find_duplicates(rough, faces, similarity=0.9).found.all()
    assert not find_duplicates(rough, faces, similarity=0.999).found.any()
    assert len(set(group_duplicates(np.concatenate([faces, rough]), similarity=0.9).group)) == 100
    assert len(set(group_duplicates(np.concatenate([faces, rough]), similarity=0.999).group)) == 200


@pytest.mark.parametrize("alike", [0.4, 1.01, float("nan")])
@pytest.mark.parametrize(
    "find",
    [
        lambda crops, alike: find_duplicates(crops, crops, similarity=alike),
        lambda crops, alike: group_duplicates(crops, similarity=alike),
    ],
)
def test_a_similarity_that_tells_nothing_is_refused(faces, find, alike):
    with pytest.raises(UsageError, match=r"from 0\.5 to 1"):
        find(faces, alike)


def test_fingerprints_don_t_change_with_brightness_and_contrast(faces):
    darker = fingerprints((faces // 2).astype(np.uint8))
    assert ((fingerprints(faces) * darker).sum(axis=1) > 0.999).all()
    assert np.allclose(np.linalg.norm(darker, axis=1), 1, atol=1e-5)


def test_groups_over_several_blocks():
    crops = np.random.default_rng(0).integers(0, 256, (4200, 8, 8, 1)).astype(np.uint8)
    crops[4100], crops[2100], crops[4199] = crops[7], crops[7, :, ::-1], linear(crops[2090], 0.9, 5)
    found = group_duplicates(crops)
    assert np.flatnonzero(found.group != np.arange(4200)).tolist() == [2100, 4100, 4199]
    assert found.group[[2100, 4100, 4199]].tolist() == [7, 7, 2090]
    assert found.score[[7, 4100]].tolist() == [1, 1]
    assert found.mirrored[2100]
    assert DUPLICATE_SIMILARITY <= found.score[4199] < 1


def test_copies_of_copies_are_one_group(faces):
    steps = np.linspace(0, 1, 12)[:, None, None, None]
    morph = np.rint((1 - steps) * faces[:1] + steps * faces[1:2]).astype(np.uint8)
    assert not find_duplicates(morph[:1], morph[-1:]).found.any()
    assert set(group_duplicates(morph[::-1]).group) == {0}


@pytest.mark.parametrize(
    "find", [lambda crops, tell: find_duplicates(crops, crops, tell), group_duplicates], ids=["find", "group"]
)
def test_progress_ends_at_one(faces, find):
    told = []
    find(faces, told.append)
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.shared
def test_the_copies_between_the_splits_of_fer2013(real_data):
    training, public = real_data.split("Training"), real_data.split("PublicTest")
    pixels = {crop.tobytes() for crop in training.crops}
    same = np.array([crop.tobytes() in pixels for crop in public.crops])
    found = find_duplicates(public.crops, training.crops)
    assert same.sum() == 280
    assert (found.exact == same).all()
    assert 500 <= found.found.sum() <= 520
    # the fingerprints alone find them, too, but the blank one
    likeness = (fingerprints(public.crops[same]) * fingerprints(training.crops[found.nearest[same]])).sum(axis=1)
    assert (likeness >= DUPLICATE_SIMILARITY).sum() >= 0.95 * 280
