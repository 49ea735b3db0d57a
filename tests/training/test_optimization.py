from __future__ import annotations

import pytest
from test_run_directory import epochs

from mien.training.config import TrainingConfig
from mien.training.engine.optimization import effective_ema_decay, is_finished, learning_rate_at, plateaus
from mien.training.run.history import best_epoch


def config(schedule: str, warmup: float = 0.0) -> TrainingConfig:
    return TrainingConfig(epochs=10, fine_tune_epochs=0, learning_rate=0.2, warmup_epochs=warmup, schedule=schedule)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("cosine", {0: 0.2, 25: 0.1707107, 50: 0.1, 99: 0.0000493}),
        ("linear", {0: 0.2, 25: 0.15, 50: 0.1, 99: 0.002}),
        ("constant", {0: 0.2, 50: 0.2, 99: 0.2}),
        ("plateau", {0: 0.2, 50: 0.2, 99: 0.2}),
    ],
)
def test_the_rate_goes_as_its_schedule_says(schedule: str, rates: dict[int, float]) -> None:
    for step, rate in rates.items():
        assert learning_rate_at(config(schedule), 10, step, ()) == pytest.approx(rate, abs=1e-7)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "plateau"])
def test_the_rate_rises_at_first(schedule: str) -> None:
    chosen = config(schedule, warmup=2.0)
    assert learning_rate_at(chosen, 10, 0, ()) == pytest.approx(0.002)
    assert learning_rate_at(chosen, 10, 10, ()) == pytest.approx(0.101)
    assert learning_rate_at(chosen, 10, 20, ()) == pytest.approx(0.2)
    if schedule == "cosine":
        assert learning_rate_at(chosen, 10, 60, ()) == pytest.approx(0.1)


def test_a_run_that_is_all_warm_up_never_divides_by_nothing() -> None:
    chosen = TrainingConfig(epochs=1, fine_tune_epochs=0, warmup_epochs=1.0, learning_rate=0.2)
    assert learning_rate_at(chosen, 1, 0, ()) == pytest.approx(0.2)
    assert learning_rate_at(chosen, 2, 0, ()) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("validation_scores", "count"),
    [
        ((), 0),
        ((0.5,), 0),
        ((0.5, 0.4, 0.4, 0.4), 1),
        ((0.5, 0.4, 0.4, 0.6, 0.5), 0),
        ((0.5, 0.5, 0.5, 0.5), 1),
        ((0.5, *(0.4,) * 6), 2),
        ((0.5, *(0.4,) * 3, 0.6, 0.5, 0.5), 1),
    ],
)
def test_a_plateau_is_three_epochs_without_a_better_one(validation_scores: tuple[float, ...], count: int) -> None:
    assert plateaus(epochs(*validation_scores)) == count
    assert learning_rate_at(config("plateau"), 10, 80, epochs(*validation_scores)) == pytest.approx(0.2 / 3**count)


@pytest.mark.parametrize(
    ("validation_scores", "patience", "finished"),
    [
        ((), 1, False),
        ((0.5, 0.4), 0, False),
        ((0.5, 0.4), 1, True),
        ((0.5, 0.4), 2, False),
        ((0.5, 0.5, 0.5), 2, True),
        ((0.5, 0.4, 0.6), 2, False),
        ((0.5,) * 10, 0, True),
    ],
)
def test_a_run_ends_after_its_epochs_or_its_patience(
    validation_scores: tuple[float, ...], patience: int, finished: bool
) -> None:
    chosen = TrainingConfig(epochs=10, fine_tune_epochs=0, patience=patience)
    assert is_finished(chosen, epochs(*validation_scores)) == finished


def test_the_best_epoch_is_the_first_with_the_highest_validation_score() -> None:
    assert best_epoch(epochs(0.2, 0.7, 0.3, 0.7)) == 2


@pytest.mark.parametrize(
    ("epochs", "steps", "decay"),
    [(72, 224, 0.999), (6, 31, 1 - 5 / 186), (1, 5, 0.0), (1, 1, 0.0)],
)
def test_averages_reach_back_over_a_fifth_of_the_run_at_most(epochs: int, steps: int, decay: float) -> None:
    config = TrainingConfig(epochs=epochs, fine_tune_epochs=0, warmup_epochs=0.0, ema_decay=0.999)
    assert effective_ema_decay(config, steps) == pytest.approx(decay)
