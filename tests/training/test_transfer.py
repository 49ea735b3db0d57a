"""Both stages on the smallest of the networks, from a file of weights of the published form."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from pretrained import SIZE, SMALL, base_weights, write_weights
from tasks_drawn import QUICK, drawn

from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.errors import TrainingError, UsageError
from mien.media.files import sha256_of
from mien.models.onnx_file import card_of, read_onnx
from mien.training.architectures.pretrained import backbone_of
from mien.training.config import PLAIN, TrainingConfig
from mien.training.engine.loop import Options
from mien.training.export.classifier import export_classifier
from mien.training.run.directory import BEST, MODEL, read_run
from mien.training.run.history import Epoch
from mien.training.tasks.classification.compilation import build_float32, load, shape_of
from mien.training.transfer.backbones import BACKBONES, effective_config
from mien.training.transfer.fine_tuning import train, unfreeze
from mien.training.transfer.imagenet_weights import load_backbone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keras

    from mien.training.engine.loop import Run

pytestmark = pytest.mark.train

FAMILY = BACKBONES[SMALL]
DATA = drawn(each=16, size=SIZE)
TRAIN, VALID = DATA.split(TRAINING), DATA.split(PUBLIC_TEST)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Path:
    return write_weights(folder / "base.h5")


@pytest.fixture(scope="module", autouse=True)
def cache(folder: Path) -> Iterator[Path]:
    """Features are computed once for all of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(folder / "cache"))
        yield folder / "cache" / "features"


@pytest.fixture(scope="module")
def config(weights: Path) -> TrainingConfig:
    return replace(
        QUICK, network=SMALL, weights=str(weights), optimizer="adamw", learning_rate=0.003, epochs=4, ema_decay=0.5,
        augmentation=replace(PLAIN, flip=0.5),
    )  # fmt: skip


@dataclass(frozen=True)
class Transferred:
    """A finished run, its directory, and the events it emitted."""

    folder: Path
    run: Run
    events: list[object]


def trained(run: Path, config: TrainingConfig, *, resume: bool = False) -> Transferred:
    events: list[object] = []
    return Transferred(run, train(TRAIN, VALID, config, run, events.append, Options(resume=resume)), events)


@pytest.fixture(scope="module")
def first(config: TrainingConfig, folder: Path) -> Transferred:
    """A head trained on the frozen backbone."""
    return trained(folder / "first", config)


def untrained(config: TrainingConfig, weights: Path) -> keras.Model:
    """The network before any training."""
    model = build_float32(shape_of(TRAIN, config), SMALL)
    load_backbone(backbone_of(model), weights, FAMILY)
    return model


def changed(before: keras.Model, after: keras.Model) -> set[str]:
    """The layers of the base that have other weights."""
    old, new = base_weights(before), base_weights(after)
    return {name for name in old if not all(map(np.array_equal, old[name], new[name]))}


def test_new_layers_learn_on_the_frozen_base(first: Transferred, config: TrainingConfig, weights: Path) -> None:
    assert max(epoch.validation_score for epoch in first.run.history) > 0.3  # chance is 1 in 8
    assert not changed(untrained(config, weights), first.run.model)
    assert [event for event in first.events if isinstance(event, Epoch)] == list(first.run.history)


def test_the_run_directory_is_complete(first: Transferred, config: TrainingConfig, weights: Path) -> None:
    record = read_run(first.folder)
    assert (record.config, record.history, record.finished) == (effective_config(config), first.run.history, True)
    assert record.run_info.source.weights == f"base.h5 sha256:{sha256_of(weights)}"
    again = load(first.folder / BEST, shape_of(TRAIN, config), SMALL)
    logits = again.predict_on_batch(VALID.crops)["classes"]
    np.testing.assert_allclose(logits, first.run.model.predict_on_batch(VALID.crops)["classes"], rtol=1e-4, atol=1e-5)
    accuracy = float((logits.argmax(axis=1) == VALID.truths[0].class_ids).mean())
    assert accuracy == record.best.scores[0].accuracy


