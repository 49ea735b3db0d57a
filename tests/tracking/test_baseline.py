"""A baseline makes predictions relative to a face at rest."""

from __future__ import annotations

import pytest

from mien.errors import UsageError
from mien.structures import Box, Face, Prediction
from mien.tracking.baseline import Baseline, BaselineEstimator

LABELS = ("happy", "sad", "neutral")


def shows(*row, labels=LABELS):
    return Prediction(Face(Box(0, 0, 10, 10)), labels, row)


def baseline_of(*rows, seconds=1.0):
    estimator, baseline = BaselineEstimator(seconds), None
    for number, row in enumerate([*rows, rows[-1]]):
        baseline = estimator.add(shows(*row), number * seconds / len(rows))
    return baseline


def test_a_face_at_rest_reads_as_neutral_afterwards():
    baseline = baseline_of((0.05, 0.6, 0.35))
    at_rest = baseline.apply(shows(0.05, 0.6, 0.35))
    assert at_rest.emotion == "neutral"
    assert at_rest.probability == pytest.approx(0.8, abs=0.01)
    assert sum(at_rest.probabilities) == pytest.approx(1)


def test_a_clear_expression_stays_what_it_is():
    baseline = baseline_of((0.05, 0.6, 0.35))
    assert baseline.apply(shows(0.97, 0.02, 0.01)).emotion == "happy"
    assert baseline.apply(shows(0.001, 0.996, 0.003)).emotion == "sad"


def test_a_typical_face_is_corrected_by_nothing():
    baseline = baseline_of((0.1, 0.1, 0.8))
    row = (0.3, 0.5, 0.2)
    assert baseline.apply(shows(*row)).probabilities == pytest.approx(row, abs=1e-5)


def test_a_blink_does_not_count():
    steady = baseline_of(*[(0.05, 0.6, 0.35)] * 9)
    blinked = baseline_of(*[(0.05, 0.6, 0.35)] * 8, (0.0, 1.0, 0.0))
    assert blinked.logit_shift == pytest.approx(steady.logit_shift)


def test_no_expression_is_ruled_out():
    assert max(map(abs, baseline_of((0.0, 1.0, 0.0)).logit_shift)) <= 2.5


def test_there_is_none_before_the_time_is_over():
    estimator = BaselineEstimator(5.0)
    assert estimator.progress(3.0) == 0.0
    assert estimator.add(shows(0.1, 0.1, 0.8), 10.0) is None
    assert estimator.add(shows(0.1, 0.1, 0.8), 14.9) is None
    assert estimator.progress(12.5) == pytest.approx(0.5)
    assert estimator.add(shows(0.1, 0.1, 0.8), 15.0) is not None


def test_another_model_begins_anew_and_is_not_corrected():
    other = ("neutral", "happy")
    estimator = BaselineEstimator(1.0)
    estimator.add(shows(0.1, 0.1, 0.8), 0.0)
    assert estimator.add(shows(0.9, 0.1, labels=other), 2.0) is None
    prediction = shows(0.9, 0.1, labels=other)
    assert Baseline(LABELS, (1.0, 1.0, 1.0)).apply(prediction) is prediction


def test_a_model_without_a_neutral_face_has_no_baseline():
    with pytest.raises(UsageError, match="knows neutral"):
        BaselineEstimator().add(shows(0.5, 0.5, labels=("open", "shut")), 0.0)
