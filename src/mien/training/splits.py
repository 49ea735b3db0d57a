"""Which rows a run learns from, and which it makes its choices on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.data.duplicates import ignore_progress
from mien.data.splits import HELD_OUT, exclude_rows, fold_named, outside, training_and_validation

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig
    from mien.training.run.directory import Record, Source


def splits_of(
    data: Dataset, source: Source, config: TrainingConfig, tell: Callable[[float], None] = ignore_progress
) -> tuple[Dataset, Dataset]:
    """What is learnt from, and what is chosen on.

    Args:
        data: all of it, as it was read.
        source: the list of rows to leave out, the share to hold out where the data has no splits, and the fold of the
            training rows to leave out.
        config: its seed says which rows are held out.
        tell: is told the share that is done of looking for copies, which folds keep together.

    Raises:
        DatasetError: too few rows are left, or the list is of another data set.
        UsageError: the fold is none.
    """
    kept = exclude_rows(data, Path(source.without)) if source.without else data
    training, validation = training_and_validation(kept, config.seed, source.validation_share)
    return outside(training, fold_named(source.fold), tell) if source.fold else training, validation


def held_out(record: Record, data: Dataset) -> tuple[Dataset, Dataset] | None:
    """What a run learnt from and what it held out of this very data; None where the data is other, or has splits."""
    training, validation = splits_of(data, record.run_info.source, record.config)
    same = training.digest == record.run_info.digest
    return (training, validation) if same and validation.split_names() == (HELD_OUT,) else None
