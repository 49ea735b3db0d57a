from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from tasks_drawn import TrainedRun, drawn, drawn_with_votes

from mien.classification.classifier import Classifier
from mien.errors import ModelError, TrainingError
from mien.training.architectures import NetworkShape
from mien.training.engine.loop import Options
from mien.training.engine.variables import estimate_batch_norm
from mien.training.export.classifier import export_classifier
from mien.training.run.directory import BEST, CHECKPOINTS
from mien.training.tasks.classification.compilation import build_float32, heads_of
from mien.training.tasks.classification.task import predict_logits
from mien.training.transfer.fine_tuning import train
from mien.training.transfer.warm_start import load_onnx_weights, load_source, warm_start

if TYPE_CHECKING:
    from pathlib import Path

    from mien.training.config import TrainingConfig
    from mien.training.engine.loop import Run

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def file(double: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of the run."""
    path = tmp_path_factory.mktemp("file") / "nano.onnx"
    export_classifier(double.run.model, double.training, double.validation, double.config, path)
    return path


@pytest.fixture(params=["run", "file"])
def weights(request: pytest.FixtureRequest, double: TrainedRun, file: Path) -> str:
    return str(double.folder if request.param == "run" else file)


def test_a_loaded_network_predicts_what_the_source_did(weights: str, double: TrainedRun) -> None:
    loaded = load_source(weights, double.training, double.config)
    expected = predict_logits(double.run.model, double.validation.crops)
    received = predict_logits(loaded.model, double.validation.crops)
    for head, values in expected.items():
        np.testing.assert_allclose(received[head], values, atol=1e-4)


def test_normalisation_that_was_folded_sees_its_own_statistics(file: Path, double: TrainedRun) -> None:
    """Estimated anew, as after each epoch, they are nearly those that it was given."""
    loaded = load_source(str(file), double.training, double.config).model
    before = predict_logits(loaded, double.validation.crops)
    estimate_batch_norm(loaded, double.training.crops)
    after = predict_logits(loaded, double.validation.crops)
    for head, values in before.items():
        assert (values.argmax(axis=1) == after[head].argmax(axis=1)).mean() > 0.95


@pytest.mark.parametrize("weights", ["file", pytest.param("run", marks=pytest.mark.long)], indirect=True)
def test_a_run_goes_on_from_there_and_its_facts_tell(weights: str, double: TrainedRun, tmp_path: Path) -> None:
    continued = further(
        replace(double.config, weights=weights, epochs=1, learning_rate=1e-4, warmup_epochs=0.0), double, tmp_path
    )
    score = {score.head: score.accuracy for score in continued.history[0].scores}
    best = double.run.history[-1]
    assert score == pytest.approx({one.head: one.accuracy for one in best.scores}, abs=0.05)
    assert "sha256:" in json.loads((tmp_path / "run.json").read_text())["source"]["weights"]


def test_a_run_that_has_a_checkpoint_needs_the_first_weights_no_more(double: TrainedRun, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(double.folder, base)
    config = replace(double.config, weights=str(base), epochs=1, learning_rate=1e-4, warmup_epochs=0.0)
    done = further(config, double, tmp_path / "run")
    shutil.rmtree(base)
    again = train(double.training, double.validation, config, tmp_path / "run", lambda _: None, Options(resume=True))
    assert again.history == done.history


@pytest.mark.long
def test_a_run_that_never_had_one_goes_on_with_the_same_weights_only(double: TrainedRun, tmp_path: Path) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    shutil.copytree(double.folder, base)
    config = replace(double.config, weights=str(base), epochs=1, learning_rate=1e-4, warmup_epochs=0.0)
    further(config, double, run)
    shutil.rmtree(run / CHECKPOINTS)
    build_float32(NetworkShape(24, 1, (("fer2013", 7), ("ferplus", 8))), "nano").save_weights(base / BEST)
    with pytest.raises(TrainingError, match=r"expected weights = base, a run, sha256:.* Restore that"):
        train(double.training, double.validation, config, run, lambda _: None, Options(resume=True))


def test_a_run_without_weights_is_refused(double: TrainedRun, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(double.folder, base)
    (base / BEST).unlink()
    with pytest.raises(TrainingError, match="expected weights of 'nano'"):
        load_source(str(base), double.training, double.config)


def test_heads_of_other_labels_stay_fresh(weights: str, double: TrainedRun) -> None:
    data = drawn(each=8)
    loaded = load_source(weights, data, double.config)
    model = build_float32(NetworkShape(data.size, 1, (("classes", 8),)), "nano")
    fresh = model.get_layer("classes").get_weights()
    warm_start(model, loaded, dict(heads_of(data)))
    np.testing.assert_array_equal(model.get_layer("classes").get_weights()[0], fresh[0])
    convolutions = [layer for layer in model.layers if layer.name.startswith("conv")]
    sources = [layer for layer in loaded.model.layers if layer.name.startswith("conv")]
    assert len(convolutions) == len(sources) > 5
    for one, other in zip(convolutions, sources, strict=True):
        np.testing.assert_array_equal(one.get_weights()[0], other.get_weights()[0])


def test_weights_of_another_network_are_refused(weights: str, double: TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"of the network 'compact'; received .* of 'nano'.*--arch nano"):
        further(replace(double.config, network="compact", weights=weights), double, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_model_is_refused(double: TrainedRun) -> None:
    with pytest.raises(ModelError, match="received 'nobody'"):
        load_source("nobody", double.training, double.config)


@pytest.mark.parametrize("network", ["mini-xception", "deep-conv"])
def test_what_can_t_be_had_from_a_model_file_says_to_take_the_run(network: str, file: Path) -> None:
    model = build_float32(NetworkShape(48, 1, (("fer2013", 7), ("ferplus", 8))), network)
    content = file.read_bytes()
    with pytest.raises(TrainingError, match="start from its run directory"):
        load_onnx_weights(model, content, Classifier(content).card, drawn_with_votes(each=2).crops)


def further(config: TrainingConfig, before: TrainedRun, run: Path) -> Run:
    return train(before.training, before.validation, config, run, lambda _: None)
