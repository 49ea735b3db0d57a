"""A baseline corrects what a model says of a face by what it said of it at rest."""

from __future__ import annotations

import pytest

from mien.errors import UsageError
from mien.live import Baseline, Neutral
from mien.structures import Box, Face, Prediction

LABELS = ("happy", "sad", "neutral")


def shows(*row, labels=LABELS):
    return Prediction(Face(Box(0, 0, 10, 10)), labels, row)


def taken(*rows, seconds=1.0):
    baseline, neutral = Baseline(seconds), None
    for number, row in enumerate([*rows, rows[-1]]):
        neutral = baseline.see(shows(*row), number * seconds / len(rows))
    return neutral


def test_a_face_at_rest_reads_as_neutral_afterwards():
    neutral = taken((0.05, 0.6, 0.35))
    at_rest = neutral.corrected(shows(0.05, 0.6, 0.35))
    assert at_rest.emotion == "neutral"
    assert at_rest.probability == pytest.approx(0.8, abs=0.01)
    assert sum(at_rest.probabilities) == pytest.approx(1)


def test_a_clear_expression_stays_what_it_is():
    neutral = taken((0.05, 0.6, 0.35))
    assert neutral.corrected(shows(0.97, 0.02, 0.01)).emotion == "happy"
    assert neutral.corrected(shows(0.001, 0.996, 0.003)).emotion == "sad"


def test_a_typical_face_is_corrected_by_nothing():
    neutral = taken((0.1, 0.1, 0.8))
    row = (0.3, 0.5, 0.2)
    assert neutral.corrected(shows(*row)).probabilities == pytest.approx(row, abs=1e-5)


def test_a_blink_does_not_count():
    steady = taken(*[(0.05, 0.6, 0.35)] * 9)
    blinked = taken(*[(0.05, 0.6, 0.35)] * 8, (0.0, 1.0, 0.0))
    assert blinked.shift == pytest.approx(steady.shift)


def test_no_expression_is_ruled_out():
    assert max(map(abs, taken((0.0, 1.0, 0.0)).shift)) <= 2.5


def test_there_is_none_before_the_time_is_over():
    baseline = Baseline(5.0)
    assert baseline.share(3.0) == 0.0
    assert baseline.see(shows(0.1, 0.1, 0.8), 10.0) is None
    assert baseline.see(shows(0.1, 0.1, 0.8), 14.9) is None
    assert baseline.share(12.5) == pytest.approx(0.5)
    assert baseline.see(shows(0.1, 0.1, 0.8), 15.0) is not None


def test_another_model_begins_anew_and_is_not_corrected():
    other = ("neutral", "happy")
    baseline = Baseline(1.0)
    baseline.see(shows(0.1, 0.1, 0.8), 0.0)
    assert baseline.see(shows(0.9, 0.1, labels=other), 2.0) is None
    prediction = shows(0.9, 0.1, labels=other)
    assert Neutral(LABELS, (1.0, 1.0, 1.0)).corrected(prediction) is prediction


def test_a_model_without_a_neutral_face_has_no_baseline():
    with pytest.raises(UsageError, match="knows neutral"):
        Baseline().see(shows(0.5, 0.5, labels=("open", "shut")), 0.0)