def test_the_model_file_tells_what_the_run_began_with(
    first: Transferred, config: TrainingConfig, weights: Path
) -> None:
    card = export_classifier(first.run.model, TRAIN, VALID, config, first.folder / MODEL)
    assert card.origin.notes == f"Initial weights: base.h5 sha256:{sha256_of(weights)}."
    assert card_of(read_onnx(first.folder / MODEL)) == card


def test_a_finished_run_is_only_read(first: Transferred, config: TrainingConfig) -> None:
    again = trained(first.folder, config, resume=True)
    assert again.run.history == first.run.history
    assert "finished" in str(again.events[-1])
    with pytest.raises(TrainingError, match="--resume"):
        trained(first.folder, config)


def test_a_stopped_run_ends_with_the_same_weights_and_computes_no_feature_twice(
    first: Transferred, config: TrainingConfig, cache: Path, tmp_path: Path
) -> None:
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    assert len(files) == 3  # training images, the same mirrored, and validation images
    shutil.copytree(first.folder, tmp_path / "run")
    (tmp_path / "run" / BEST).unlink()  # as after a kill during training
    last = trained(tmp_path / "run", config, resume=True)
    assert [epoch.scores for epoch in last.run.history] == [epoch.scores for epoch in first.run.history]
    for one, other in zip(first.run.model.get_weights(), last.run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == files


@pytest.mark.long
def test_fine_tuning_starts_from_the_trained_head(config: TrainingConfig, tmp_path: Path) -> None:
    """At no rate to speak of the first epoch is as good as the new layers were."""
    done = trained(tmp_path, replace(config, fine_tune=2, epochs=1, learning_rate=1e-9, ema_decay=0.0))
    message = next(event for event in done.events if "head trained" in str(event))
    score = done.run.history[0].validation_score
    assert message == f"head trained on the frozen backbone, 1 epochs; accuracy: classes {score:.4f}"
    assert done.run.history[0].loss < 3 * done.run.history[0].scores[0].nll  # dropout apart, they are the same network


def test_the_last_blocks_alone_change(config: TrainingConfig, weights: Path, tmp_path: Path) -> None:
    tuned = replace(config, fine_tune=2, epochs=1)
    done = trained(tmp_path, tuned)
    before = untrained(config, weights)
    assert changed(before, done.run.model) == {
        layer.name
        for layer in backbone_of(before).layers
        if layer.weights and layer.name.startswith(("expanded_conv_10_", "conv_1")) and not layer.name.endswith("_bn")
    }
    again = trained(tmp_path, tuned, resume=True)
    assert again.run.history == done.run.history
    assert not any("head trained" in str(event) for event in again.events)


def test_all_blocks_at_most_are_unfrozen(config: TrainingConfig, weights: Path) -> None:
    base = backbone_of(untrained(config, weights))
    unfreeze(base, FAMILY, 12)
    assert all(layer.trainable != layer.name.endswith("_bn") for layer in base.layers if layer.weights)
    unfreeze(base, FAMILY, 0)
    assert not base.trainable_variables
    with pytest.raises(UsageError, match=r"up to 12, .*received 13"):
        unfreeze(base, FAMILY, 13)


@pytest.mark.long
def test_random_weights_are_all_trained(config: TrainingConfig, tmp_path: Path) -> None:
    run = trained(tmp_path, replace(config, weights="none", epochs=1, learning_rate=1e-3, warmup_epochs=0.5)).run
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["source"]["weights"] == ""
    statistics = base_weights(run.model)["conv_bn"][2]
    assert np.abs(statistics).max() > 0  # a fresh network's means are 0


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"weights": "none", "fine_tune": 1}, "no fine_tune"),
        ({"network": "nano", "weights": "imagenet", "fine_tune": 1}, "received it for 'nano'"),
        ({"fine_tune": 13}, "up to 12"),
    ],
    ids=["random", "blocks elsewhere", "too many"],
)
def test_settings_that_do_not_fit_are_refused_before_a_run_starts(
    choice: dict[str, object], message: str, config: TrainingConfig, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        trained(tmp_path / "run", replace(config, **choice))
    assert not (tmp_path / "run" / "config.toml").exists()


def test_weights_of_another_network_are_refused(config: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="MobileNet without its top"):
        trained(tmp_path / "run", replace(config, network="mobilenet"))
