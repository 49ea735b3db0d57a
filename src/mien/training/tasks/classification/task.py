"""Expression classification: the training task of all classifier architectures, and its validation scores."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from mien.classification.probabilities import softmax
from mien.errors import DivergedError, TrainingError
from mien.evaluation.metrics import compute_metrics
from mien.training.distillation.online import teachers_for
from mien.training.distillation.soft_labels import (
    blend_soft_labels,
    soft_labels_for,
    soft_labels_origin,
    without_foreign_soft_labels,
)
from mien.training.engine.augmentation import generator
from mien.training.engine.loop import train
from mien.training.engine.variables import do_nothing
from mien.training.run.history import HeadScore
from mien.training.run.plots import write_samples
from mien.training.run.resume import run_info_of
from mien.training.tasks.classification.batches import Batches
from mien.training.tasks.classification.compilation import (
    build_compiled,
    build_float32,
    class_balanced,
    heads_of,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.config import TrainingConfig
    from mien.training.engine.loop import Options, Run
    from mien.training.engine.steps import Batch, Stepper
    from mien.training.run.directory import RunInfo, Source
    from mien.training.run.history import TrainEvent


def fit(
    training: Dataset,
    validation: Dataset,
    config: TrainingConfig,
    run: Path,
    report: Callable[[TrainEvent], None],
    options: Options | None = None,
) -> Run:
    """Train an expression classifier; see ``mien.training.engine.loop.train``.

    Args:
        training: the rows to train on.
        validation: the rows that the best epoch is chosen on; the same heads.
        config: the training config.
        run: the run directory.
        report: called with each event.
        options: how to carry out the run.
    """
    return train(ClassificationTask(training, validation, config), run, report, options)


class ClassificationTask:
    """Trains a classifier to predict the expression of a face crop; implements ``Task``.

    Args:
        training: rows to train on.
        validation: rows that the best epoch is selected on, with the same heads.
        config: the training config.
    """

    def __init__(self, training: Dataset, validation: Dataset, config: TrainingConfig) -> None:
        self._training, self._validation = training, validation
        config = without_foreign_soft_labels(config, training)
        self._teachers = teachers_for(config, training)
        self._batches = Batches(training_targets(training, config), config, self._teachers)
        self.config = config
        self.batch_size = min(config.batch, len(training))
        self.steps_per_epoch = self._batches.steps()

    def build_model(self) -> keras.Model:
        """Implements ``Task``."""
        return build_float32(shape_of(self._training, self.config), self.config.network)

    def compiled_model(self, initialize: Callable[[keras.Model], None] | None) -> keras.Model:
        """Implements ``Task``."""
        return build_compiled(self._training, self.config, initialize)

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """Implements ``Task``."""
        data = (self._training, self._validation)
        teacher = self._teachers.origin if self._teachers else ""
        source = replace(source, soft_labels=soft_labels_origin(self.config), teacher=teacher)
        return run_info_of(model, data, heads_of(self._training), self.config, source)

    def write_samples(self, path: Path) -> None:
        """Implements ``Task``."""
        write_samples(path, self._training, self.config)

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """Implements ``Task``."""
        return self._batches.epoch(epoch, first_step)

    def device_stepper(self, model: keras.Model) -> Stepper:
        """Implements ``Task``."""
        from mien.training.jax.steps import DeviceStepper  # imports JAX

        return DeviceStepper(model, self._training, self._batches, self.config)

    def unaugmented_images(self, limit: int) -> Crops:
        """Implements ``Task``."""
        # image folders are sorted by class, so the first rows would all be of one class
        rows = generator(0, 0, stream=3).permutation(len(self._training))[:limit]
        return self._training.crops[rows]

    def evaluate(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """Implements ``Task``."""
        return evaluate_heads(predict_logits(model, self._validation.crops, check), self._validation)


def training_targets(training: Dataset, config: TrainingConfig) -> Dataset:
    """The training data with class weights and soft labels applied, as the config says.

    Only the training steps use it; class counts, evaluation and calibration use the original labels. Class weights are
    applied first, so soft labels have the same weight in rare and in common classes.
    """
    soft = soft_labels_for(config, training)
    weighted = class_balanced(training, config)
    return weighted if soft is None else blend_soft_labels(weighted, soft, config.distillation_weight)


EVALUATION_BATCH = 512

Logits = dict[str, "npt.NDArray[np.float32]"]


def predict_logits(model: keras.Model, crops: npt.NDArray[np.uint8], check: Callable[[], None] = do_nothing) -> Logits:
    """The logits of each head, float32 (count, labels), in batches.

    Args:
        model: a classifier of the architectures.
        crops: uint8 (count, size, size, channels).
        check: called before each batch; an exception it raises ends the prediction.
    """
    parts = []
    for at in range(0, len(crops), EVALUATION_BATCH):
        check()
        parts.append(model.predict_on_batch(_padded(crops[at : at + EVALUATION_BATCH], len(crops))))
    return {head: np.concatenate([part[head] for part in parts])[: len(crops)].astype(np.float32) for head in parts[0]}


def _padded(part: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """On JAX the last batch, padded to full length; a shorter one would be compiled again."""
    short = EVALUATION_BATCH - len(part)
    if keras.backend.backend() != "jax" or short == 0 or count < EVALUATION_BATCH:
        return part
    return np.concatenate([part, np.zeros((short, *part.shape[1:]), np.uint8)])


def evaluate_heads(logits: Logits, data: Dataset) -> tuple[HeadScore, ...]:
    """The scores of each head on the rows that count for evaluation.

    Raises:
        TrainingError: a head has no such rows.
        DivergedError: the logits of a head are not finite.
    """
    scores = []
    for truth in data.truths:
        rows = np.flatnonzero(truth.evaluated)
        if len(rows) == 0:
            raise TrainingError(f"expected validation rows with a label of the head {truth.head!r}; there are none")
        if not np.isfinite(logits[truth.head]).all():
            raise DivergedError(
                f"expected finite logits of the head {truth.head!r}; received others: the weights have diverged, "
                "so lower the learning rate, or use float32 precision"
            )
        metrics = compute_metrics(softmax(logits[truth.head][rows]), truth.class_ids[rows], truth.labels)
        scores.append(HeadScore(truth.head, metrics.accuracy, metrics.macro_f1, metrics.nll))
    return tuple(scores)
