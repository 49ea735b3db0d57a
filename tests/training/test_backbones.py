from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mien.training.config import PLAIN, config_for
from mien.training.transfer.backbones import BACKBONES, effective_config, fine_tuning_config, weights_setting


@pytest.mark.parametrize("network", BACKBONES)
def test_every_transfer_network_has_a_config_that_begins_with_imagenet(network: str) -> None:
    config = config_for(network)
    assert (config.network, config.weights, config.fine_tune, config.optimizer) == (network, "imagenet", 0, "adamw")


def test_new_layers_alone_learn_from_plain_and_mirrored_images() -> None:
    config = effective_config(config_for("vgg16"))
    assert config.augmentation == replace(PLAIN, flip=1.0)
    assert effective_config(config) == config
    unmirrored = replace(config, augmentation=PLAIN)
    assert effective_config(unmirrored) == unmirrored


@pytest.mark.parametrize("choice", [{"weights": "none"}, {"fine_tune": 2}, {"network": "nano"}], ids=str)
def test_what_learns_from_images_keeps_its_augmentation(choice: dict[str, object]) -> None:
    config = replace(config_for("vgg16"), **choice)
    assert effective_config(config) == config


def test_blocks_are_taught_on_at_a_tenth_of_the_rate() -> None:
    config = config_for("vgg16")
    assert fine_tuning_config(config).rate == pytest.approx(config.learning_rate / 10)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("imagenet", "imagenet"),
        ("none", "none"),
        ("compact", "compact"),
        ("runs/mine", str(Path.cwd() / "runs" / "mine")),
        ("w.h5", str(Path.cwd() / "w.h5")),
        ("~/w.h5", str(Path.home() / "w.h5")),
    ],
)
def test_a_file_of_weights_is_found_from_anywhere(words: str, chosen: str) -> None:
    assert weights_setting(words) == chosen


def test_a_folder_that_is_no_run_hides_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("imagenet", "compact"):
        (tmp_path / name).mkdir()
        assert weights_setting(name) == name
