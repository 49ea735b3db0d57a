from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mien.errors import TrainingError
from mien.training.config import TrainingConfig
from mien.training.run.directory import CONFIG, RUN_INFO, RunInfo, Source, is_run, read_run
from mien.training.run.history import HISTORY, HISTORY_CSV, Epoch, HeadScore, read_history, write_history

if TYPE_CHECKING:
    from pathlib import Path

FACTS_OF_A_RUN = RunInfo(
    network="nano",
    backend="torch",
    parameters=85_552,
    multiply_adds=6_600_000,
    data="fer2013",
    digest="d" * 64,
    training_rows=28_709,
    validation_rows=3_589,
    heads=(("fer2013", ("angry", "happy")), ("ferplus", ("neutral", "happy", "contempt"))),
    started="2026-11-20T18:14:08+00:00",
    versions=(("mien", "0.1.0"), ("keras", "3.15.1")),
    source=Source("/data/fer2013", "/data/copies.txt", 0.2),
)


def epochs(*validation_scores: float) -> tuple[Epoch, ...]:
    """A history of epochs with these mean accuracies of two heads."""
    return tuple(
        Epoch(
            number=number,
            loss=1 / (number + 2),
            accuracy=0.4,
            scores=(
                HeadScore("fer2013", validation_score - 0.1, 1 / 3, 1.1),
                HeadScore("ferplus", validation_score + 0.1, 0.5, 0.9),
            ),
            learning_rate=0.1 / 3,
            seconds=60.0,
            images_per_second=512.3,
            waiting=0.012,
        )
        for number, validation_score in enumerate(validation_scores, 1)
    )


def begun(folder: Path, config: TrainingConfig, history: tuple[Epoch, ...] = ()) -> Path:
    FACTS_OF_A_RUN.save(folder)
    config.save(folder / CONFIG)
    if history:
        write_history(folder, history)
    return folder


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = TrainingConfig(network="nano", epochs=40)
    run = read_run(begun(tmp_path, config, epochs(0.4, 0.6, 0.5)))
    assert (run.path, run.config, run.run_info, run.history) == (
        tmp_path, config, FACTS_OF_A_RUN, epochs(0.4, 0.6, 0.5)
    )  # fmt: skip
    assert run.best == run.history[1]
    assert (run.finished, run.minutes) == (False, 3.0)


def test_a_run_in_its_first_epoch(tmp_path: Path) -> None:
    run = read_run(begun(tmp_path, TrainingConfig(network="nano")))
    assert (run.history, run.best, run.finished, run.minutes) == ((), None, False, 0.0)


@pytest.mark.parametrize(
    ("config", "finished"),
    [
        (TrainingConfig(), False),
        (TrainingConfig(epochs=3, fine_tune_epochs=0, warmup_epochs=1), True),
        (TrainingConfig(patience=2), True),
    ],
    ids=["goes on", "all epochs", "patience"],
)
def test_when_a_run_is_finished(config: TrainingConfig, finished: bool, tmp_path: Path) -> None:
    assert read_run(begun(tmp_path, config, epochs(0.6, 0.5, 0.5))).finished == finished


def test_the_history_in_json_keeps_every_digit(tmp_path: Path) -> None:
    write_history(tmp_path, epochs(1 / 3, 2 / 7))
    assert read_history(tmp_path) == epochs(1 / 3, 2 / 7)
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 2


def test_the_history_in_csv_has_a_row_an_epoch(tmp_path: Path) -> None:
    write_history(tmp_path, epochs(0.4, 0.6))
    with (tmp_path / HISTORY_CSV).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "epoch": "2", "loss": "0.25000", "accuracy": "0.40000",
        "fer2013_accuracy": "0.50000", "fer2013_macro_f1": "0.33333", "fer2013_nll": "1.10000",
        "ferplus_accuracy": "0.70000", "ferplus_macro_f1": "0.50000", "ferplus_nll": "0.90000",
        "learning_rate": "0.03333", "seconds": "60.0", "images_per_second": "512", "waiting": "0.0120",
    }  # fmt: skip
    assert [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize("lacking", [CONFIG, RUN_INFO])
def test_a_folder_without_a_run_is_refused(lacking: str, tmp_path: Path) -> None:
    (begun(tmp_path, TrainingConfig()) / lacking).unlink()
    assert not is_run(tmp_path)
    with pytest.raises(TrainingError, match="expected a run directory with"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, "epochs = 'many'"),
        (RUN_INFO, "{}"),
        (RUN_INFO, "no json"),
        (RUN_INFO, "[1]"),
        (HISTORY, '{"number": 1}\n'),
        (HISTORY, "\x00"),
    ],
)
def test_a_run_that_can_not_be_read_is_refused(name: str, content: str, tmp_path: Path) -> None:
    (begun(tmp_path, TrainingConfig(), epochs(0.5)) / name).write_text(content)
    with pytest.raises(TrainingError, match="can't be read"):
        read_run(tmp_path)


def test_facts_of_before_there_were_folds_are_read(tmp_path: Path) -> None:
    path = begun(tmp_path, TrainingConfig()) / RUN_INFO
    told = json.loads(path.read_text())
    assert told["source"].pop("fold") == ""
    path.write_text(json.dumps(told))
    assert read_run(tmp_path).run_info == FACTS_OF_A_RUN


def test_facts_may_name_no_source(tmp_path: Path) -> None:
    replace(FACTS_OF_A_RUN, source=Source()).save(tmp_path)
    TrainingConfig().save(tmp_path / CONFIG)
    assert read_run(tmp_path).run_info.source == Source("", "", 0.1)
