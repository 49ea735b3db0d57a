from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from lessons import QUICK, drawn, drawn_with_votes, taught

from mien.errors import TrainingError
from mien.training import zoo
from mien.training.fit import (
    BEST,
    LAST,
    Epoch,
    _estimate_batch_norm,
    fit,
    judge_heads,
    load,
    predict_logits,
    shape_of,
)
from mien.training.recipe import Augmentation, read

if TYPE_CHECKING:
    from pathlib import Path

    from lessons import Taught

    from mien.training.recipe import Recipe

pytestmark = pytest.mark.train


def history_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns(single: Taught, double: Taught) -> None:
    """Chance is 1 in 8."""
    assert max(epoch.merit for epoch in single.run.history) > 0.8
    assert max(epoch.merit for epoch in double.run.history) > 0.8
    assert single.run.history[-1].loss < single.run.history[0].loss


def test_a_run_directory_holds_recipe_history_and_weights(single: Taught) -> None:
    assert sorted(
        str(file.relative_to(single.folder)) for file in single.folder.rglob("*") if file.is_file()
    ) == sorted([BEST, LAST, "history.csv", "recipe.toml"])
    assert read(single.folder / "recipe.toml") == single.recipe


def test_the_history_has_a_row_an_epoch(double: Taught) -> None:
    rows = history_of(double.folder)
    heads = ["fer2013_accuracy", "fer2013_nll", "ferplus_accuracy", "ferplus_nll"]
    assert list(rows[0]) == ["epoch", "loss", *heads, "seconds", "pictures_a_second"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row, epoch in zip(rows, double.run.history, strict=True):
        scores = [value for score in epoch.scores for value in (score.accuracy, score.nll)]
        assert [float(row[head]) for head in heads] == pytest.approx(scores, abs=1e-5)
        assert float(row["loss"]) == pytest.approx(epoch.loss, abs=1e-5)


def test_what_is_told_is_the_share_done_and_each_epoch(single: Taught) -> None:
    steps = 384 // single.recipe.batch
    shares = [(step + 1) / steps for step in range(steps)]
    expected = [part for epoch in single.run.history for part in (*shares, epoch)]
    assert list(single.told) == expected


@pytest.mark.parametrize("run", ["single", "double"])
def test_the_best_epoch_is_what_is_kept(run: str, request: pytest.FixtureRequest) -> None:
    done: Taught = request.getfixturevalue(run)
    best = max(done.run.history, key=lambda epoch: epoch.merit)
    again = load(done.folder / BEST, shape_of(done.training, done.recipe), done.recipe.network)
    for model in (done.run.model, again):
        scores = judge_heads(predict_logits(model, done.validation.chips), done.validation)
        for score, expected in zip(scores, best.scores, strict=True):
            assert (score.head, score.accuracy) == (expected.head, expected.accuracy)
            assert score.nll == pytest.approx(expected.nll, abs=1e-5)


def test_a_directory_with_a_run_is_refused(single: Taught) -> None:
    before = {file: file.read_bytes() for file in single.folder.rglob("*") if file.is_file()}
    with pytest.raises(TrainingError, match="holds one: choose another --out"):
        fit(single.training, single.validation, single.recipe, single.folder, lambda _: None)
    assert {file: file.read_bytes() for file in single.folder.rglob("*") if file.is_file()} == before


def test_the_same_seed_gives_the_same_weights_and_history(tmp_path: Path) -> None:
    recipe = replace(QUICK, network="nano", epochs=2, batch=16, augmentation=Augmentation(mixup_share=1.0))
    data = drawn_with_votes(each=8)
    runs = [taught(tmp_path / name, data, chosen) for name, chosen in
            (("one", recipe), ("same", recipe), ("other", replace(recipe, seed=1)))]  # fmt: skip
    weights = [load(done.folder / LAST, shape_of(data, recipe), "nano").get_weights() for done in runs]
    losses = [[(row["loss"], row["ferplus_nll"]) for row in history_of(done.folder)] for done in runs]
    assert losses[0] == losses[1] != losses[2]
    for one, same in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(one, same)
    assert any(not np.array_equal(one, other) for one, other in zip(weights[0], weights[2], strict=True))


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    wild = replace(QUICK, rate=100.0, clip=0.0, momentum=0.99, warmup_epochs=0.0, epochs=20)
    with pytest.raises(TrainingError, match="lower the rate"):
        taught(tmp_path / "run", drawn(each=64), wild)


def test_logits_that_are_not_finite_are_refused() -> None:
    data = drawn(each=2)
    with pytest.raises(TrainingError, match=r"'classes'.*lower the rate"):
        judge_heads({"classes": np.full((16, 8), np.nan, np.float32)}, data)


def test_a_validation_split_without_judged_rows_is_refused() -> None:
    data = drawn(each=2)
    unjudged = replace(data, truths=(replace(data.truths[0], judged=np.zeros(16, np.bool_)),))
    with pytest.raises(TrainingError, match="expected rows to judge the head 'classes'"):
        judge_heads({"classes": np.zeros((16, 8), np.float32)}, unjudged)


def test_an_interrupted_run_leaves_files_that_can_be_read(tmp_path: Path) -> None:
    finished: list[Epoch] = []

    def interrupt(news: Epoch | float) -> None:
        if isinstance(news, Epoch):
            finished.append(news)
        elif finished and news > 0.5:
            raise KeyboardInterrupt

    data, folder = drawn(each=16), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(data.split("Training"), data.split("PublicTest"), QUICK, folder, interrupt)
    assert read(folder / "recipe.toml") == QUICK
    assert [row["epoch"] for row in history_of(folder)] == ["1"]
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {"best.weights.h5", "last.weights.h5"}
    for weights in (BEST, LAST):
        model = load(folder / weights, shape_of(data, QUICK), QUICK.network)
        scores = judge_heads(predict_logits(model, data.split("PublicTest").chips), data.split("PublicTest"))
        assert scores[0].accuracy == finished[0].scores[0].accuracy


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_keras_settings_are_left_as_they_were(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    recipe: Recipe = replace(QUICK, epochs=1, precision="mixed_bfloat16")
    done = taught(tmp_path / "run", drawn(each=8), recipe)
    assert keras.config.dtype_policy().name == policy
    assert done.run.model.dtype_policy.name == "float32"


def test_statistics_are_those_of_all_the_data_though_it_comes_in_the_order_of_its_classes() -> None:
    keras.utils.set_random_seed(0)
    data = drawn(each=96)
    model = zoo.build("nano", shape_of(data, QUICK))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    _estimate_batch_norm(model, data)
    estimated = [np.array(layer.moving_variance) for layer in norms]
    assert {layer.momentum for layer in norms} == {0.99}
    for layer in norms:
        layer.momentum = 0.0
    model(data.chips, training=True)
    for layer, variance in zip(norms, estimated, strict=True):
        np.testing.assert_allclose(variance.mean(), np.array(layer.moving_variance).mean(), rtol=0.05)
