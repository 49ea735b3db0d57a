"""Soft labels by runs of folds: which run tells which row, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tasks_drawn import QUICK, drawn

from mien.classification.probabilities import log_softmax, softmax
from mien.data.splits import fold_of_rows
from mien.evaluation.calibration import fit_temperature
from mien.training.config import PLAIN
from mien.training.run.directory import BEST, Record, Source, read_run
from mien.training.splits import splits_of

if TYPE_CHECKING:
    from pathlib import Path

    from tasks_drawn import TrainedRun

    from mien.data.dataset import Dataset

pytest.importorskip("keras")

from mien.training.distillation.cross_fitting import cross_fitted_soft_labels, mean_logits
from mien.training.engine.loop import Options
from mien.training.tasks.classification.compilation import load, shape_of
from mien.training.tasks.classification.task import fit, predict_logits

pytestmark = pytest.mark.train


def noise_over_shades() -> Dataset:
    """Eight shades under noise, so that no image is a copy of another."""
    data = drawn(each=16)
    shade = 24 * data.truths[0].class_ids + 40
    crops = np.random.default_rng(0).normal(shade[:, None, None, None], 12, data.crops.shape)
    return replace(data, crops=crops.clip(0, 255).astype(np.uint8))


def run_of(data: Dataset, folder: Path, fold: str, seed: int) -> Record:
    config, source = replace(QUICK, epochs=1, seed=seed), Source(fold=fold)
    fit(*splits_of(data, source, config), config, folder, lambda _: None, Options(source=source))
    return read_run(folder)


def predicted_by(record: Record, data: Dataset, rows: np.ndarray) -> np.ndarray:
    """The calibrated log-probabilities that a run gives to training rows, seen as they are."""
    training, validation = splits_of(data, Source(), QUICK)
    model = load(record.path / BEST, shape_of(training, record.config), "two-conv")
    temperature = fit_temperature(predict_logits(model, validation.crops)["classes"], validation.truths[0].class_ids)
    return log_softmax(predict_logits(model, training.crops[rows])["classes"] / temperature)


def test_each_row_is_predicted_by_the_runs_that_held_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    data, done = noise_over_shades(), []
    first, second, again = (
        run_of(data, tmp_path / name, fold, seed)
        for seed, (name, fold) in enumerate((("a", "0/2"), ("b", "1/2"), ("c", "1/2")))
    )
    soft, scores = cross_fitted_soft_labels([second, first, again], data, 1, done.append)
    training = splits_of(data, Source(), QUICK)[0]
    found = soft.heads[0].probabilities[soft.rows_of(training.crops)]
    place = fold_of_rows(training, 2)
    zero, one = np.flatnonzero(place == 0), np.flatnonzero(place == 1)
    assert found[zero] == pytest.approx(np.exp(predicted_by(first, data, zero)), abs=2e-3)
    averaged = softmax((predicted_by(second, data, one) + predicted_by(again, data, one)) / 2)
    assert found[one] == pytest.approx(averaged, abs=2e-3)
    assert scores[0].accuracy == pytest.approx((found.argmax(axis=1) == training.truths[0].class_ids).mean(), abs=0.02)
    assert done == sorted(done)
    assert done[-1] == 1


@pytest.mark.parametrize(("flip", "mirrored"), [(0.5, True), (0.0, False)])
def test_the_second_view_is_the_mirror_image_where_the_config_mirrors(
    single: TrainedRun, flip: float, mirrored: bool
) -> None:
    crops, model = single.validation.crops[:16], single.run.model
    config = replace(single.config, augmentation=replace(PLAIN, flip=flip))
    plain, other = (predict_logits(model, seen)["classes"] for seen in (crops, crops[:, :, ::-1]))
    expected = (plain + other) / 2 if mirrored else plain
    assert mean_logits(model, crops, config, 2, lambda _: None)["classes"] == pytest.approx(expected, abs=1e-4)


def test_more_views_are_changed_but_not_covered(single: TrainedRun) -> None:
    crops, model, seen = single.validation.crops[:16], single.run.model, []
    covered = replace(single.config, augmentation=replace(PLAIN, random_erasing=1.0))
    turned = replace(single.config, augmentation=replace(PLAIN, rotate=20.0))
    plain = predict_logits(model, crops)["classes"]
    assert mean_logits(model, crops, covered, 3, seen.append)["classes"] == pytest.approx(plain, abs=1e-4)
    assert np.abs(mean_logits(model, crops, turned, 3, seen.append)["classes"] - plain).max() > 0.01
    assert sum(seen) == 2 * 3 * 16
