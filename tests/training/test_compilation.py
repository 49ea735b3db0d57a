from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from tasks_drawn import QUICK, drawn, drawn_with_votes, one_hot

from mien.training.config import TrainingConfig
from mien.training.engine.variables import to_arrays
from mien.training.tasks.classification.compilation import (
    AdjustedCrossentropy,
    build_compiled,
    class_balanced,
    class_shares,
)

if TYPE_CHECKING:
    from mien.data.dataset import Dataset

pytestmark = pytest.mark.train


def uneven() -> Dataset:
    """Rows of three classes of eight: 24, 6 and 2 of them."""
    data = drawn(each=4)
    answers = np.repeat([0, 3, 7], [24, 6, 2])
    return replace(data, truths=(replace(data.truths[0], targets=one_hot(answers, 8)),))


def test_shares_of_classes_count_rows_by_their_weights() -> None:
    truth = uneven().truths[0]
    assert class_shares(truth)[[0, 3, 7, 1]] == pytest.approx([24 / 32, 6 / 32, 2 / 32, 0.5 / 32])
    weights = np.where(truth.class_ids == 0, 0.25, 1.0).astype(np.float32)
    assert class_shares(replace(truth, weights=weights))[[0, 3, 7]] == pytest.approx([6 / 14, 6 / 14, 2 / 14])


def test_balanced_by_weights_every_class_counts_the_same_and_all_as_much_as_before() -> None:
    data = class_balanced(uneven(), TrainingConfig(balance="weights"))
    truth = data.truths[0]
    totals = truth.weights @ truth.targets
    assert totals[[0, 3, 7]] == pytest.approx([32 / 3] * 3, rel=1e-5)
    assert truth.weights.mean() == pytest.approx(1.0, rel=1e-6)
    assert truth.weights.dtype == np.float32


@pytest.mark.parametrize("balance", ["none", "logits"])
def test_other_balances_leave_the_rows_alone(balance: str) -> None:
    data = uneven()
    assert class_balanced(data, TrainingConfig(balance=balance)) is data


def test_the_votes_keep_their_weights() -> None:
    data = drawn_with_votes(each=8)
    changed = class_balanced(data, TrainingConfig(balance="weights"))
    assert changed.truths[1] is data.truths[1]
    assert not np.array_equal(changed.truths[0].weights, data.truths[0].weights)


def test_adjusted_logits_are_those_of_the_class_s_share_more() -> None:
    shares = np.array([0.7, 0.2, 0.1])
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    targets = one_hot(np.array([0, 1, 2, 1, 0]), 3)
    plain = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(plain(targets, logits + np.log(shares).astype(np.float32)))
    assert float(AdjustedCrossentropy(shares, 0.1)(targets, logits)) == pytest.approx(expected, rel=1e-5)


def test_an_untrained_network_favours_no_class() -> None:
    """At equal logits the loss pulls towards the shares only as far as they are not what is known anyway."""
    shares = np.array([0.9, 0.1])
    loss = AdjustedCrossentropy(shares, 0.0)
    rows = one_hot(np.array([0] * 9 + [1]), 2)
    at_zero = float(loss(rows, np.zeros((10, 2), np.float32)))
    for offset in (-0.2, 0.2):
        assert float(loss(rows, np.tile(np.array([[offset, 0.0]], np.float32), (10, 1)))) > at_zero


@pytest.mark.backend
@pytest.mark.parametrize(("seed", "same"), [(0, True), (1, False)])
def test_the_seed_makes_the_first_weights(seed: int, same: bool) -> None:
    data = drawn(each=2)
    first = to_arrays(build_compiled(data, QUICK).weights)
    second = to_arrays(build_compiled(data, replace(QUICK, seed=seed)).weights)
    assert all(np.array_equal(first[name], second[name]) for name in first) == same


@pytest.mark.backend
@pytest.mark.parametrize(
    ("optimizer", "precision", "kinds"),
    [
        ("sgd", "float32", {"iteration", "rate", "average", "momentum"}),
        ("adamw", "mixed_bfloat16", {"iteration", "rate", "average", "momentum", "velocity"}),
        ("sgd", "mixed_float16", {"counter", "scale", "iteration", "rate", "average", "momentum"}),
    ],
)
def test_all_that_an_optimizer_remembers_is_among_its_variables(
    optimizer: str, precision: str, kinds: set[str]
) -> None:
    model = build_compiled(drawn(each=2), replace(QUICK, optimizer=optimizer, precision=precision))
    names = to_arrays(model.optimizer.variables)
    assert {name.split()[1] for name in names} == kinds
    assert sum(name.endswith("average") for name in names) == len(model.trainable_variables)


@pytest.mark.backend
def test_frozen_layers_have_no_place_in_the_optimizer() -> None:
    def freeze(model: keras.Model) -> None:
        for layer in model.layers[:-1]:
            layer.trainable = False

    model = build_compiled(drawn(each=2), QUICK, freeze)
    assert len(model.trainable_variables) == 2
    assert len(model.optimizer.variables) == 2 + 2 * 2  # iteration and rate; an average and a momentum each
    assert list(to_arrays(model.weights)) == list(to_arrays(build_compiled(drawn(each=2), QUICK).weights))
