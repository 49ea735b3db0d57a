"""A new head on a frozen backbone: features are computed once, cached on disk, and the head trains on them.

Features are cached in blocks, each named by the SHA-256 of its images, in a folder named after the network and its
weights. So they can't go stale, and an interrupted computation resumes after its last block. They are float32, as the
backbone outputs them, so that a head trained on them behaves the same on top of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt

from mien.data.cache import UNREADABLE
from mien.errors import TrainingError
from mien.media.files import atomic_write, cache_folder
from mien.training.architectures.pretrained import classification_head
from mien.training.engine.augmentation import generator
from mien.training.engine.optimization import is_finished, learning_rate_at
from mien.training.engine.variables import reseed, restore, to_arrays
from mien.training.run.history import Epoch, best_epoch
from mien.training.tasks.classification.compilation import compile_classifier, shape_of
from mien.training.tasks.classification.task import evaluate_heads, training_targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.config import TrainingConfig
    from mien.training.run.checkpoint import Arrays
    from mien.training.tasks.classification.task import Logits

    Extract = Callable[[Crops], "Features"]

CACHE_VERSION = 1
"""Increased when the layers before the backbone change: sizes, resizing, preprocessing."""

BLOCK_SIZE = 256
"""Images per block: 2 MB for 2,048 features each, and few enough for the memory of any network."""

REPORT_SECONDS = 10.0
"""Seconds between progress messages."""

Features = npt.NDArray[np.float32]


def feature_cache(network: str, size: int, weights: str) -> Path:
    """The folder in which the features of a backbone are cached.

    Args:
        network: name of the architecture.
        size: input side of the backbone in pixels.
        weights: SHA-256 of the backbone's weights.
    """
    return cache_folder() / "features" / f"{network}-{CACHE_VERSION}-{size}-{weights[:16]}"


def extract_features(extract: Extract, crops: Crops, cache: Path, report: Callable[[str], None]) -> Features:
    """The features of all face crops, read from the cache where possible.

    Args:
        extract: computes the features of a block, (count, width).
        crops: uint8 (count, size, size, channels).
        cache: folder of the features of ``extract``, see ``feature_cache``.
        report: receives progress messages.

    Returns:
        float32 (count, width).
    """
    started = reported = time.monotonic()
    parts: list[Features] = []
    for at in range(0, len(crops), BLOCK_SIZE):
        parts.append(_block(extract, crops[at : at + BLOCK_SIZE], cache))
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            done = at + len(parts[-1])
            left = (reported - started) / done * (len(crops) - done)
            report(f"features of {done:,} of {len(crops):,} images, {left / 60:.1f} minutes left")
    return np.concatenate(parts)


def _block(extract: Extract, crops: Crops, cache: Path) -> Features:
    """The features of a block. A cache that can't be written only costs time, so it is no error."""
    digest = hashlib.sha256(repr(crops.shape).encode())
    digest.update(crops.tobytes())
    path = cache / f"{digest.hexdigest()}.npy"
    features = _read(path, len(crops))
    if features is None:
        features = np.asarray(extract(crops), dtype=np.float32)
        with contextlib.suppress(OSError), atomic_write(path) as aside, aside.open("wb") as file:
            np.save(file, features)
    return features


def _read(path: Path, count: int) -> Features | None:
    """The features in a file; None where it is missing or unreadable."""
    try:
        with path.open("rb") as file:
            features = np.lib.format.read_array(file, allow_pickle=False)
    except UNREADABLE:
        return None
    valid = features.dtype == np.float32 and features.ndim == 2 and len(features) == count
    return features if valid else None


EVALUATION_BATCH = 4096


@dataclass(frozen=True)
class FeatureSet:
    """Features, float32 (count, width), with the data set they were computed from, row by row."""

    features: Features
    data: Dataset


