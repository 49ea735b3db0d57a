import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from mien.classification.probabilities import softmax, vector_scaled
from mien.errors import UsageError
from mien.evaluation.calibration import (
    MIN_ACCEPTED_ROWS,
    SCALE_PRIOR_STD,
    fit_calibration,
    fit_temperature,
    fit_vector_scaling,
    unsure_threshold,
)
from mien.evaluation.metrics import compute_metrics


def calibrated(seed, rows, labels=7, spread=2.0):
    """Logits with targets drawn from their softmax, so that the temperature is 1."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, spread, (rows, labels))
    return logits, (logits + chance.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.7, 4.0])
def test_recovers_the_temperature_that_was_put_in(temperature):
    logits, targets = calibrated(1, rows=40_000)
    assert fit_temperature(logits * temperature, targets) == pytest.approx(temperature, rel=0.03)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.integers(2, 8))
def test_no_other_search_finds_a_better_one(seed, temperature, labels):
    logits, targets = calibrated(seed, rows=400, labels=labels)
    logits = logits * temperature

    def nll(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(400), targets].mean()

    best = minimize_scalar(nll, bounds=np.log([0.05, 20]), method="bounded", options={"xatol": 1e-9}).x
    assert fit_temperature(logits, targets) == pytest.approx(np.exp(best), rel=1e-4)


def test_scaled_logits_scale_the_temperature():
    logits, targets = calibrated(2, rows=2000)
    once = fit_temperature(logits, targets)
    assert fit_temperature(logits * 3, targets) == pytest.approx(once * 3, rel=1e-4)


def test_log_probabilities_do_as_logits():
    logits, targets = calibrated(3, rows=2000)
    shifted = np.log(softmax(logits).astype(np.float64))
    assert fit_temperature(shifted, targets) == pytest.approx(fit_temperature(logits, targets), rel=1e-4)


def test_the_fitted_temperature_lowers_ece_and_nll_on_other_rows():
    logits, targets = calibrated(4, rows=20_000)
    logits = logits * 2.5
    temperature = fit_temperature(logits[:10_000], targets[:10_000])
    names = [str(at) for at in range(7)]
    before = compute_metrics(softmax(logits[10_000:]), targets[10_000:], names)
    after = compute_metrics(softmax(logits[10_000:], temperature), targets[10_000:], names)
    assert after.nll < before.nll
    assert after.ece < 0.02
    assert before.ece > 0.1
    assert after.accuracy == before.accuracy


@pytest.mark.parametrize(
    ("logits", "targets", "end"),
    [
        (np.eye(7), np.arange(7), 0.05),
        (np.eye(7), (np.arange(7) + 1) % 7, 20.0),
        (np.eye(7) * 3e38, np.arange(7), 0.05),
    ],
)
def test_stays_at_an_end_where_the_best_lies_beyond_it(logits, targets, end):
    assert fit_temperature(logits, targets) == pytest.approx(end, rel=1e-4)


@pytest.mark.parametrize(
    ("logits", "targets"),
    [
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((2, 3)), np.array([0.0, 1.0])),
        (np.full((2, 3), np.nan), np.array([0, 1])),
    ],
)
def test_fit_temperature_refuses(logits, targets):
    with pytest.raises(UsageError, match="expected"):
        fit_temperature(logits, targets)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_probabilities_that_were_bent_are_mended(temperature):
    logits, targets = calibrated(8, rows=40_000, labels=4)
    bent = temperature * (logits - np.array([0.6, -0.3, 0.1, -0.4])) / np.array([1.3, 0.8, 1.0, 0.9])
    true = softmax(logits)
    assert np.abs(softmax(bent, *fit_vector_scaling(bent, targets)) - true).mean() < 0.025
    assert np.abs(softmax(bent, fit_temperature(bent, targets)) - true).mean() > 0.045


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3), st.integers(2, 8))
def test_no_other_search_finds_better_scales_and_offsets(seed, temperature, labels):
    logits, targets = calibrated(seed, rows=400, labels=labels)
    logits = logits * temperature
    from_mean = logits - logits.mean(axis=1, keepdims=True)
    found, offsets, scales = fit_vector_scaling(logits, targets)

    def cost(values):
        stretched, moved = values[:labels], values[labels:]
        told = log_softmax((from_mean * stretched + moved) / found, axis=1)[np.arange(400), targets].mean()
        return -told + ((stretched - 1) ** 2).sum() / SCALE_PRIOR_STD**2 / 800 + (moved**2).sum() / 800

    best = minimize(cost, np.concatenate([np.ones(labels), np.zeros(labels)]), method="BFGS")
    assert cost(np.array([*scales, *offsets])) <= best.fun + 1e-5
    assert found == fit_temperature(logits, targets)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1000), st.integers(1, 8), st.integers(1, 30), st.floats(0, 1))
def test_scales_and_offsets_never_make_answers_less_likely(seed, scale, labels, rows, wrong):
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, scale, (rows, labels))
    targets = np.where(chance.random(rows) < wrong, chance.integers(0, labels, rows), logits.argmax(axis=1))

    def nll(temperature, offsets=(), scales=()):
        return -log_softmax(vector_scaled(logits, offsets, scales) / temperature, axis=1)[
            np.arange(rows), targets
        ].mean()

    assert nll(*fit_vector_scaling(logits, targets)) <= nll(fit_temperature(logits, targets)) + 1e-6


def test_each_label_is_told_as_often_as_it_is_true():
    logits, targets = calibrated(9, rows=4000)
    rare = logits - np.log([8, 4, 2, 1, 1, 1, 1])
    told = softmax(rare, *fit_vector_scaling(rare, targets)).mean(axis=0)
    assert told == pytest.approx(np.bincount(targets, minlength=7) / 4000, abs=2e-3)
    assert softmax(rare).mean(axis=0)[0] < 0.5 * told[0]


def test_a_label_without_an_example_has_a_scale_and_an_offset_too():
    logits, targets = calibrated(10, rows=500, labels=3)
    _, offsets, scales = fit_vector_scaling(logits[targets < 2], targets[targets < 2])
    assert np.isfinite(offsets + scales).all()
    assert min(offsets) == offsets[2]


def test_scales_and_offsets_are_taken_for_what_they_mend_and_not_where_a_temperature_does():
    logits, targets = calibrated(11, rows=20_000)
    common = np.array([2.0, 0, 0, 0, 0, 0, 0])
    assert fit_calibration(logits + common, targets) == fit_vector_scaling(logits + common, targets)
    assert fit_calibration(logits * 2, targets) == (fit_temperature(logits * 2, targets), (), ())


def test_too_few_rows_have_a_temperature_alone():
    assert fit_calibration(np.eye(3), np.arange(3))[1:] == ((), ())


def test_vector_scaling_refuses_what_a_temperature_does():
    with pytest.raises(UsageError, match="expected"):
        fit_vector_scaling(np.zeros((2, 3)), np.array([0, 3]))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.6), st.floats(0.2, 4))
def test_the_threshold_keeps_its_promise_and_no_lower_one_does(seed, error, spread):
    logits, targets = calibrated(seed, rows=300, spread=spread)
    probabilities = softmax(logits)
    threshold = unsure_threshold(probabilities, targets, error)
    top, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != targets
    if threshold < 1.0:
        kept = top >= threshold
        assert kept.sum() >= MIN_ACCEPTED_ROWS
        assert wrong[kept].mean() <= error
    for lower in top[top < threshold]:
        kept = top >= lower
        assert kept.sum() < MIN_ACCEPTED_ROWS or wrong[kept].mean() > error


def test_a_lower_error_asks_for_a_higher_threshold():
    logits, targets = calibrated(6, rows=4000)
    thresholds = [unsure_threshold(softmax(logits), targets, error) for error in (0.4, 0.3, 0.2, 0.1, 0.05)]
    assert thresholds == sorted(thresholds)
    assert 0 < thresholds[-1] < 1


def test_nothing_is_unsure_where_the_error_is_low_already():
    logits, targets = calibrated(7, rows=400)
    assert unsure_threshold(softmax(logits), targets, error=1.0) == 0.0


@pytest.mark.parametrize("rows", [MIN_ACCEPTED_ROWS - 1, 400])
def test_all_is_unsure_where_no_threshold_will_do(rows):
    logits, _ = calibrated(8, rows=rows)
    probabilities = softmax(logits)
    always_wrong = (probabilities.argmax(axis=1) + 1) % 7
    assert unsure_threshold(probabilities, always_wrong, error=0.2) == 1.0


def test_too_few_rows_prove_nothing():
    probabilities = np.tile([0.9, 0.1], (MIN_ACCEPTED_ROWS - 1, 1))
    targets = np.zeros(MIN_ACCEPTED_ROWS - 1, int)
    assert unsure_threshold(probabilities, targets, error=0.1) == 1.0
    assert unsure_threshold(probabilities, targets, error=0.1, min_rows=1) == 0.0


@pytest.mark.parametrize("error", [-0.1, 1.1, float("nan")])
def test_unsure_threshold_refuses_an_error_that_is_no_share(error):
    with pytest.raises(UsageError, match="error from 0 to 1"):
        unsure_threshold(np.array([[0.5, 0.5]]), np.array([0]), error)
