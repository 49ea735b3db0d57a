from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data.dataset import Dataset, one_hot
from mien.data.splits import HELD_OUT, training_and_validation
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence


def made(answers: Sequence[int], splits: Sequence[str] | None = None, images: Sequence[int] | None = None) -> Dataset:
    """Rows with these labels; ``images`` numbers the different images, by default all are."""
    numbers = np.arange(len(answers)) if images is None else np.array(images)
    crops = np.zeros((len(answers), 8, 8, 1), np.uint8)
    crops[:, 0, 0, 0], crops[:, 0, 1, 0] = numbers % 256, numbers // 256
    labels = tuple(str(label) for label in range(max(answers) + 1))
    return Dataset(
        name="made",
        crops=crops,
        truths=(one_hot("classes", labels, np.array(answers)),),
        splits=np.array(["Training"] * len(answers) if splits is None else splits),
        rows=np.array([str(row) for row in range(len(answers))]),
        digest="0" * 64,
    )


def counts(data: Dataset) -> list[int]:
    return np.bincount(data.truths[0].class_ids, minlength=len(data.truths[0].labels)).tolist()


@pytest.mark.parametrize(
    ("answers", "share", "held"),
    [
        ([0] * 50 + [1] * 50, 0.1, [5, 5]),
        ([0] * 900 + [1] * 90 + [2] * 10, 0.1, [90, 9, 1]),
        ([0] * 900 + [1] * 4 + [2] * 2, 0.1, [90, 1, 1]),
        ([0] * 19 + [1], 0.1, [2, 0]),
        ([0] * 20 + [1] * 10, 0.5, [10, 5]),
        ([0] * 20 + [1] * 10, 0.95, [19, 9]),
    ],
)
def test_the_same_share_of_every_label_is_held_out(answers, share, held):
    data = made(np.random.default_rng(0).permutation(answers).tolist())
    learnt, validation = training_and_validation(data, share=share)
    assert counts(validation) == held
    assert sorted([*learnt.rows, *validation.rows], key=int) == data.rows.tolist()


def test_rows_keep_their_order():
    for part in training_and_validation(made([0, 1] * 50)):
        assert part.rows.tolist() == sorted(part.rows.tolist(), key=int)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_pixels_never_lie_on_both_sides(seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, 120)
    data = made(random.integers(0, 4, 120).tolist(), images=images.tolist())
    learnt, validation = training_and_validation(data, seed, share=0.3)
    sides = [{crop.tobytes() for crop in part.crops} for part in (learnt, validation)]
    assert not sides[0] & sides[1]
    assert len(validation) > 20


def test_one_image_many_times_is_learnt_from_and_not_chosen_on():
    data = made([0] * 30, images=[0] * 20 + list(range(1, 11)))
    learnt, validation = training_and_validation(data)
    assert (len(learnt), len(validation)) == (27, 3)


def test_the_seed_settles_it():
    data = made([0, 1] * 100)
    first, again, other = (training_and_validation(data, seed)[1].rows.tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_splits_of_the_data_are_kept():
    splits = ["Training"] * 12 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    learnt, validation = training_and_validation(made([0, 1] * 10, splits))
    assert (learnt.split_names(), validation.split_names()) == (("Training",), ("PublicTest",))
    assert (len(learnt), len(validation)) == (12, 4)


@pytest.mark.parametrize("names", [("Training", "PrivateTest"), ("Training", "mine")])
def test_private_and_foreign_splits_are_never_held_out_of(names):
    learnt, validation = training_and_validation(made([0, 1] * 20, [names[0]] * 30 + [names[1]] * 10))
    assert (learnt.split_names(), validation.split_names()) == ((names[0],), (HELD_OUT,))
    assert len(learnt) + len(validation) == 30


@pytest.mark.parametrize("names", [("mine", "PrivateTest"), ("PublicTest", "PublicTest"), ("TrainVal", "mine")])
def test_without_training_rows_nothing_is_trained_on(names):
    with pytest.raises(DatasetError, match=rf"split Training in made; received '{names[0]}' \("):
        training_and_validation(made([0, 1] * 20, [names[0]] * 30 + [names[1]] * 10))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(DatasetError, match="between 0 and 1"):
        training_and_validation(made([0, 1] * 20), share=share)


@pytest.mark.parametrize(
    ("data", "word"),
    [(made([0] * 9), "at least 10"), (made([0] * 10, images=[0] * 10), "two different images")],
)
def test_too_little_to_learn_from_is_refused(data, word):
    with pytest.raises(DatasetError, match=word):
        training_and_validation(data)


@pytest.mark.shared
def test_fer2013_without_its_splits_is_held_out_by_label(real_data):
    data = real_data.split("Training")
    learnt, validation = training_and_validation(data, share=0.1)
    np.testing.assert_allclose(counts(validation), np.array(counts(data)) / 10, atol=5)  # copies under two labels
    assert not {crop.tobytes() for crop in learnt.crops} & {crop.tobytes() for crop in validation.crops}
