"""Cross-fitted soft labels: each training row is predicted by the runs that held out its fold.

Predictions for rows that a network was trained on mostly repeat their labels; those for held-out rows do not.
"""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.probabilities import log_softmax
from mien.data.splits import Fold, digest_without_fold, fold_of_rows, parse_fold
from mien.errors import UsageError
from mien.evaluation.calibration import fit_temperature
from mien.media.prefetch import prefetch
from mien.training.distillation.soft_labels import soft_labels_from
from mien.training.engine.augmentation import augment, draws
from mien.training.splits import splits_of
from mien.training.tasks.classification.compilation import best_network, shape_of
from mien.training.tasks.classification.task import evaluate_heads, predict_logits
from mien.training.transfer.backbones import BACKBONES

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
    LogProbabilities = dict[str, npt.NDArray[np.float64]]

BLOCK_SIZE = 2048
"""Face crops that are augmented at once."""


def cross_fitted_soft_labels(
    records: Sequence[Record], data: Dataset, views: int, report_progress: Callable[[float], None]
) -> tuple[SoftLabels, tuple[HeadScore, ...]]:
    """The soft labels of all training rows, each predicted by the runs that held out its fold.

    The logits of a run are averaged over the views of an image, at a temperature fitted on the validation split;
    several runs of one fold are averaged as log-probabilities.

    Args:
        records: finished runs of the same data and number of folds, at least one per fold.
        data: the data set of the runs, with all rows.
        views: augmented copies of each image, at least 1; the first is the image itself, the second its mirror image.
        report_progress: receives the share that is done.

    Returns:
        The soft labels, and their scores against the data's own labels.

    Raises:
        UsageError: a run held out no fold, is not finished, or has other data or folds; or a fold lacks a run.
        TrainingError: a run has no weights.
    """
    folds = folds_of(records)
    training, _ = _splits(records[0], data)
    for fold, record in zip(folds, records, strict=True):
        _check_same(record, fold, _splits(record, data)[0], training)
    fold_of_row = fold_of_rows(training, folds[0].count)
    total = views * sum(
        int((fold_of_row == fold.number).sum()) + record.run_info.validation_rows
        for fold, record in zip(folds, records, strict=True)
    )
    done = 0

    def count(images: int) -> None:
        nonlocal done
        done += images
        report_progress(done / total)

    sums = {truth.head: np.zeros(truth.targets.shape) for truth in training.truths}
    models: dict[tuple[NetworkShape, str], keras.Model] = {}
    for fold, record in zip(folds, records, strict=True):
        rows = np.flatnonzero(fold_of_row == fold.number)
        splits = _splits(record, data)
        kind = (shape_of(splits[0], record.config), record.config.network)
        models[kind] = best_network(record.path, *kind, models.get(kind))
        for head, values in _log_probabilities(
            models[kind], record, training.crops[rows], splits[1], views, count
        ).items():
            sums[head][rows] += values
    runs_per_row = np.bincount([fold.number for fold in folds])[fold_of_row][:, None]
    logs = {head: log_softmax(values / runs_per_row) for head, values in sums.items()}
    scores = evaluate_heads({head: values.astype(np.float32) for head, values in logs.items()}, training)
    probabilities = {truth.head: (tuple(map(str, truth.labels)), np.exp(logs[truth.head])) for truth in training.truths}
    return soft_labels_from(training.crops, probabilities, _provenance(records, training, views, scores)), scores


