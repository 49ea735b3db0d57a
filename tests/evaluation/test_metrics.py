import itertools
import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mien.errors import UsageError
from mien.evaluation.metrics import compute_metrics, reliability_bins, risk_coverage, wilson_interval

EXACT = {"rtol": 0, "atol": 1e-12}


def drawn(seed, rows=200, labels=7, alpha=0.3, dtype=np.float64):
    """Probabilities with targets drawn from them: calibrated by construction."""
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.full(labels, alpha), rows)
    ladder = probabilities.cumsum(axis=1)
    targets = (chance.random((rows, 1)) * ladder[:, -1:] > ladder).sum(axis=1)
    return probabilities.astype(dtype), targets


def names(probabilities):
    return [f"label {at}" for at in range(probabilities.shape[1])]


@st.composite
def predictions(draw):
    """Few rows over up to nine labels, so that labels absent from truth, targets or both are common."""
    labels, rows = draw(st.integers(2, 9)), draw(st.integers(1, 25))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    scores = st.lists(st.integers(0, 5), min_size=labels, max_size=labels).filter(any)
    probabilities = np.array(draw(st.lists(scores, min_size=rows, max_size=rows)), np.float64)
    targets = draw(st.lists(st.integers(0, labels - 1), min_size=rows, max_size=rows))
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(dtype), np.array(targets)


def assert_equals_scikit_learn(probabilities, targets):
    scores = compute_metrics(probabilities, targets, names(probabilities))
    probabilities = probabilities.astype(np.float64)
    labels, guesses = range(probabilities.shape[1]), probabilities.argmax(axis=1)
    per_class = sklearn.metrics.precision_recall_fscore_support(targets, guesses, labels=labels, zero_division=0)
    for name, theirs in zip(("precision", "recall", "f1", "count"), per_class, strict=True):
        np.testing.assert_allclose([getattr(score, name) for score in scores.per_class], theirs, **EXACT)
    macro = sklearn.metrics.f1_score(targets, guesses, labels=labels, average="macro", zero_division=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        warnings.filterwarnings("ignore", message="A single label was found")
        warnings.filterwarnings("ignore", message=r"The y_\w+ values do not sum to one")  # float32 does to 1e-7
        balanced = sklearn.metrics.balanced_accuracy_score(targets, guesses)
        log_loss = sklearn.metrics.log_loss(targets, probabilities, labels=labels)
    theirs = [
        sklearn.metrics.accuracy_score(targets, guesses),
        macro,
        balanced,
        log_loss,
        ((probabilities - np.eye(len(labels))[targets]) ** 2).sum(axis=1).mean(),
    ]
    ours = [scores.accuracy, scores.macro_f1, scores.balanced_accuracy, scores.nll, scores.brier]
    np.testing.assert_allclose(ours, theirs, **EXACT)
    confusion = sklearn.metrics.confusion_matrix(targets, guesses, labels=labels)
    np.testing.assert_array_equal(scores.confusion, confusion)


@settings(deadline=None, max_examples=60)
@given(predictions())
def test_equals_scikit_learn_on_any_input(rows):
    assert_equals_scikit_learn(*rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "labels"), [(1, 7), (30, 8), (3589, 7), (3589, 8)])
def test_equals_scikit_learn_on_random_input(rows, labels, dtype):
    assert_equals_scikit_learn(*drawn(rows + labels, rows, labels, dtype=dtype))


def guo_ece(probabilities, targets, bins=15):
    """Equation 3 of Guo et al. 2017 as it stands: bins open on the left, closed on the right."""
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    edges, total = np.linspace(0, 1, bins + 1), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (top > low) & (top <= high)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    return total


@given(predictions())
def test_ece_is_the_papers(rows):
    probabilities, targets = rows[0].astype(np.float64), rows[1]
    ece = compute_metrics(probabilities, targets, names(probabilities)).ece
    np.testing.assert_allclose(ece, guo_ece(probabilities, targets), **EXACT)


@pytest.mark.parametrize(
    ("top", "right", "ece"),
    [(0.8, 80, 0.0), (0.8, 100, 0.2), (0.8, 0, 0.8), (1.0, 100, 0.0), (1.0, 0, 1.0), (0.6, 50, 0.1)],
)
def test_ece_is_the_gap_between_confidence_and_accuracy(top, right, ece):
    probabilities = np.tile([top, 1 - top], (100, 1))
    targets = np.repeat([0, 1], [right, 100 - right])
    assert compute_metrics(probabilities, targets, "ab").ece == pytest.approx(ece, abs=1e-12)


def test_ece_grows_as_calibrated_answers_are_made_surer_and_surer():
    probabilities, targets = drawn(3, rows=20_000)
    errors = []
    for power in (1.0, 1.3, 1.8, 3.0):
        rows = probabilities**power
        errors.append(compute_metrics(rows / rows.sum(axis=1, keepdims=True), targets, names(rows)).ece)
    assert errors == sorted(errors)
    assert errors[0] < 0.02 < errors[1]


