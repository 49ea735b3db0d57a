from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from tasks_drawn import QUICK, drawn, drawn_with_votes, trained

from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.errors import TrainingError
from mien.training import architectures
from mien.training.config import Augmentation, read
from mien.training.engine.loop import Options
from mien.training.engine.optimization import learning_rate_at
from mien.training.engine.variables import STATISTICS_IMAGES, estimate_batch_norm
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import BEST, CHECKPOINTS, CONFIG, LOCK, RUN_INFO, SAMPLES, read_run
from mien.training.run.history import HISTORY, HISTORY_CSV, Epoch, Progress
from mien.training.tasks.classification.compilation import load, shape_of
from mien.training.tasks.classification.task import ClassificationTask, evaluate_heads, fit, predict_logits

if TYPE_CHECKING:
    from pathlib import Path

    from tasks_drawn import TrainedRun

    from mien.training.config import TrainingConfig

pytestmark = pytest.mark.train


@pytest.mark.backend
def test_a_run_learns(single: TrainedRun, double: TrainedRun) -> None:
    """Chance is 1 in 8."""
    assert max(epoch.validation_score for epoch in single.run.history) > 0.8
    assert max(epoch.validation_score for epoch in double.run.history) > 0.8
    assert single.run.history[-1].loss < single.run.history[0].loss


def test_a_run_directory_holds_config_facts_history_samples_and_weights(single: TrainedRun) -> None:
    assert {path.name for path in single.folder.iterdir()} == {
        BEST, CHECKPOINTS, RUN_INFO, HISTORY, HISTORY_CSV, LOCK, CONFIG, SAMPLES
    }  # fmt: skip
    assert read(single.folder / CONFIG) == single.config
    assert [path.name for path in sorted((single.folder / CHECKPOINTS).iterdir())] == [
        f"epoch-{number:04d}" for number in (1, 2, 3)
    ]


@pytest.mark.backend
def test_a_run_directory_describes_its_run(double: TrainedRun) -> None:
    run = read_run(double.folder)
    assert (run.config, run.history, run.finished) == (double.config, double.run.history, True)
    run_info = run.run_info
    assert (run_info.network, run_info.backend, run_info.data) == ("nano", keras.backend.backend(), "drawn")
    assert (run_info.training_rows, run_info.validation_rows) == (len(double.training), len(double.validation))
    assert run_info.parameters == double.run.model.count_params()
    assert run_info.heads == tuple((truth.head, tuple(map(str, truth.labels))) for truth in double.training.truths)
    assert dict(run_info.versions)["keras"] == keras.__version__


def test_each_step_and_each_epoch_is_reported(single: TrainedRun) -> None:
    steps = 384 // single.config.batch
    reported_steps = [(event.epoch, event.step) for event in single.events if isinstance(event, Progress)]
    assert reported_steps == [(epoch, step) for epoch in (1, 2, 3) for step in range(1, steps + 1)]
    assert [event for event in single.events if not isinstance(event, Progress)] == list(single.run.history)
    assert isinstance(single.events[steps], Epoch)


def test_progress_is_that_of_the_epoch_so_far(single: TrainedRun) -> None:
    events = [event for event in single.events if isinstance(event, Progress)]
    for progress in events:
        assert (progress.epochs, progress.steps) == (3, 12)
        assert 0 <= progress.accuracy <= 1
        assert 0 <= progress.waiting < 1
        assert progress.images_per_second > 0
        assert progress.run_seconds_left >= progress.seconds_left >= 0
        if progress.step == progress.steps:
            epoch = single.run.history[progress.epoch - 1]
            assert (progress.loss, progress.accuracy) == (epoch.loss, epoch.accuracy)
    assert events[-1].run_seconds_left == 0


def test_the_history_has_the_learning_rate_of_the_last_step(single: TrainedRun) -> None:
    for epoch in single.run.history:
        expected = learning_rate_at(single.config, 12, 12 * epoch.number - 1, single.run.history[: epoch.number - 1])
        assert epoch.learning_rate == expected


@pytest.mark.parametrize("run", ["single", "double"])
def test_the_best_epoch_is_what_is_kept(run: str, request: pytest.FixtureRequest) -> None:
    done: TrainedRun = request.getfixturevalue(run)
    best = max(done.run.history, key=lambda epoch: epoch.validation_score)
    again = load(done.folder / BEST, shape_of(done.training, done.config), done.config.network)
    for model in (done.run.model, again):
        scores = evaluate_heads(predict_logits(model, done.validation.crops), done.validation)
        for score, expected in zip(scores, best.scores, strict=True):
            assert (score.head, score.accuracy) == (expected.head, expected.accuracy)
            assert score.nll == pytest.approx(expected.nll, abs=1e-5)


