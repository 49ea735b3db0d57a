from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mien.training.config import PLAIN, config_for
from mien.training.transfer.backbones import BACKBONES, effective_config, fine_tuning_config, weights_setting


@pytest.mark.parametrize("network", BACKBONES)
def test_every_transfer_network_has_a_config_with_imagenet_weights(network: str) -> None:
    config = config_for(network)
    assert (config.network, config.weights, config.fine_tune, config.optimizer) == (network, "imagenet", 0, "adamw")


def test_head_training_uses_plain_and_mirrored_images() -> None:
    config = effective_config(config_for("vgg16"))
    assert config.augmentation == replace(PLAIN, flip=1.0)
    assert effective_config(config) == config
    unmirrored = replace(config, augmentation=PLAIN)
    assert effective_config(unmirrored) == unmirrored


@pytest.mark.parametrize("choice", [{"weights": "none"}, {"fine_tune": 2}, {"network": "nano"}], ids=str)
def test_training_on_images_keeps_the_augmentation(choice: dict[str, object]) -> None:
    config = replace(config_for("vgg16"), **choice)
    assert effective_config(config) == config


def test_fine_tuning_has_a_tenth_of_the_learning_rate() -> None:
    config = config_for("vgg16")
    assert fine_tuning_config(config).learning_rate == pytest.approx(config.learning_rate / 10)


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        ("imagenet", "imagenet"),
        ("none", "none"),
        ("compact", "compact"),
        ("runs/mine", str(Path.cwd() / "runs" / "mine")),
        ("w.h5", str(Path.cwd() / "w.h5")),
        ("~/w.h5", str(Path.home() / "w.h5")),
    ],
)
def test_paths_of_weights_become_absolute(value: str, setting: str) -> None:
    assert weights_setting(value) == setting


def test_a_folder_without_a_run_does_not_shadow_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("imagenet", "compact"):
        (tmp_path / name).mkdir()
        assert weights_setting(name) == name