def test_reliability_bins_hold_every_row_once():
    probabilities, targets = drawn(4, rows=999)
    bins = reliability_bins(probabilities, targets, bins=10)
    assert sum(b.count for b in bins) == 999
    for b in bins:
        assert math.isnan(b.accuracy) if b.count == 0 else b.low < b.confidence <= b.high
    assert (bins[0].low, bins[-1].high) == (0.0, 1.0)


def test_a_missed_face_is_wrong_but_was_not_answered():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.6, 0.4]])
    found = np.array([True, True, False, True])
    scores = compute_metrics(probabilities, np.array([0, 1, 0, 1]), ("happy", "sad"), found)
    assert (scores.n, scores.accuracy) == (4, 0.5)
    np.testing.assert_array_equal(scores.confusion, [[1, 0], [1, 1]])
    np.testing.assert_array_equal(scores.missed, [1, 0])
    happy, sad = scores.per_class
    assert (happy.precision, happy.recall, happy.f1, happy.count) == (0.5, 0.5, 0.5, 2)
    assert (sad.precision, sad.recall, sad.f1, sad.count) == (1.0, 0.5, pytest.approx(2 / 3), 2)


@given(predictions(), st.integers(0, 2**32 - 1))
def test_scores_of_probabilities_know_only_the_rows_found(rows, seed):
    probabilities, targets = rows
    found = np.random.default_rng(seed).random(len(targets)) < 0.7
    found[0] = True
    chain = compute_metrics(probabilities, targets, names(probabilities), found)
    crops = compute_metrics(probabilities[found], targets[found], names(probabilities))
    assert (chain.ece, chain.nll, chain.brier) == (crops.ece, crops.nll, crops.brier)
    assert [score.precision for score in chain.per_class] == [score.precision for score in crops.per_class]
    assert chain.accuracy <= crops.accuracy
    assert chain.confusion.sum() + chain.missed.sum() == chain.n == sum(score.count for score in chain.per_class)


def test_where_every_face_was_missed_the_probabilities_have_no_score():
    scores = compute_metrics(np.zeros((3, 2)), np.array([0, 1, 1]), "ab", np.zeros(3, bool))
    assert (scores.accuracy, scores.macro_f1, scores.balanced_accuracy) == (0.0, 0.0, 0.0)
    assert all(math.isnan(figure) for figure in (scores.ece, scores.nll, scores.brier))


@pytest.mark.parametrize(("hits", "n"), [(8, 10), (50, 100), (0, 10), (10, 10), (1, 1), (2527, 3589)])
def test_wilson_interval_is_scipys(hits, n):
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share(share):
    hits, n = share
    low, high = wilson_interval(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_accuracy_interval_narrows_with_rows():
    widths = []
    for rows in (50, 500, 5000):
        low, high = compute_metrics(*drawn(5, rows), names(drawn(5, 1)[0])).accuracy_interval
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


@given(predictions())
def test_risk_coverage_counts_what_is_kept_at_each_threshold(rows):
    probabilities, targets = rows
    curve = risk_coverage(probabilities, targets)
    top, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != targets
    assert curve.coverage[0] == 1.0
    assert (np.diff(curve.thresholds) > 0).all()
    for threshold, coverage, error, count in zip(
        curve.thresholds, curve.coverage, curve.error, curve.kept, strict=True
    ):
        kept = top >= threshold
        assert (count, coverage) == (kept.sum(), kept.mean())
        assert error == pytest.approx(wrong[kept].mean(), abs=1e-12)


GOOD = np.array([[0.5, 0.5], [0.2, 0.8]])


@pytest.mark.parametrize(
    ("probabilities", "targets", "labels", "message"),
    [
        (GOOD, np.array([0, 2]), "ab", "from 0 to 1; received 0 to 2"),
        (GOOD, np.array([-1, 0]), "ab", "received -1 to 0"),
        (GOOD, np.array([0.0, 1.0]), "ab", "integers"),
        (GOOD, np.array([0]), "ab", "shape"),
        (GOOD, np.array([0, 1]), "abc", "2 distinct labels"),
        (GOOD, np.array([0, 1]), "aa", "2 distinct labels"),
        (GOOD * 2, np.array([0, 1]), "ab", "sum to 1"),
        (GOOD * np.nan, np.array([0, 1]), "ab", "finite"),
        (GOOD[:0], np.array([], int), "ab", "at least one row"),
    ],
)
def test_metrics_refuses(probabilities, targets, labels, message):
    with pytest.raises(UsageError, match=message):
        compute_metrics(probabilities, targets, labels)


@pytest.mark.parametrize("found", [np.array([1, 0]), np.array([True])])
def test_masks_that_are_none_are_refused(found):
    with pytest.raises(UsageError, match="expected a mask"):
        compute_metrics(GOOD, np.array([0, 1]), "ab", found)
