"""Reliability 16 and 17 without kills: a run that was stopped ends as the one that was not, to the last bit."""

from __future__ import annotations

import csv
import dataclasses
import errno
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from tasks_drawn import QUICK, drawn, drawn_with_votes

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from mien.errors import TrainingError
from mien.training.config import Augmentation, TrainingConfig, read
from mien.training.engine.loop import Options, Run
from mien.training.engine.variables import to_arrays
from mien.training.run.checkpoint import Checkpoint, Checkpoints, write_synced
from mien.training.run.directory import BEST, CONFIG, read_run_info
from mien.training.run.guards import Interrupted
from mien.training.run.history import Epoch, Progress, read_history
from mien.training.tasks.classification.task import fit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.training.run.history import TrainEvent

pytestmark = pytest.mark.train

TIMES = ("seconds", "images_per_second", "waiting")
DENSE = replace(QUICK, network="dense-64-32-relu", batch=16, dropout=0.3)


def small(votes: bool = False) -> Dataset:
    """48 rows to learn from (96 with votes), 16 (32) to judge by."""
    return drawn_with_votes(each=16) if votes else drawn(each=8)


def trained(
    run: Path, config: TrainingConfig, data: Dataset, report: Callable[[TrainEvent], None], **options: object
) -> Run:
    return fit(data.split(TRAINING), data.split(PUBLIC_TEST), config, run, report, Options(**options))


def stopping(*places: tuple[int, int]) -> Callable[[TrainEvent], None]:
    """A listener that presses Ctrl-C after a step of an epoch, both counted from 1."""

    def listen(event: TrainEvent) -> None:
        if isinstance(event, Progress) and (event.epoch, event.step) in places:
            signal.raise_signal(signal.SIGINT)

    return listen


def quiet(_: TrainEvent) -> None:
    pass


def last(run: Path) -> Checkpoint:
    checkpoint = Checkpoints(run / "checkpoints").newest(quiet)
    assert checkpoint is not None
    return checkpoint


