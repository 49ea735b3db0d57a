"""What the networks of these tests are taught: drawn stripes, turned by eighths, and quick runs over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, Truth
from mien.emotions import FER2013, FERPLUS
from mien.training.config import PLAIN, TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path

    from mien.training.engine.fit import Run
    from mien.training.run.progress import TrainEvent

PATTERNS = tuple(f"stripes-{turn}" for turn in range(8))

QUICK = TrainingConfig(
    network="two-conv",
    epochs=3,
    fine_tune_epochs=0,
    warmup_epochs=0.5,
    batch=32,
    learning_rate=0.05,
    ema_decay=0.8,
    augmentation=PLAIN,
)


def stripes(turns: np.ndarray, size: int, channels: int, seed: int) -> np.ndarray:
    """Face crops of noisy stripes, uint8 (count, size, size, channels): ``turns`` are in eighths."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[:size, :size]
    angles = np.pi * turns[:, None, None] / 8
    phases = random.uniform(0, 2 * np.pi, (len(turns), 1, 1))
    waves = np.sin((np.cos(angles) * across + np.sin(angles) * down) * 2 * np.pi / 6 + phases)
    grey = 128 + 70 * waves + random.normal(0, 12, waves.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], channels, axis=3)


def one_hot(answers: np.ndarray, labels: int) -> np.ndarray:
    return np.eye(labels, dtype=np.float32)[answers]


def drawn(each: int, size: int = 24, channels: int = 1, seed: int = 0) -> Dataset:
    """Eight classes in their order, as a folder has them: ``each`` face crops a class, a quarter of them for
    validation."""
    turns = np.repeat(np.arange(8), each)
    count = len(turns)
    splits = np.where(np.arange(count) % 4 == 3, PUBLIC_TEST, TRAINING)
    truth = Truth("classes", PATTERNS, one_hot(turns, 8), np.ones(count, np.float32), np.ones(count, np.bool_))
    return Dataset(
        name="drawn",
        crops=stripes(turns, size, channels, seed),
        truths=(truth,),
        splits=splits,
        rows=np.array([str(row) for row in range(count)]),
        digest="d" * 64,
    )


def drawn_with_votes(each: int, size: int = 24) -> Dataset:
    """The same face crops under FER2013's labels and FER+ votes; every fifth row has no votes that count."""
    data = drawn(each, size)
    turns = data.truths[0].answers
    own = np.array([FER2013.index(label) if label in FER2013 else FER2013.index("neutral") for label in FERPLUS])[turns]
    votes = (0.8 * one_hot(turns, 8) + 0.2 / 8).astype(np.float32)
    counted = np.arange(len(data)) % 5 > 0
    ones = np.ones(len(data), np.float32)
    return replace(
        data,
        truths=(
            Truth("fer2013", tuple(map(str, FER2013)), one_hot(own, 7), ones, ones > 0),
            Truth("ferplus", tuple(map(str, FERPLUS)), votes, counted.astype(np.float32), counted),
        ),
    )


@dataclass(frozen=True)
class TrainedRun:
    """A finished run with all that went into it and was told of it."""

    folder: Path
    training: Dataset
    validation: Dataset
    config: TrainingConfig
    run: Run
    told: tuple[TrainEvent, ...]


def trained(folder: Path, data: Dataset, config: TrainingConfig) -> TrainedRun:
    from mien.training.engine.fit import fit

    told: list[TrainEvent] = []
    training, validation = data.split(TRAINING), data.split(PUBLIC_TEST)
    return TrainedRun(
        folder, training, validation, config, fit(training, validation, config, folder, told.append), tuple(told)
    )