def test_a_directory_with_a_run_is_refused(single: TrainedRun) -> None:
    before = {file: file.read_bytes() for file in single.folder.rglob("*") if file.is_file()}
    with pytest.raises(TrainingError, match="holds one: continue it with --resume, or choose another --out"):
        fit(single.training, single.validation, single.config, single.folder, lambda _: None)
    assert {file: file.read_bytes() for file in single.folder.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("network", ["dense-64-32-relu", pytest.param("nano", marks=pytest.mark.long)])
def test_the_same_seed_gives_the_same_weights_and_history(network: str, tmp_path: Path) -> None:
    config = replace(
        QUICK, network=network, dropout=0.3, epochs=2, batch=16, augmentation=Augmentation(mixup_share=1.0)
    )
    data = drawn_with_votes(each=8)
    runs = [trained(tmp_path / name, data, chosen) for name, chosen in
            (("one", config), ("same", config), ("other", replace(config, seed=1)))]  # fmt: skip
    ends = [Checkpoints(done.folder / CHECKPOINTS).newest(print) for done in runs]
    weights = [[values.tobytes() for part in end.arrays.values() for values in part.values()] for end in ends if end]
    scores = [[(epoch.loss, epoch.scores) for epoch in done.run.history] for done in runs]
    assert scores[0] == scores[1] != scores[2]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.backend
def test_layers_that_start_frozen_stay_as_they_were_given(tmp_path: Path) -> None:
    given = np.full((24 * 24, 64), 0.01, np.float32)

    def start(model: keras.Model) -> None:
        frozen = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
        frozen.kernel.assign(given)
        frozen.trainable = False

    data, config = drawn(each=8), replace(QUICK, network="dense-64-tanh", epochs=1)
    done = fit(data.split(TRAINING), data.split(PUBLIC_TEST), config, tmp_path / "run", print, Options(start=start))
    np.testing.assert_array_equal(done.model.get_weights()[0], given)
    assert np.abs(done.model.get_weights()[-2]).max() > 0


def test_a_run_ends_early_where_no_epoch_is_better(tmp_path: Path) -> None:
    lame = replace(QUICK, network="dense-64-tanh", epochs=9, learning_rate=1e-9, patience=2, warmup_epochs=0)
    assert len(trained(tmp_path / "run", drawn(each=8), lame).run.history) == 3


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    wild = replace(QUICK, learning_rate=100.0, clipnorm=0.0, momentum=0.99, warmup_epochs=0.0, epochs=20)
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        trained(tmp_path / "run", drawn(each=64), wild)


def test_logits_that_are_not_finite_are_refused() -> None:
    data = drawn(each=2)
    with pytest.raises(TrainingError, match=r"'classes'.*lower the learning rate"):
        evaluate_heads({"classes": np.full((16, 8), np.nan, np.float32)}, data)


def test_a_validation_split_without_labelled_rows_is_refused() -> None:
    data = drawn(each=2)
    unlabelled = replace(data, truths=(replace(data.truths[0], evaluated=np.zeros(16, np.bool_)),))
    with pytest.raises(TrainingError, match="expected validation rows with a label of the head 'classes'"):
        evaluate_heads({"classes": np.zeros((16, 8), np.float32)}, unlabelled)


@pytest.mark.backend
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_keras_settings_are_left_as_they_were(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    config: TrainingConfig = replace(QUICK, epochs=1, precision="mixed_bfloat16")
    done = trained(tmp_path / "run", drawn(each=8), config)
    assert keras.config.dtype_policy().name == policy
    assert done.run.model.dtype_policy.name == "float32"


@pytest.mark.backend
def test_statistics_are_those_of_all_the_data_though_it_comes_in_the_order_of_its_classes() -> None:
    keras.utils.set_random_seed(0)
    data = drawn(each=96)
    model = architectures.build("nano", shape_of(data, QUICK))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    estimate_batch_norm(model, ClassificationTask(data, data, QUICK).unaugmented_images(STATISTICS_IMAGES))
    estimated = [np.array(layer.moving_variance) for layer in norms]
    assert {layer.momentum for layer in norms} == {0.99}
    for layer in norms:
        layer.momentum = 0.0
    model(data.crops, training=True)
    for layer, variance in zip(norms, estimated, strict=True):
        np.testing.assert_allclose(variance.mean(), np.array(layer.moving_variance).mean(), rtol=0.05)