def folds_of(records: Sequence[Record]) -> tuple[Fold, ...]:
    """The fold that each run held out.

    Raises:
        UsageError: a run is not finished or held out no fold, the numbers of folds differ, or a fold lacks a run.
    """
    for record in records:
        if not record.run_info.source.fold or not record.finished:
            what = "is not finished" if record.run_info.source.fold else "held out no fold"
            raise UsageError(
                f"expected finished runs with a held-out fold; received {record.path}, which {what}. 'mien train "
                "--fold K/N' starts one, --resume finishes it"
            )
        if record.run_info.source.weights and record.run_info.network not in BACKBONES:
            raise UsageError(
                f"expected runs from random weights; received {record.path}, which started from "
                f"{record.run_info.source.weights} and may have seen its fold. Train it without --weights"
            )
    folds = tuple(parse_fold(record.run_info.source.fold) for record in records)
    counts = sorted({fold.count for fold in folds})
    if len(counts) != 1:
        raise UsageError(f"expected runs of the same number of folds; received runs of {counts}")
    missing = [str(Fold(number, counts[0])) for number in range(counts[0]) if Fold(number, counts[0]) not in folds]
    if missing:
        raise UsageError(
            f"expected a run for each of {counts[0]} folds; received none for {', '.join(missing)}. "
            f"Train the missing runs: mien train --fold {missing[0]}"
        )
    return folds


def mean_logits(
    model: keras.Model, crops: Crops, config: TrainingConfig, views: int, count: Callable[[int], None]
) -> dict[str, npt.NDArray[np.float64]]:
    """The logits of each head, float64 (count, labels), averaged over views of each face crop.

    Args:
        model: a classifier.
        crops: uint8 (count, size, size, channels).
        config: its training config: views are augmented as in its fine-tune phase, without random erasing.
        views: number of views.
        count: receives the number of face crops of each finished block.
    """
    strength = dataclasses.replace(config.augmentation.softened(), random_erasing=0.0)
    sums: dict[str, npt.NDArray[np.float64]] = {}
    parts = [slice(start, min(start + BLOCK_SIZE, len(crops))) for start in range(0, len(crops), BLOCK_SIZE)]
    tables = (draws(config.seed, number, len(crops)) for number in range(views))
    augmented = (
        (part, _view(crops[part], table[part], number, strength))
        for number, table in enumerate(tables)
        for part in parts
    )
    for part, view in prefetch(augmented, 2):
        for head, values in predict_logits(model, view).items():
            sums.setdefault(head, np.zeros((len(crops), values.shape[1])))[part] += values
        count(len(view))
    return {head: values / views for head, values in sums.items()}


def _view(crops: Crops, table: npt.NDArray[np.float32], number: int, strength: Augmentation) -> Crops:
    if number == 0:
        return crops
    if number == 1 and strength.flip > 0:  # configs for digits have no flips, since mirrored digits are no digits
        return np.ascontiguousarray(crops[:, :, ::-1])
    return augment(crops, table, strength)


def _splits(record: Record, data: Dataset) -> Splits:
    """The training split of a run with its held-out fold, and the validation split."""
    return splits_of(data, dataclasses.replace(record.run_info.source, fold=""), record.config)


def _check_same(record: Record, fold: Fold, own: Dataset, training: Dataset) -> None:
    """Check that the run was trained on the rows of this data outside its fold."""
    same = record.run_info.digest == digest_without_fold(training.digest, fold)
    if not same or not np.array_equal(own.rows, training.rows):
        raise UsageError(
            f"expected runs on the same rows of {training.name}; received {record.path}, which used others. Give runs "
            "with the same data set, --exclude and validation share, and, where the data has no splits, the same seed"
        )


def _log_probabilities(
    model: keras.Model, record: Record, crops: Crops, validation: Dataset, views: int, count: Callable[[int], None]
) -> LogProbabilities:
    """The calibrated log-probabilities of each head, float64 (count, labels)."""
    logits = mean_logits(model, crops, record.config, views, count)
    held_out = mean_logits(model, validation.crops, record.config, views, count)
    for truth in validation.truths:
        temperature = fit_temperature(held_out[truth.head][truth.evaluated], truth.class_ids[truth.evaluated])
        logits[truth.head] = log_softmax(logits[truth.head] / temperature)
    return logits


def _provenance(records: Sequence[Record], training: Dataset, views: int, scores: tuple[HeadScore, ...]) -> str:
    """How the soft labels were computed, as JSON; without paths, which belong to one machine."""
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
    provenance = {
        "mien": version("mien"),
        "data": training.name,
        "digest": training.digest,
        "views": views,
        "scores": [dataclasses.asdict(score) for score in scores],
        "runs": runs,
    }
    return json.dumps(provenance)