def train_head(
    model: keras.Model,
    training: FeatureSet,
    validation: FeatureSet,
    config: TrainingConfig,
    record: Callable[[tuple[Epoch, ...]], None],
    check: Callable[[], None],
) -> tuple[Epoch, ...]:
    """Train the head on features and load the weights of its best epoch into the network.

    The same config, features and machine give the same weights.

    Args:
        model: a transfer network; its backbone is not changed.
        training: features to train on.
        validation: features that the best epoch is selected on.
        config: the training config.
        record: called with the history after each epoch.
        check: called before each step; an exception from it ends the training.

    Returns:
        The history, one entry per epoch.
    """
    keras.utils.set_random_seed(config.seed)
    head = _head(training, config)
    training = FeatureSet(training.features, training_targets(training.data, config))
    best: Arrays = {}
    history: tuple[Epoch, ...] = ()
    while not is_finished(config, history):
        started = time.perf_counter()
        loss, accuracy = _train_epoch(head, training, config, history, check)
        seconds = time.perf_counter() - started
        last = to_arrays(head.weights)
        head.optimizer.finalize_variable_values(head.trainable_variables)
        averaged = to_arrays(head.weights)
        restore(head.weights, averaged)  # on JAX the weights still share their arrays with the averages
        steps = _steps(training, config)
        epoch = Epoch(
            number=len(history) + 1,
            loss=loss,
            accuracy=accuracy,
            scores=evaluate_heads(_logits(head, validation.features), validation.data),
            learning_rate=learning_rate_at(config, steps, (len(history) + 1) * steps - 1, history),
            seconds=time.perf_counter() - started,
            images_per_second=steps * min(config.batch, len(training.data)) / seconds,
            waiting=0.0,
        )
        history = (*history, epoch)
        if best_epoch(history) == epoch.number:
            best = averaged
        restore(head.weights, last)
        record(history)
    restore(head.weights, best)
    _copy_weights(head, model)
    return history


def _head(training: FeatureSet, config: TrainingConfig) -> keras.Model:
    """The new layers on their own, compiled."""
    features = keras.Input(training.features.shape[1:], name="features")
    head = keras.Model(features, classification_head(features, shape_of(training.data, config)))
    compile_classifier(head, training.data, config)
    return head


def _train_epoch(
    head: keras.Model,
    training: FeatureSet,
    config: TrainingConfig,
    history: tuple[Epoch, ...],
    check: Callable[[], None],
) -> tuple[float, float]:
    """Train one epoch; returns its mean loss and the mean accuracy of the first head."""
    epoch, steps = len(history), _steps(training, config)
    order = generator(config.seed, epoch, stream=1).permutation(len(training.data))
    sums = np.zeros(2)
    for step in range(steps):
        check()
        rows = order[step * config.batch : (step + 1) * config.batch]
        targets = {truth.head: truth.targets[rows] for truth in training.data.truths}
        weights = {truth.head: truth.weights[rows] for truth in training.data.truths}
        reseed(head, config.seed, epoch, step)
        head.optimizer.learning_rate = learning_rate_at(config, steps, epoch * steps + step, history)
        # train_on_batch resets its metrics, so the logs are of this batch alone
        logs = head.train_on_batch(training.features[rows], targets, weights, return_dict=True)
        sums += float(logs["loss"]), next(float(value) for name, value in logs.items() if name.endswith("accuracy"))
    if not np.isfinite(sums).all():
        raise TrainingError(
            f"expected a finite loss; received {sums[0] / steps} in epoch {epoch + 1}. Lower the learning rate"
        )
    loss, accuracy = (sums / steps).tolist()
    return loss, accuracy


def _steps(training: FeatureSet, config: TrainingConfig) -> int:
    """Steps per epoch; a short last batch is dropped unless it is the only one."""
    return max(1, len(training.data) // config.batch)


def _logits(head: keras.Model, features: Features) -> Logits:
    """The logits of each head, float32 (count, labels)."""
    blocks = np.array_split(features, max(1, len(features) // EVALUATION_BATCH))
    parts = [head.predict_on_batch(block) for block in blocks]
    return {name: np.concatenate([part[name] for part in parts]).astype(np.float32) for name in parts[0]}


def _copy_weights(head: keras.Model, model: keras.Model) -> None:
    """Copy the weights of the head to the layers of the same names in the network."""
    for layer in head.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
