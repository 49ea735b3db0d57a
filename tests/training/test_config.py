from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from mien.errors import UsageError
from mien.training.config import PLAIN, Augmentation, TrainingConfig, config_for, config_named, from_toml, read

if TYPE_CHECKING:
    from pathlib import Path

OTHER = TrainingConfig(
    network="nano",
    seed=7,
    epochs=3,
    fine_tune_epochs=1,
    warmup_epochs=0.5,
    precision="mixed_bfloat16",
    augmentation=Augmentation(flip=0.0, scale=(0.5, 2.0)),
)


@pytest.mark.parametrize(
    "config", [TrainingConfig(), OTHER, replace(OTHER, augmentation=PLAIN)], ids=["default", "own", "plain"]
)
def test_a_saved_config_is_read_back_whole(config: TrainingConfig, tmp_path: Path) -> None:
    pytest.importorskip("tomli_w")
    config.save(tmp_path / "run" / "config.toml")
    assert read(tmp_path / "run" / "config.toml") == config


def test_what_the_text_does_not_name_keeps_its_default() -> None:
    text = "epochs = 20\n[augmentation]\nrotate = 5\nscale = [0.9, 1.1]\n"
    assert from_toml(text) == TrainingConfig(epochs=20, augmentation=Augmentation(rotate=5, scale=(0.9, 1.1)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch = 3", r"received \['epoch'\]"),
        ("[augmentation]\nspin = 3", r"received \['spin'\]"),
        ("epochs: 3", "expected a config as TOML"),
        ("augmentation = 3", "expected augmentation as a table"),
        ("[augmentation]\nscale = 1.2", "does not fit"),
        ("[augmentation]\nflip = 'often'", "does not fit"),
        ("rate = 'fast'", "does not fit"),
        ("epochs = 12.5", "expected epochs as a whole number"),
        ("seed = 'x'", "expected seed as a whole number"),
    ],
)
def test_a_text_that_is_no_config_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        from_toml(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["absent", "no text"])
def test_a_file_that_cannot_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(UsageError, match="could not read"):
        read(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("epochs", 0),
        ("fine_tune_epochs", 81),
        ("fine_tune_epochs", -1),
        ("batch", 0),
        ("learning_rate", 0.0),
        ("learning_rate", 101.0),
        ("learning_rate", float("nan")),
        ("warmup_epochs", 80.5),
        ("momentum", 1.0),
        ("ema_decay", 1.0),
        ("dropout", -0.1),
        ("label_smoothing", 1.0),
        ("own_head_weight", 1.0),
        ("weight_decay", -1e-9),
        ("clipnorm", float("inf")),
        ("auxiliary_loss_weight", -1.0),
        ("crop_factor", 0.1),
        ("precision", "float16"),
    ],
)
def test_a_choice_outside_its_range_is_refused(choice: str, value: object) -> None:
    with pytest.raises(UsageError, match=choice):
        TrainingConfig(**{choice: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"teacher": "large", "soft_labels": "fer2013"}, "a teacher or soft labels; received both"),
        ({"teacher": "yunet,a.onnx", "network": "face-detector"}, "one for the face detector"),
        ({"teacher": "large", "distillation_weight": 0.0}, "a distillation_weight above 0 with a teacher"),
        ({"copy_paste": "fer2013.csv"}, "face crops to paste with the face detector and a teacher only"),
        (
            {"copy_paste": "fer2013.csv", "network": "face-detector"},
            "face crops to paste with the face detector and a teacher",
        ),
        (
            {"copy_paste": "fer2013.csv", "teacher": "large"},
            "face crops to paste with the face detector and a teacher only",
        ),
    ],
    ids=str,
)
def test_distillation_settings_fit_the_network(choices: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainingConfig(**choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "value"),
    [
        ("flip", 1.1),
        ("blur", -0.1),
        ("shrink", 2),
        ("jpeg", float("nan")),
        ("random_erasing", 1.01),
        ("mixup_share", -1),
        ("rotate", 181),
        ("shift", 0.6),
        ("shear", 1.1),
        ("brightness", 1.0),
        ("mixup", -0.2),
        ("scale", (1.2, 0.8)),
        ("scale", (0.1, 1.0)),
        ("scale", (1.0, 6.0)),
        ("scale", (1.0,)),
    ],
)
def test_an_augmentation_outside_its_range_is_refused(choice: str, value: object) -> None:
    with pytest.raises(UsageError, match=choice):
        Augmentation(**{choice: value})  # type: ignore[arg-type]


def test_softened_is_nowhere_stronger_and_never_mixes() -> None:
    full = Augmentation()
    soft = full.softened()
    assert (soft.mixup, soft.mixup_share) == (0.0, 0.0)
    assert soft.flip == full.flip  # a mirrored face is as good as the first
    assert full.scale[0] < soft.scale[0] < 1.0 < soft.scale[1] < full.scale[1]
    for choice in {part.name for part in fields(full)} - {"flip", "scale", "mixup", "mixup_share"}:
        assert getattr(soft, choice) == getattr(full, choice) / 2


@pytest.mark.parametrize(("epoch", "gentle"), [(0, False), (6, False), (7, True), (9, True)])
def test_the_last_epochs_are_the_fine_tune_phase(epoch: int, gentle: bool) -> None:
    config = TrainingConfig(epochs=10, fine_tune_epochs=3)
    assert config.augmentation_of(epoch) == (config.augmentation.softened() if gentle else config.augmentation)


def test_a_config_that_ships_is_found_by_its_name() -> None:
    assert config_named("large-fold") == config_for("large-fold")
    assert config_named("large-fold").network == "large"


def test_a_file_of_a_shipped_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nano").write_text("epochs = 30\n", encoding="utf-8")
    assert config_named("nano") == TrainingConfig(epochs=30)


def test_a_folder_of_a_shipped_name_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large-fold").mkdir()
    assert config_named("large-fold").network == "large"


@pytest.mark.parametrize("words", ["no-such-config", "../configs/nano", ""])
def test_a_missing_config_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=f"or one that ships: compact, .*; received {words!r}"):
        config_named(words)


def test_a_config_for_others_names_no_folders() -> None:
    own = TrainingConfig(weights="/home/ann/runs/base", soft_labels="/home/ann/soft.npz")
    assert own.without_folders() == TrainingConfig(weights="base", soft_labels="soft.npz")
    asked = TrainingConfig(teacher="large, /home/ann/wide.onnx")
    assert asked.without_folders() == TrainingConfig(teacher="large,wide.onnx")
    assert TrainingConfig(soft_labels="fer2013").without_folders() == TrainingConfig(soft_labels="fer2013")