def timeless(history: tuple[object, ...]) -> list[object]:
    return [dataclasses.replace(epoch, **dict.fromkeys(TIMES, 0.0)) for epoch in history]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, optimizer, best weights and history are the same to the last bit; times apart."""
    assert rows(one) == rows(other)
    assert timeless(read_history(one)) == timeless(read_history(other))
    first, second = last(one), last(other)
    assert first.state.place == second.state.place
    for part, arrays in first.arrays.items():
        for name, values in arrays.items():
            assert values.tobytes() == second.arrays[part][name].tobytes(), f"{part} {name}"


@pytest.mark.backend
@pytest.mark.parametrize(
    ("config", "votes"),
    [
        (replace(DENSE, optimizer="adamw", learning_rate=0.003), False),
        pytest.param(
            replace(DENSE, precision="mixed_float16", schedule="plateau", balance="weights"),
            False,
            marks=pytest.mark.slow_on_jax,
        ),
        pytest.param(
            replace(
                QUICK,
                network="nano",
                batch=32,
                dropout=0.3,
                precision="mixed_bfloat16",
                augmentation=Augmentation(mixup_share=0.7),
                fine_tune_epochs=1,
            ),
            True,
            marks=pytest.mark.long,
        ),
    ],
    ids=["adamw", "float16 plateau weights", "batch norm bfloat16 mixup votes"],
)
def test_a_run_that_was_stopped_thrice_ends_as_one_that_was_not(
    config: TrainingConfig, votes: bool, tmp_path: Path
) -> None:
    data = small(votes)
    whole = trained(tmp_path / "whole", config, data, quiet)
    run = tmp_path / "stopped"
    for attempt, place in enumerate([(1, 2), (2, 1), (2, 3)]):
        with pytest.raises(Interrupted):
            trained(run, config, data, stopping(place), resume=attempt > 0)
        assert last(run).state.place == (place[0] - 1, place[1])
    done = trained(run, config, data, quiet, resume=True)
    assert_same_run(tmp_path / "whole", run)
    for name, values in to_arrays(done.model.weights).items():
        assert values.tobytes() == to_arrays(whole.model.weights)[name].tobytes()


class Striking(np.ndarray):
    """Face crops that bring SIGTERM when they are first taken from."""

    struck = False

    def __getitem__(self, key: object) -> np.ndarray:
        if not Striking.struck:
            Striking.struck = True
            signal.raise_signal(signal.SIGTERM)
        return np.asarray(self).__getitem__(key)


def test_a_run_stopped_during_validation_ends_as_one_that_was_not(tmp_path: Path) -> None:
    config = replace(QUICK, network="nano", epochs=2, batch=16)
    training = small().split(TRAINING)
    validation = drawn(each=300, seed=1).split(PUBLIC_TEST)  # more than one batch of evaluation
    fit(training, validation, config, tmp_path / "whole", quiet)
    Striking.struck = False
    striking = replace(validation, crops=validation.crops.view(Striking))
    with pytest.raises(Interrupted) as raised:
        fit(training, striking, config, tmp_path / "stopped", quiet)
    assert raised.value.number == signal.SIGTERM
    assert last(tmp_path / "stopped").state.place == (0, 3)
    fit(training, validation, config, tmp_path / "stopped", quiet, Options(resume=True))
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_that_was_stopped_as_an_epoch_ended_has_that_epoch(tmp_path: Path) -> None:
    def listen(event: TrainEvent) -> None:
        if isinstance(event, Epoch):
            signal.raise_signal(signal.SIGINT)

    trained(tmp_path / "whole", DENSE, small(), quiet)
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", DENSE, small(), listen)
    assert last(tmp_path / "run").state.place == (1, 0)
    trained(tmp_path / "run", DENSE, small(), quiet, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_run_without_a_checkpoint_begins_again(tmp_path: Path) -> None:
    trained(tmp_path / "whole", DENSE, small(), quiet)

    class Gone(BaseException):
        pass

    def vanish(event: TrainEvent) -> None:
        raise Gone

    with pytest.raises(Gone):
        trained(tmp_path / "run", DENSE, small(), vanish)
    assert not (tmp_path / "run" / "checkpoints").exists()
    trained(tmp_path / "run", DENSE, small(), quiet, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_damaged_checkpoint_is_reported_and_costs_only_time(tmp_path: Path) -> None:
    trained(tmp_path / "whole", DENSE, small(), quiet)
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", DENSE, small(), stopping((3, 2)))
    (tmp_path / "run" / "checkpoints" / "epoch-0002-step-000002" / "model.npz").write_bytes(b"torn")
    events: list[TrainEvent] = []
    trained(tmp_path / "run", DENSE, small(), events.append, resume=True)
    words = [event for event in events if isinstance(event, str)]
    assert "was altered or cut short in model.npz" in words[0]
    assert words[1] == "resuming after 2 of 3 epochs"
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_a_full_disk_ends_the_run_with_words_and_costs_no_more_than_time(tmp_path: Path) -> None:
    def full(path: Path, content: bytes) -> None:
        if "epoch-0002" in str(list(path.parent.parent.iterdir())):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_synced(path, content)

    trained(tmp_path / "whole", DENSE, small(), quiet)
    with pytest.raises(TrainingError, match=r"No space left on device.*epoch-0002, is intact"):
        trained(tmp_path / "run", DENSE, small(), quiet, write=full)
    assert len(read_history(tmp_path / "run")) == 2
    trained(tmp_path / "run", DENSE, small(), quiet, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_output_files_that_can_not_be_written_end_the_run_with_a_message(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", DENSE, small(), stopping((2, 1)))
    (tmp_path / "run" / BEST).unlink()
    (tmp_path / "run" / BEST).mkdir()
    with pytest.raises(TrainingError, match="The run itself is saved"):
        trained(tmp_path / "run", DENSE, small(), quiet, resume=True)


def test_checkpoints_within_an_epoch_change_nothing(tmp_path: Path) -> None:
    trained(tmp_path / "rare", DENSE, small(), quiet)
    trained(tmp_path / "often", DENSE, small(), quiet, checkpoint_minutes=0.0)
    assert sorted(path.name for path in (tmp_path / "often" / "checkpoints").iterdir()) == [
        "epoch-0002-step-000002",
        "epoch-0002-step-000003",
        "epoch-0003",
    ]
    assert_same_run(tmp_path / "rare", tmp_path / "often")


def test_a_finished_run_is_only_read(tmp_path: Path) -> None:
    done = trained(tmp_path / "run", DENSE, small(), quiet)
    before = {file: file.read_bytes() for file in (tmp_path / "run" / "checkpoints").rglob("*.*")}
    events: list[TrainEvent] = []
    again = trained(tmp_path / "run", DENSE, small(), events.append, resume=True)
    assert events == ["the run is finished after 3 epochs; nothing is left to train"]
    assert again.history == done.history
    for name, values in to_arrays(again.model.weights).items():
        np.testing.assert_array_equal(values, to_arrays(done.model.weights)[name])
    assert {file: file.read_bytes() for file in (tmp_path / "run" / "checkpoints").rglob("*.*")} == before


def test_output_files_are_repaired_on_resume(tmp_path: Path) -> None:
    done = trained(tmp_path / "run", DENSE, small(), quiet)
    for name in (BEST, "history.csv", "history.jsonl"):
        (tmp_path / "run" / name).unlink()
    trained(tmp_path / "run", DENSE, small(), quiet, resume=True)
    assert read_history(tmp_path / "run") == done.history
    assert (tmp_path / "run" / BEST).is_file()


def test_more_epochs_can_be_had_where_nothing_before_depends_on_their_number(tmp_path: Path) -> None:
    config = replace(DENSE, schedule="constant")
    trained(tmp_path / "whole", replace(config, epochs=5), small(), quiet)
    trained(tmp_path / "run", config, small(), quiet)
    done = trained(tmp_path / "run", replace(config, epochs=5), small(), quiet, resume=True)
    assert len(done.history) == 5
    assert read(tmp_path / "run" / CONFIG).epochs == 5
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its second epoch."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Interrupted):
        trained(run, DENSE, small(), stopping((2, 1)))
    return run


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epochs": 9}, r"expected epochs = 3 as the run .* has it; received 9.*schedule is one of"),
        ({"learning_rate": 0.5}, "expected learning_rate = 0.05"),
        ({"seed": 3}, "expected seed = 0"),
        ({"network": "two-conv"}, "expected network = dense-64-32-relu"),
        ({"augmentation": Augmentation()}, "expected augmentation"),
    ],
    ids=lambda changed: next(iter(changed)) if isinstance(changed, dict) else "",
)
def test_another_config_is_refused(changed: dict[str, object], words: str, stopped: Path) -> None:
    with pytest.raises(TrainingError, match=words):
        trained(stopped, replace(DENSE, **changed), small(), quiet, resume=True)
    assert read(stopped / CONFIG) == DENSE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (replace(drawn(each=8), digest="e" * 64), "digest = dddd"),
        (replace(drawn(each=8), name="other"), "data = drawn"),
        (drawn(each=12), "training_rows = 48"),
    ],
    ids=["digest", "name", "rows"],
)
def test_other_data_is_refused(data: Dataset, words: str, stopped: Path) -> None:
    with pytest.raises(TrainingError, match=rf"expected the data that the run .* began with, {words}"):
        trained(stopped, DENSE, data, quiet, resume=True)


def test_a_directory_without_a_run_can_not_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is none: drop --resume to start one"):
        trained(tmp_path / "run", DENSE, small(), quiet, resume=True)


def test_a_change_of_backend_is_reported(stopped: Path, tmp_path: Path) -> None:
    from shutil import copytree

    run = copytree(stopped, tmp_path / "run")
    replace(read_run_info(run), backend="abacus").save(run)
    events: list[TrainEvent] = []
    trained(run, DENSE, small(), events.append, resume=True)
    assert any(
        isinstance(event, str) and event.startswith("the run began on abacus and resumes on") for event in events
    )
