from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data.dataset import Dataset, Truth
from mien.training.config import PLAIN, Augmentation, TrainingConfig
from mien.training.tasks.classification.batches import Batches, mixed_crops, mixed_targets

if TYPE_CHECKING:
    from mien.training.engine.steps import Batch

MIXED = Augmentation(mixup=0.4, mixup_share=1.0)


def numbered(count: int) -> Dataset:
    """Face crops that carry their row's number in every pixel; its last digit is the label."""
    crops = np.repeat(np.arange(count, dtype=np.uint8), 64).reshape(count, 8, 8, 1)
    targets = np.eye(10, dtype=np.float32)[np.arange(count) % 10]
    weights = (np.arange(count) % 3 > 0).astype(np.float32)
    truths = (
        Truth("own", tuple("0123456789"), targets, np.ones(count, np.float32), np.ones(count, np.bool_)),
        Truth("votes", tuple("abcdefghij"), targets[:, ::-1].copy(), weights, weights > 0),
    )
    names = np.array([str(row) for row in range(count)])
    return Dataset("numbered", crops, truths, np.full(count, "Training"), names, "0" * 64)


def config(batch: int, augmentation: Augmentation = PLAIN, seed: int = 0) -> TrainingConfig:
    return TrainingConfig(batch=batch, seed=seed, augmentation=augmentation)


def rows_of(batch: Batch) -> list[int]:
    return batch.crops[:, 0, 0, 0].tolist()


def assert_same(one: Batch, other: Batch) -> None:
    np.testing.assert_array_equal(one.crops, other.crops)
    for head in ("own", "votes"):
        np.testing.assert_array_equal(one.targets[head], other.targets[head])
        np.testing.assert_array_equal(one.weights[head], other.weights[head])


@pytest.mark.parametrize(
    ("count", "batch", "steps", "seen"), [(100, 32, 3, 96), (96, 32, 3, 96), (20, 32, 1, 20), (5, 1, 5, 5)]
)
def test_a_row_comes_at_most_once_an_epoch(count: int, batch: int, steps: int, seen: int) -> None:
    batches = Batches(numbered(count), config(batch))
    assert batches.steps() == steps
    parts = list(batches.epoch(0))
    assert len(parts) == steps
    rows = [row for part in parts for row in rows_of(part)]
    assert len(rows) == len(set(rows)) == seen


def test_targets_and_weights_stay_with_their_crops() -> None:
    data = numbered(100)
    for part in Batches(data, config(32)).epoch(3):
        rows = rows_of(part)
        for truth in data.truths:
            np.testing.assert_array_equal(part.targets[truth.head], truth.targets[rows])
            np.testing.assert_array_equal(part.weights[truth.head], truth.weights[rows])


def test_an_epoch_of_several_passes_is_that_many_epochs_of_one() -> None:
    twice = Batches(numbered(100), replace(config(32, MIXED), repeats=2))
    once = Batches(numbered(100), config(32, MIXED))
    assert twice.steps() == 6
    apart = [*once.epoch(4), *once.epoch(5)]
    for one, other in zip(twice.epoch(2), apart, strict=True):
        assert_same(one, other)
    for one, other in zip(twice.epoch(2, first=4), apart[4:], strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("augmentation", [PLAIN, Augmentation(), MIXED], ids=["plain", "default", "mixed"])
def test_an_epoch_is_the_same_whenever_it_is_made(augmentation: Augmentation) -> None:
    batches = Batches(numbered(100), config(16, augmentation))
    first = list(batches.epoch(2))
    list(batches.epoch(0))
    for one, other in zip(first, batches.epoch(2), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)])
def test_another_seed_or_epoch_is_another_order(seed: int, epoch: int) -> None:
    first = [rows_of(part) for part in Batches(numbered(100), config(16)).epoch(0)]
    assert [rows_of(part) for part in Batches(numbered(100), config(16, seed=seed)).epoch(epoch)] != first


def test_a_batch_made_ahead_is_not_changed_by_a_slow_reader() -> None:
    """Each is read only when the next one has been asked for, and compared with a fresh one."""
    held = list(Batches(numbered(100), config(16, Augmentation())).epoch(0))
    for number, batch in enumerate(Batches(numbered(100), config(16, Augmentation())).epoch(0)):
        assert_same(batch, held[number])


def test_an_epoch_may_be_left_early() -> None:
    batches = Batches(numbered(100), config(16))
    epoch = batches.epoch(0)
    first = next(epoch)
    epoch.close()
    assert_same(first, next(batches.epoch(0)))


def test_mixed_targets_are_distributions_and_weights_means() -> None:
    data = numbered(99)
    for part in Batches(data, config(33, MIXED)).epoch(0):
        for head, targets in part.targets.items():
            np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
            assert targets.dtype == part.weights[head].dtype == np.float32
        assert (part.targets["own"] > 0).sum(axis=1).max() == 2
        np.testing.assert_allclose(part.weights["own"], 1, atol=1e-6)
        assert 0 < part.weights["votes"].min() + part.weights["votes"].max() <= 1 + 1e-6


def test_the_fine_tune_phase_has_no_mixup() -> None:
    chosen = replace(config(32, MIXED), epochs=10, fine_tune_epochs=4)
    for part in Batches(numbered(96), chosen).epoch(6):
        assert (part.targets["own"] > 0).sum(axis=1).max() == 1


@pytest.mark.parametrize(
    ("weights", "mixed", "total"),
    [
        ((1, 1), [[0.75, 0.25], [0.25, 0.75]], (1, 1)),
        ((1, 0), [[1, 0], [1, 0]], (0.75, 0.25)),
        ((0, 1), [[0, 1], [0, 1]], (0.25, 0.75)),
        ((0, 0), [[1, 0], [0, 1]], (0, 0)),
        ((1, 3), [[0.5, 0.5], [0.1, 0.9]], (1.5, 2.5)),
    ],
)
def test_a_row_of_weight_0_adds_nothing(
    weights: tuple[int, int], mixed: list[list[float]], total: tuple[float, float]
) -> None:
    targets, weight = mixed_targets(np.eye(2, dtype=np.float32), np.array(weights, np.float32), share=0.75)
    np.testing.assert_allclose(targets, mixed)
    np.testing.assert_allclose(weight, total)


def test_mixed_crops_blend_from_both_ends_to_the_nearest_grey() -> None:
    crops = np.array([0, 101, 200], np.uint8).reshape(3, 1, 1, 1)
    assert mixed_crops(crops, share=0.75).ravel().tolist() == [50, 101, 150]
