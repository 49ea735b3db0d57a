"""Folds: each row in one, copies together, labels even, and the same ones every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.data.cache import folder
from mien.data.dataset import TRAINING, Dataset, one_hot
from mien.data.splits import Fold, digest_without_fold, fold_of_rows, parse_fold, without_fold
from mien.errors import DatasetError, UsageError

LABELS = ("a", "b", "c")


def noise(count: int, copied: int = 0) -> Dataset:
    """Noise under three labels, 3 to 2 to 1; the last ``copied`` rows are copies of the first, every other mirrored."""
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (count, 12, 12, 1)).astype(np.uint8)
    for row in range(copied):
        crops[count - 1 - row] = crops[row, :, :: -1 if row % 2 else 1] // 2
    answers = np.array([0, 0, 0, 1, 1, 2])[np.arange(count) % 6]
    truth = one_hot("classes", LABELS, random.permutation(answers))
    rows = np.array([str(row) for row in range(count)])
    return Dataset("noise", crops, (truth,), np.full(count, TRAINING), rows, "d" * 64)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_labels_are_even_in_all_folds(count: int) -> None:
    data = noise(240)
    folds, answers = fold_of_rows(data, count), data.truths[0].class_ids
    assert (folds.dtype, folds.shape) == (np.int64, (240,))
    held = np.array([np.bincount(answers[folds == number], minlength=3) for number in range(count)])
    assert (np.ptp(held, axis=0) <= 1).all()
    assert np.ptp(held.sum(axis=1)) <= 1


def test_copies_stay_together() -> None:
    data = noise(240, copied=60)
    folds = fold_of_rows(data, 5)
    assert (folds[:60] == folds[::-1][:60]).all()
    assert np.ptp(np.bincount(folds, minlength=5)) <= 2


def test_folds_part_the_rows() -> None:
    data = noise(60)
    parts = [without_fold(data, Fold(number, 4)) for number in range(4)]
    left_out = [set(data.rows.tolist()) - set(part.rows.tolist()) for part in parts]
    assert sorted(row for rows in left_out for row in rows) == sorted(data.rows.tolist())


def test_the_digest_tells_the_fold() -> None:
    data = noise(60)
    folds = [Fold(0, 2), Fold(1, 2), Fold(0, 3)]
    told = [without_fold(data, fold).digest for fold in folds]
    assert told == [digest_without_fold(data.digest, fold) for fold in folds]
    assert len({*told, data.digest}) == 4


def test_the_copies_are_looked_for_once() -> None:
    data, told = noise(60, copied=20), []
    first = fold_of_rows(data, 3, told.append)
    assert told
    told.clear()
    assert (fold_of_rows(replace(data, digest="other"), 3, told.append) == first).all()
    assert not told
    for file in folder().iterdir():
        file.write_bytes(b"torn")
    assert (fold_of_rows(data, 3, told.append) == first).all()
    assert told


def test_copies_of_one_image_fill_no_folds() -> None:
    data = noise(12)
    same = replace(data, crops=np.repeat(data.crops[:1], 12, axis=0))
    with pytest.raises(DatasetError, match="rows of 1 distinct images"):
        fold_of_rows(same, 2)


def test_a_fold_is_read_as_it_is_written() -> None:
    assert parse_fold("2/5") == Fold(2, 5)
    assert str(Fold(2, 5)) == "2/5"


@pytest.mark.parametrize(
    "text", ["", "5", "5/5", "-1/5", "0/1", "0/0", "0/101", "1.0/5", "a/b", "1/5/9", "1 / 5", "²/5"]
)
def test_what_is_no_fold_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a fold as K/N"):
        parse_fold(text)
