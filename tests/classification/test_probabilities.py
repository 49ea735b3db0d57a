import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mien.classification.probabilities import geometric_mean, reorder, softmax
from mien.emotions import FER2013, FERPLUS
from mien.errors import UsageError

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
LOGITS = arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def distributions(rows=20, labels=8, seed=0, alpha=0.3):
    return np.random.default_rng(seed).dirichlet(np.full(labels, alpha), rows).astype(np.float32)


def assert_distribution(rows):
    assert rows.dtype == np.float32
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)


@given(LOGITS, st.floats(0.05, 20))
def test_softmax_of_any_finite_logits_sums_to_one(logits, temperature):
    assert_distribution(softmax(logits, temperature))


@given(LOGITS, st.floats(0.05, 20))
def test_a_temperature_never_lowers_the_best_logit_below_another(logits, temperature):
    rows = softmax(logits, temperature)
    best = rows[np.arange(len(rows)), logits.argmax(axis=1)]
    np.testing.assert_array_equal(best, rows.max(axis=1))


def test_softmax_by_hand():
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(softmax(np.log([[1.0, 9.0]]), 2.0), [[0.25, 0.75]], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_softmax_refuses_a_temperature_that_divides_nothing(temperature):
    with pytest.raises(UsageError, match="temperature above 0"):
        softmax(np.zeros((1, 2)), temperature)


@pytest.mark.parametrize("logits", [np.zeros(3), np.zeros((2, 0)), np.array([[0.0, np.nan]]), np.array([[np.inf, 0]])])
def test_softmax_refuses_other_shapes_and_values_that_are_not_finite(logits):
    with pytest.raises(UsageError, match="finite logits"):
        softmax(logits)


def test_empty_input_gives_empty_output():
    none = np.zeros((0, 7), np.float32)
    assert softmax(none).shape == (0, 7)
    assert geometric_mean([(none, 0.5), (none, 0.5)]).shape == (0, 7)
    assert reorder(none, FER2013, FER2013[:3]).shape == (0, 3)


def test_a_single_head_is_returned_unchanged():
    rows = distributions()
    np.testing.assert_allclose(geometric_mean([(rows, 0.3)]), rows, atol=1e-6)


def test_geometric_mean_by_hand():
    first, second = np.array([[0.5, 0.5]], np.float32), np.array([[0.1, 0.9]], np.float32)
    blended = geometric_mean([(first, 0.5), (second, 0.5)])
    np.testing.assert_allclose(blended, [[0.25, 0.75]], rtol=1e-6)  # sqrt(.05) : sqrt(.45) = 1 : 3


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.01, 10), min_size=1, max_size=4), st.floats(0.2, 5))
def test_geometric_mean_sums_to_one_in_any_order_of_heads(seed, weights, temperature):
    parts = [(distributions(seed=seed + at, alpha=0.02), weight) for at, weight in enumerate(weights)]
    blended = geometric_mean(parts, temperature)
    assert_distribution(blended)
    np.testing.assert_allclose(geometric_mean(parts[::-1], temperature), blended, atol=1e-5)


def test_a_head_of_weight_zero_has_no_influence():
    rows, other = distributions(), np.eye(8, dtype=np.float32)[np.zeros(20, int)]
    np.testing.assert_allclose(geometric_mean([(rows, 1.0), (other, 0.0)]), rows, atol=1e-6)


def test_heads_that_exclude_each_other_still_give_a_distribution():
    first, second = np.array([[1, 0, 0]], np.float32), np.array([[0, 1, 0]], np.float32)
    np.testing.assert_allclose(geometric_mean([(first, 0.5), (second, 0.5)]), [[0.5, 0.5, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "same rows and labels"),
        ([(distributions(labels=7), 0.5), (distributions(labels=8), 0.5)], "same rows and labels"),
        ([(distributions(), 0.0)], "weights"),
        ([(distributions(), 1.5), (distributions(), -0.5)], "weights"),
        ([(distributions(), float("nan"))], "weights"),
    ],
)
def test_geometric_mean_refuses(parts, message):
    with pytest.raises(UsageError, match=message):
        geometric_mean(parts)


def test_reorder_picks_by_name_and_renormalises():
    rows = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
    np.testing.assert_allclose(reorder(rows, "abcd", "db"), [[2 / 3, 1 / 3]], rtol=1e-6)


def test_reorder_there_and_back():
    rows = distributions(labels=8)
    there = reorder(rows, FERPLUS, sorted(FERPLUS))
    np.testing.assert_allclose(reorder(there, sorted(FERPLUS), FERPLUS), rows, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_reorder_keeps_the_order_of_what_it_keeps(seed):
    rows = distributions(seed=seed, alpha=0.02)
    picked = reorder(rows, FERPLUS, FER2013)
    assert_distribution(picked)
    before = rows[:, [FERPLUS.index(label) for label in FER2013]]
    np.testing.assert_array_equal(picked.argmax(axis=1), before.argmax(axis=1))


def test_a_row_all_for_dropped_labels_becomes_uniform():
    rows = np.array([[0.0, 0.0, 1.0]], np.float32)
    np.testing.assert_array_equal(reorder(rows, "abc", "ab"), [[0.5, 0.5]])


@pytest.mark.parametrize(("from_labels", "to_labels"), [("abc", "abx"), ("abc", ""), ("ab", "a"), ("abcd", "a")])
def test_reorder_refuses_labels_that_are_not_there(from_labels, to_labels):
    with pytest.raises(UsageError, match="expected"):
        reorder(distributions(labels=3), from_labels, to_labels)


def test_offsets_raise_the_probability_of_rare_labels():
    rows = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], np.float32)
    shares = np.array([0.5, 0.3, 0.2])
    even = geometric_mean([(rows, 1.0)], offsets=-np.log(shares))
    np.testing.assert_allclose(even[0], [1 / 3] * 3, atol=1e-6)
    np.testing.assert_allclose(even[1], rows[1] / shares / (rows[1] / shares).sum(), atol=1e-6)
