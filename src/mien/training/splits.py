"""The training and validation split of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.data.duplicates import ignore_progress
from mien.data.splits import HELD_OUT, exclude_rows, parse_fold, training_and_validation, without_fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Record, Source


def splits_of(
    data: Dataset, source: Source, config: TrainingConfig, on_progress: Callable[[float], None] = ignore_progress
) -> tuple[Dataset, Dataset]:
    """The training and the validation split of a data set.

    Args:
        data: the whole data set.
        source: the list of excluded rows, the share to hold out where the data has no splits, and the excluded fold of
            the training rows.
        config: its seed decides which rows are held out.
        on_progress: called with the finished share of the search for duplicates, which a fold keeps together.

    Raises:
        DatasetError: too few rows are left, or the list belongs to another data set.
        UsageError: there is no such fold.
    """
    kept = exclude_rows(data, Path(source.exclude)) if source.exclude else data
    training, validation = training_and_validation(kept, config.seed, source.validation_share)
    return without_fold(training, parse_fold(source.fold), on_progress) if source.fold else training, validation


def held_out(record: Record, data: Dataset) -> tuple[Dataset, Dataset] | None:
    """The splits of a run that held out rows of this data; None if the data differs or has its own splits."""
    training, validation = splits_of(data, record.run_info.source, record.config)
    same = training.digest == record.run_info.digest
    return (training, validation) if same and validation.split_names() == (HELD_OUT,) else None
