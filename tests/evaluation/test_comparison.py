"""Figures of paired comparisons, against scipy's; and which models may be compared at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_predictions import predictions_from, random_predictions
from scipy import stats

from mien.emotions import FER2013
from mien.errors import UsageError
from mien.evaluation.comparison import compare, difference_interval, mcnemar


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (1, 0), (0, 6), (5, 5), (4, 9), (30, 12), (180, 240), (1200, 900), (0, 1500)]
)
def test_mcnemar_is_scipy_s_binomial_test(first, second):
    expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert mcnemar(first, second) == mcnemar(second, first)


@pytest.mark.parametrize(("first", "second", "n"), [(30, 60, 500), (4, 9, 100), (240, 180, 3589)])
def test_the_interval_is_that_of_scipy_s_paired_bootstrap(first, second, n):
    gains = np.repeat([-1.0, 1.0, 0.0], [first, second, n - first - second])
    reference = stats.bootstrap(
        (gains,), np.mean, n_resamples=4000, batch=200, method="percentile", rng=np.random.default_rng(1)
    )
    # both are drawn by chance: a tenth of the interval's width is several of its own standard errors
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert difference_interval(first, second, n) == pytest.approx(tuple(reference.confidence_interval), abs=width / 10)


def test_the_interval_is_the_same_each_time():
    assert difference_interval(30, 60, 500) == difference_interval(30, 60, 500)


def test_models_that_never_differ_have_no_interval():
    assert difference_interval(0, 0, 10) == (0.0, 0.0)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_counts_that_don_t_fit_are_refused(counts):
    with pytest.raises(UsageError, match="within n rows; received"):
        difference_interval(*counts)


def test_mcnemar_refuses_less_than_nothing():
    with pytest.raises(UsageError, match="0 or more; received -1 and 2"):
        mcnemar(-1, 2)


ROWS = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.8, 0.2]], np.float32)
TRUTH = np.array([0, 0, 0, 1, 1])


def test_a_pair_is_counted_row_by_row():
    other = ROWS.copy()
    other[[1, 2, 4]] = other[[1, 2, 4], ::-1]  # now wrong, right, right
    first, second = (
        predictions_from(rows, TRUTH, name, ("happy", "sad")) for rows, name in ((ROWS, "a"), (other, "b"))
    )
    comparison = compare([first, second])
    (pair,) = comparison.pairs
    assert (comparison.baseline, comparison.n, pair.model) == ("a", 5, "b")
    assert (pair.both, pair.baseline_only, pair.model_only) == (2, 1, 2)
    assert (pair.accuracy, pair.agreement, pair.p) == (pytest.approx(0.2), 0.4, 1.0)
    assert pair.macro_f1 == second.metrics.macro_f1 - first.metrics.macro_f1


def test_labels_may_stand_in_another_order():
    first = predictions_from(ROWS, TRUTH, "a", ("happy", "sad"))
    turned = predictions_from(ROWS[:, ::-1], 1 - TRUTH, "b", ("sad", "happy"))
    (pair,) = compare([first, turned]).pairs
    assert (pair.agreement, pair.both, pair.accuracy) == (1.0, 3, 0.0)


def test_a_face_that_both_miss_is_agreed_on_and_wrong():
    missed = np.array([True, True, True, True, False])
    models = [predictions_from(ROWS, TRUTH, name, ("happy", "sad"), found=missed) for name in "ab"]
    (pair,) = compare(models).pairs
    assert (pair.agreement, pair.both) == (1.0, 3)


def test_a_better_model_is_told_from_a_worse_one():
    comparison = compare(
        [
            random_predictions("worse", right=0.4),
            random_predictions("better", right=0.9),
            random_predictions("same", right=0.4),
        ]
    )
    better, same = comparison.pairs
    assert better.interval[0] > 0
    assert better.p < 0.001
    assert same.interval[0] < 0 < same.interval[1]
    assert same.p > 0.05


def test_json_tells_every_figure():
    values = json.loads(json.dumps(compare([random_predictions("a"), random_predictions("b")]).to_dict()))
    assert {"baseline", "n", "test", "interval", "pairs"} == set(values)
    (pair,) = values["pairs"]
    assert pair["model"] == "b"
    assert pair["accuracy_difference_interval"][0] <= pair["accuracy_difference"]
    assert pair["both_right"] + pair["only_baseline_right"] + pair["only_model_right"] <= values["n"] == 200
    assert {"p", "agreement", "macro_f1_difference"} <= set(pair)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([random_predictions("a")], r"two or more models .* received \['a'\]"),
        ([random_predictions("a"), random_predictions("a")], "different names"),
        ([random_predictions("a"), random_predictions("b", FER2013[:6])], r"same labels.*--head"),
        ([random_predictions("a"), random_predictions("b", rows=100)], "same rows; 'a' and 'b' were not"),
        ([predictions_from(ROWS, TRUTH, "a", "xy"), predictions_from(ROWS, 1 - TRUTH, "b", "xy")], "same rows"),
    ],
)
def test_what_can_t_be_compared_is_refused(models, words):
    with pytest.raises(UsageError, match=words):
        compare(models)
