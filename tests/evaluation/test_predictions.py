import numpy as np
import pytest
from drawn_predictions import predictions_from, random_predictions

from mien.errors import UsageError

ROWS = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5]], np.float32)
TRUTH = np.array([0, 0, 0, 1, 1])
FOUND = np.array([True, True, True, True, False])


@pytest.fixture
def five():
    return predictions_from(ROWS, TRUTH, labels=("happy", "sad"), found=FOUND, excluded=3)


def test_predictions_and_correct_ones(five):
    assert five.predicted.tolist() == [0, 1, 1, 0, -1]
    assert five.correct.tolist() == [True, False, False, False, False]
    assert (len(five), five.labels, five.unsure_below) == (5, ("happy", "sad"), 0.6)


@pytest.mark.parametrize(("most", "rows"), [(9, [1, 3, 2]), (2, [1, 3]), (0, [])])
def test_the_most_confident_errors_come_first_and_missed_faces_are_none(five, most, rows):
    assert five.most_confident_errors(most).tolist() == rows


def test_a_report_on_some_rows_counts_the_others_as_excluded(five):
    report = five.report_on(np.array([True, True, False, False, True]))
    assert (report.metrics.n, report.metrics.accuracy, report.missed, report.excluded) == (3, 1 / 3, 1, 5)
    assert (report.model, report.data) == (five.report.model, five.report.data)


def test_a_report_on_all_rows_is_the_report():
    predictions = random_predictions()
    assert predictions.report_on(np.ones(200, bool)).to_json() == predictions.report.to_json()


def test_a_report_on_no_row_is_refused(five):
    with pytest.raises(UsageError, match="at least one row"):
        five.report_on(np.zeros(5, bool))


def test_parts_that_don_t_fit_are_refused():
    with pytest.raises(UsageError, match="for each of 5 targets"):
        predictions_from(ROWS, TRUTH, labels=("happy", "sad"), photos=["a.jpg"])
