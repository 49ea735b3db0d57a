"""Soft labels of training rows by networks that did not learn from them: each row is told by the runs without its fold.

What a network says of rows that it learnt from is mostly what it was taught; of others it is what it sees.
"""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.probabilities import log_softmax
from mien.data.splits import Fold, digest_outside, fold_named, fold_of_rows
from mien.errors import UsageError
from mien.evaluation.calibration import fit_temperature
from mien.media.prefetch import prefetch
from mien.training.distillation.soft_labels import collected
from mien.training.engine.augmentation import augment, draws
from mien.training.splits import splits_of
from mien.training.tasks.classification.compilation import best_network, shape_of
from mien.training.tasks.classification.validation import evaluate_heads, predict_logits
from mien.training.transfer.choices import TRANSFER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import keras
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.structures import Crops
    from mien.training.architectures import NetworkShape
    from mien.training.config import Augmentation, TrainingConfig
    from mien.training.distillation.soft_labels import SoftLabels
    from mien.training.run.directory import Record
    from mien.training.run.history import HeadScore

    Splits = tuple[Dataset, Dataset]
    Told = dict[str, npt.NDArray[np.float64]]

BLOCK = 2048
"""Face crops that are changed at once."""


def soft_labels_by(
    records: Sequence[Record], data: Dataset, views: int, tell: Callable[[float], None]
) -> tuple[SoftLabels, tuple[HeadScore, ...]]:
    """The soft labels of all training rows, each by the runs that left its fold out.

    A run's logits are the mean over views of an image, at a temperature fitted on the validation split; several
    runs of one fold are averaged as log-probabilities.

    Args:
        records: finished runs of the same data and number of folds, at least one a fold.
        data: what they were taught, all of it.
        views: changed copies of each image, at least 1; the first is the image itself, the second its mirror image.
        tell: is told the share that is done.

    Returns:
        The soft labels, and how well they tell the data's own ones.

    Raises:
        UsageError: a run is none of a fold, is not finished, is of other data or folds; or a fold lacks a run.
        TrainingError: a run has no weights.
    """
    folds = folds_of(records)
    training, _ = _splits(records[0], data)
    for fold, record in zip(folds, records, strict=True):
        _check_same(record, fold, _splits(record, data)[0], training)
    place = fold_of_rows(training, folds[0].count)
    total = views * sum(
        int((place == fold.number).sum()) + record.run_info.validation_rows
        for fold, record in zip(folds, records, strict=True)
    )
    done = 0

    def seen(images: int) -> None:
        nonlocal done
        done += images
        tell(done / total)

    sums = {truth.head: np.zeros(truth.targets.shape) for truth in training.truths}
    models: dict[tuple[NetworkShape, str], keras.Model] = {}
    for fold, record in zip(folds, records, strict=True):
        rows = np.flatnonzero(place == fold.number)
        splits = _splits(record, data)
        kind = (shape_of(splits[0], record.config), record.config.network)
        models[kind] = best_network(record.path, *kind, models.get(kind))
        for head, values in _told(models[kind], record, training.crops[rows], splits[1], views, seen).items():
            sums[head][rows] += values
    times = np.bincount([fold.number for fold in folds])[place][:, None]
    logs = {head: log_softmax(values / times) for head, values in sums.items()}
    scores = evaluate_heads({head: values.astype(np.float32) for head, values in logs.items()}, training)
    told = {truth.head: (tuple(map(str, truth.labels)), np.exp(logs[truth.head])) for truth in training.truths}
    return collected(training.crops, told, _made(records, training, views, scores)), scores


def folds_of(records: Sequence[Record]) -> tuple[Fold, ...]:
    """The fold that each run left out.

    Raises:
        UsageError: one is not finished or left none out, their numbers of folds differ, or a fold lacks a run.
    """
    for record in records:
        if not record.run_info.source.fold or not record.finished:
            what = "is not finished" if record.run_info.source.fold else "left no fold out"
            raise UsageError(
                f"expected finished runs of folds; received {record.path}, which {what}. 'mien train --fold K/N' "
                "makes one, --resume ends it"
            )
        if record.run_info.source.weights and record.run_info.network not in TRANSFER:
            raise UsageError(
                f"expected runs that began with random weights; {record.path} began with "
                f"{record.run_info.source.weights}, which may have learnt from its fold. Leave --weights away"
            )
    folds = tuple(fold_named(record.run_info.source.fold) for record in records)
    counts = sorted({fold.count for fold in folds})
    if len(counts) != 1:
        raise UsageError(f"expected runs of the same number of folds; received runs of {counts}")
    missing = [str(Fold(number, counts[0])) for number in range(counts[0]) if Fold(number, counts[0]) not in folds]
    if missing:
        raise UsageError(
            f"expected a run for each of {counts[0]} folds; there is none for {', '.join(missing)}. "
            f"Make them: mien train --fold {missing[0]}"
        )
    return folds


