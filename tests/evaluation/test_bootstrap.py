"""The intervals are those of drawing the rows themselves, and agree with the formula where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import UsageError
from mien.evaluation.bootstrap import bootstrap
from mien.evaluation.metrics import compute_metrics

LABELS = ("a", "b", "rare")


def answered(n=400, seed=0):
    """Rows of three labels, the last of one in twenty, two thirds answered right, some without an answer."""
    dice = np.random.default_rng(seed)
    truth = dice.choice(3, n, p=(0.6, 0.35, 0.05))
    said = np.where(dice.random(n) < 0.66, truth, dice.integers(0, 3, n))
    return np.eye(3)[said], truth, dice.random(n) > 0.05


def test_the_intervals_are_those_of_rows_drawn_one_by_one():
    probabilities, truth, found = answered()
    dice = np.random.default_rng(1)
    scores = []
    for _ in range(600):
        rows = dice.integers(0, len(truth), len(truth))
        drawn = compute_metrics(probabilities[rows], truth[rows], LABELS, found[rows])
        scores.append((drawn.accuracy, drawn.macro_f1, drawn.balanced_accuracy))
    expected = np.quantile(scores, (0.025, 0.975), axis=0).T
    intervals = bootstrap(compute_metrics(probabilities, truth, LABELS, found))
    received = (intervals.accuracy, intervals.macro_f1, intervals.balanced_accuracy)
    np.testing.assert_allclose(received, expected, atol=0.012)


def test_that_of_the_accuracy_is_wilsons_where_rows_are_many():
    metrics = compute_metrics(*answered(3000)[:2], LABELS)
    np.testing.assert_allclose(bootstrap(metrics).accuracy, metrics.accuracy_interval, atol=0.003)


def test_a_rare_label_makes_the_mean_over_labels_less_certain_than_the_accuracy():
    intervals = bootstrap(compute_metrics(*answered()[:2], LABELS))
    wide = [high - low for low, high in (intervals.macro_f1, intervals.accuracy)]
    assert wide[0] > 1.2 * wide[1]


def test_what_is_all_right_stays_so():
    truth = np.arange(30) % 3
    intervals = bootstrap(compute_metrics(np.eye(3)[truth], truth, LABELS))
    assert intervals.accuracy == intervals.balanced_accuracy == (1.0, 1.0)


def test_no_resamples_are_refused():
    with pytest.raises(UsageError, match="at least one"):
        bootstrap(compute_metrics(*answered()[:2], LABELS), resamples=0)
