"""Drawn data sets, and the runs that several tests look at. Modules that need Keras skip where it is not installed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.datasets.dataset import PUBLIC_TEST, TRAINING, Dataset, Truth
from mien.emotions import FER2013, FERPLUS
from mien.training import BACKENDS
from mien.training.recipe import PLAIN, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mien.training.fit import Epoch, Run

# Keras reads it once, when it is imported
if not os.environ.get("KERAS_BACKEND"):
    os.environ["KERAS_BACKEND"] = next((name for name in BACKENDS if find_spec(name)), BACKENDS[0])

PATTERNS = tuple(f"stripes-{turn}" for turn in range(8))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Keras 3.15's own Variable.__array__ lacks the copy argument that NumPy 2 asks for
    spared = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    for item in items:
        if item.get_closest_marker("train"):
            item.add_marker(spared)


@pytest.fixture(autouse=True)
def keras_settings() -> Iterator[None]:
    """Keras' global settings, left as they were found."""
    keras = sys.modules.get("keras")
    if keras is None:
        yield
        return
    policy, form = keras.config.dtype_policy(), keras.config.image_data_format()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(form)


def stripes(turns: np.ndarray, size: int, channels: int, seed: int) -> np.ndarray:
    """Chips of noisy stripes, uint8 (count, size, size, channels): ``turns`` says how far each is turned, in eighths."""
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
    """Eight classes in their order, as a folder has them: ``each`` chips a class, a quarter of them for validation."""
    turns = np.repeat(np.arange(8), each)
    count = len(turns)
    splits = np.where(np.arange(count) % 4 == 3, PUBLIC_TEST, TRAINING)
    truth = Truth("classes", PATTERNS, one_hot(turns, 8), np.ones(count, np.float32), np.ones(count, np.bool_))
    return Dataset(
        name="drawn",
        chips=stripes(turns, size, channels, seed),
        truths=(truth,),
        splits=splits,
        rows=np.array([str(row) for row in range(count)]),
        digest="d" * 64,
    )


def drawn_with_votes(each: int) -> Dataset:
    """The same chips under FER2013's labels and FER+ votes; every fifth row has no votes that count."""
    data = drawn(each)
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
class Taught:
    """A finished run with all that went into it and was told of it."""

    folder: Path
    training: Dataset
    validation: Dataset
    recipe: Recipe
    run: Run
    told: tuple[Epoch | float, ...]


def taught(folder: Path, data: Dataset, recipe: Recipe) -> Taught:
    from mien.training.fit import fit

    told: list[Epoch | float] = []
    training, validation = data.split(TRAINING), data.split(PUBLIC_TEST)
    return Taught(folder, training, validation, recipe, fit(training, validation, recipe, folder, told.append), tuple(told))


QUICK = Recipe(
    network="two-conv", epochs=3, gentle_epochs=0, warmup_epochs=0.5, batch=32, rate=0.05, average=0.8, augmentation=PLAIN
)


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """``two-conv`` taught the eight patterns."""
    return taught(tmp_path_factory.mktemp("single") / "run", drawn(each=64), QUICK)


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """``nano`` taught them under two sets of labels."""
    recipe = replace(QUICK, network="nano", epochs=2, rate=0.1)
    return taught(tmp_path_factory.mktemp("double") / "run", drawn_with_votes(each=64), recipe)
