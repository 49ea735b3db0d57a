"""Which rows a run learns from and chooses on; needs no Keras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tasks_drawn import QUICK, drawn

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from mien.data.splits import HELD_OUT, Fold, fold_of_rows, write_list
from mien.errors import UsageError
from mien.training.run.directory import Record, RunInfo, Source
from mien.training.splits import held_out, splits_of


def without_splits() -> Dataset:
    return drawn(each=10).split(TRAINING)


def noise_in_place_of(data: Dataset) -> Dataset:
    """The same rows with images none of which is like another: stripes are copies of stripes."""
    return replace(data, crops=np.random.default_rng(0).integers(0, 256, data.crops.shape).astype(np.uint8))


def record_of(data: Dataset, source: Source, seed: int = 0) -> Record:
    config = replace(QUICK, seed=seed)
    training, validation = splits_of(data, source, config)
    heads = (("classes", data.truths[0].labels),)
    run_info = RunInfo(
        "two-conv", "torch", 1, 1, data.name, training.digest, len(training), len(validation), heads, "", (), source
    )
    return Record(Path("run"), config, run_info, ())


def test_the_splits_of_the_data_are_used_where_it_has_them() -> None:
    training, validation = splits_of(drawn(each=8), Source(), QUICK)
    assert (training.split_names(), validation.split_names()) == ((TRAINING,), (PUBLIC_TEST,))


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_what_a_run_held_out_is_found_again(share: float) -> None:
    data = without_splits()
    record = record_of(data, Source(validation_share=share), seed=3)
    found = held_out(record, data)
    assert found is not None
    assert [part.rows.tolist() for part in found] == [
        part.rows.tolist() for part in splits_of(data, record.run_info.source, record.config)
    ]
    assert found[1].split_names() == (HELD_OUT,)
    assert len(found[1]) == record.run_info.validation_rows


def test_rows_that_were_left_out_are_in_neither_part(tmp_path: Path) -> None:
    data = without_splits()
    gone = data.rows[:5].tolist()
    write_list(tmp_path / "without.txt", dict.fromkeys(gone, "blank"))
    found = held_out(record_of(data, Source(exclude=str(tmp_path / "without.txt"))), data)
    assert found is not None
    assert not set(gone) & {*found[0].rows.tolist(), *found[1].rows.tolist()}


def test_a_fold_is_left_out_of_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    data = noise_in_place_of(drawn(each=16))
    training, validation = splits_of(data, Source(), QUICK)
    learnt, chosen_on = splits_of(data, Source(fold="1/3"), QUICK)
    assert learnt.rows.tolist() == training.rows[fold_of_rows(training, 3) != Fold(1, 3).number].tolist()
    assert chosen_on.rows.tolist() == validation.rows.tolist()
    assert learnt.digest != training.digest
    with pytest.raises(UsageError, match="expected a fold as K/N"):
        splits_of(data, Source(fold="3/3"), QUICK)


def test_what_a_run_of_a_fold_held_out_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    data = noise_in_place_of(without_splits())
    found = held_out(record_of(data, Source(fold="0/2")), data)
    assert found is not None
    assert found[1].rows.tolist() == splits_of(data, Source(), QUICK)[1].rows.tolist()


def test_nothing_was_held_out_of_other_data() -> None:
    data = without_splits()
    assert held_out(record_of(data, Source()), replace(data, digest="e" * 64)) is None


def test_nothing_was_held_out_of_data_with_splits() -> None:
    data = drawn(each=8)
    assert held_out(record_of(data, Source()), data) is None
