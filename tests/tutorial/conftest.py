"""A network trained in seconds, as a run directory with its model file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, one_hot

if TYPE_CHECKING:
    from pathlib import Path

CORNERS = ("lower", "upper")


@pytest.fixture(scope="session")
def squares() -> Dataset:
    """Noisy face crops of 16 pixels with a bright square in the upper or the lower half, which is the class."""
    dice = np.random.default_rng(0)
    answers = np.arange(160) % 2
    crops = dice.integers(90, 120, (160, 16, 16, 1)).astype(np.uint8)
    for crop, upper in zip(crops, answers, strict=True):
        top, left = dice.integers(1, 4) + (0 if upper else 8), dice.integers(1, 11)
        crop[top : top + 4, left : left + 4] = 220
    splits = np.where(np.arange(160) % 4 >= 2, PUBLIC_TEST, TRAINING)
    rows = np.array([str(row) for row in range(160)])
    return Dataset("squares", crops, (one_hot("classes", CORNERS, answers),), splits, rows, "d" * 64)


@pytest.fixture(scope="session")
def run(squares, tmp_path_factory) -> Path:
    """A run directory of ``digits-conv`` that classifies the squares."""
    pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")
    from mien.training import prepare_backend

    prepare_backend()
    from mien.training.config import PLAIN, TrainingConfig
    from mien.training.export.classifier import export_classifier
    from mien.training.tasks.classification.task import fit

    folder = tmp_path_factory.mktemp("tutorial") / "run"
    config = TrainingConfig(
        network="digits-conv",
        epochs=4,
        fine_tune_epochs=0,
        warmup_epochs=0.5,
        batch=16,
        learning_rate=0.03,
        ema_decay=0.5,
        augmentation=PLAIN,
        precision="float32",
    )
    training, validation = squares.split(TRAINING), squares.split(PUBLIC_TEST)
    trained = fit(training, validation, config, folder, lambda _: None)
    export_classifier(trained.model, training, validation, config, folder / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def network(run):
    from mien.explain.network import load_network

    return load_network(run)