def mean_logits(
    model: keras.Model, crops: Crops, config: TrainingConfig, views: int, seen: Callable[[int], None]
) -> dict[str, npt.NDArray[np.float64]]:
    """The logits of each head, float64 (count, labels), averaged over views of each face crop.

    Args:
        model: a network of the architectures.
        crops: uint8 (count, size, size, channels).
        config: how the network was taught: views are changed as images were in its gentle epochs, with none covered.
        views: how many.
        seen: is told how many face crops were seen, block by block.
    """
    strength = dataclasses.replace(config.augmentation.softened(), random_erasing=0.0)
    sums: dict[str, npt.NDArray[np.float64]] = {}
    parts = [slice(start, min(start + BLOCK, len(crops))) for start in range(0, len(crops), BLOCK)]
    tables = (draws(config.seed, number, len(crops)) for number in range(views))
    seen_as = (
        (part, _view(crops[part], table[part], number, strength))
        for number, table in enumerate(tables)
        for part in parts
    )
    for part, view in prefetch(seen_as, 2):
        for head, values in predict_logits(model, view).items():
            sums.setdefault(head, np.zeros((len(crops), values.shape[1])))[part] += values
        seen(len(view))
    return {head: values / views for head, values in sums.items()}


def _view(crops: Crops, table: npt.NDArray[np.float32], number: int, strength: Augmentation) -> Crops:
    if number == 0:
        return crops
    if number == 1 and strength.flip > 0:  # mirrored digits are none, and no config of theirs mirrors
        return np.ascontiguousarray(crops[:, :, ::-1])
    return augment(crops, table, strength)


def _splits(record: Record, data: Dataset) -> Splits:
    """All that the run could have learnt from, its fold too, and what it chose on."""
    return splits_of(data, dataclasses.replace(record.run_info.source, fold=""), record.config)


def _check_same(record: Record, fold: Fold, own: Dataset, training: Dataset) -> None:
    """Nothing, where the run learnt from the rows outside its fold of this very data."""
    same = record.run_info.digest == digest_outside(training.digest, fold)
    if not same or not np.array_equal(own.rows, training.rows):
        raise UsageError(
            f"expected runs of the same rows of {training.name}; {record.path} learnt from others. Give runs of one "
            "data set, --without and validation share, and, where the data has no splits, one seed"
        )


def _told(
    model: keras.Model, record: Record, crops: Crops, validation: Dataset, views: int, seen: Callable[[int], None]
) -> Told:
    """The calibrated log-probabilities of each head, float64 (count, labels)."""
    told = mean_logits(model, crops, record.config, views, seen)
    chosen = mean_logits(model, validation.crops, record.config, views, seen)
    for truth in validation.truths:
        temperature = fit_temperature(chosen[truth.head][truth.evaluated], truth.class_ids[truth.evaluated])
        told[truth.head] = log_softmax(told[truth.head] / temperature)
    return told


def _made(records: Sequence[Record], training: Dataset, views: int, scores: tuple[HeadScore, ...]) -> str:
    """How soft labels were made, as JSON; without paths, which tell of a machine and not of them."""
    runs = [
        {
            "network": record.run_info.network,
            "fold": record.run_info.source.fold,
            "backend": record.run_info.backend,
            "epochs": len(record.history),
            "config": dataclasses.asdict(record.config.without_folders()),
        }
        for record in records
    ]
    told = {
        "mien": version("mien"),
        "data": training.name,
        "digest": training.digest,
        "views": views,
        "scores": [dataclasses.asdict(score) for score in scores],
        "runs": runs,
    }
    return json.dumps(told)
