"""Train a classifier on face crops with their expressions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mien.training.distillation.online import teachers_for
from mien.training.distillation.soft_labels import fitting, soft_labels_for, softened, told_of
from mien.training.engine.augmentation import generator
from mien.training.engine.loop import train
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
from mien.training.tasks.classification.validation import evaluate_heads, predict_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import keras

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.config import TrainingConfig
    from mien.training.engine.loop import Options, Run
    from mien.training.engine.steps import Batch, Stepper
    from mien.training.run.directory import RunInfo, Source
    from mien.training.run.history import HeadScore, TrainEvent


def fit(
    training: Dataset,
    validation: Dataset,
    config: TrainingConfig,
    run: Path,
    report: Callable[[TrainEvent], None],
    options: Options | None = None,
) -> Run:
    """Trains an expression classifier; see ``mien.training.engine.loop.train``.

    Args:
        training: the rows to train on.
        validation: the rows that the best epoch is chosen on; the same heads.
        config: the training config.
        run: the run directory.
        report: called with each event.
        options: how to carry out the run.
    """
    return train(Expressions(training, validation, config), run, report, options)


class Expressions:
    """A network of the architectures, a training and a validation split.

    Args:
        training: the rows learnt from.
        validation: the rows that the epoch is chosen on; the same heads.
        config: every choice.
    """

    def __init__(self, training: Dataset, validation: Dataset, config: TrainingConfig) -> None:
        self._training, self._validation = training, validation
        config = fitting(config, training)
        self._teachers = teachers_for(config, training)
        self._batches = Batches(trained_by(training, config), config, self._teachers)
        self.config = config
        self.batch = min(config.batch, len(training))
        self.steps = self._batches.steps()

    def network(self) -> keras.Model:
        """As ``Lesson`` asks."""
        return build_float32(shape_of(self._training, self.config), self.config.network)

    def learner(self, start: Callable[[keras.Model], None] | None) -> keras.Model:
        """As ``Lesson`` asks."""
        return build_compiled(self._training, self.config, start)

    def run_info(self, model: keras.Model, source: Source) -> RunInfo:
        """As ``Lesson`` asks."""
        data = (self._training, self._validation)
        teacher = self._teachers.origin if self._teachers else ""
        source = replace(source, soft_labels=told_of(self.config), teacher=teacher)
        return run_info_of(model, data, heads_of(self._training), self.config, source)

    def write_samples(self, path: Path) -> None:
        """As ``Lesson`` asks."""
        write_samples(path, self._training, self.config)

    def epoch(self, number: int, first: int) -> Iterator[Batch]:
        """As ``Lesson`` asks."""
        return self._batches.epoch(number, first)

    def on_device(self, model: keras.Model) -> Stepper:
        """As ``Lesson`` asks."""
        from mien.training.jax.steps import OnDevice  # imports JAX

        return OnDevice(model, self._training, self._batches, self.config)

    def plain_images(self, most: int) -> Crops:
        """As ``Lesson`` asks."""
        # a folder comes in the order of its classes: the first rows, or a batch of neighbours, would show but one
        rows = generator(0, 0, stream=3).permutation(len(self._training))[:most]
        return self._training.crops[rows]

    def judge(self, model: keras.Model, check: Callable[[], None]) -> tuple[HeadScore, ...]:
        """As ``Lesson`` asks."""
        return evaluate_heads(predict_logits(model, self._validation.crops, check), self._validation)


def trained_by(training: Dataset, config: TrainingConfig) -> Dataset:
    """What the batches are made of: the rows balanced and blended with soft labels, as the config has it.

    Only learning sees it: classes are counted, models judged and calibrated by the data's own labels. So the balance
    comes first, and soft labels count the same in rare and in common classes.
    """
    soft = soft_labels_for(config, training)
    own = class_balanced(training, config)
    return own if soft is None else softened(own, soft, config.distillation_weight)
