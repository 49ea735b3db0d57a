from __future__ import annotations

import time

import pytest

from histories import write_run
from mien.classification.classifier import Classifier
from mien.errors import UsageError
from mien.training.run.comparison import compare, find_runs, measure
from mien.training.run.directory import CONFIG, LOCK, MODEL, RUN_INFO
from mien.training.run.guards import run_lock
from mien.training.run.history import HISTORY


def one(run):
    (row,) = compare([run], lambda classifiers: [0.002] * len(classifiers))
    return row


def test_the_row_of_a_finished_run(tmp_path, shipped_model, classifier):
    """The scores are of the card; network, data and head are told by both, and the card is of the model that runs."""
    row = one(write_run(tmp_path / "run", (0.3, 0.5, 0.4), planned=3, model=shipped_model))
    scores = {(score.head, score.metric): score.value for score in classifier.card.scores}
    assert row.to_dict() == {
        "run": str(tmp_path / "run"),
        "state": "finished",
        "note": "",
        "network": "compact",
        "data": "fer2013",
        "epochs": 3,
        "planned": 3,
        "best_epoch": 2,
        "head": "fer2013",
        "split": "PublicTest",
        "accuracy": scores["fer2013", "accuracy"],
        "macro_f1": scores["fer2013", "macro_f1"],
        "ece": scores["fer2013", "ece"],
        "parameters": 1_199_495,
        "multiply_adds": 12_460_928,
        "milliseconds": 2.0,
        "bytes": len(shipped_model),
        "minutes": 1.5,
    }


def test_the_row_of_a_run_without_a_model_has_its_best_epoch(tmp_path):
    row = one(write_run(tmp_path / "run", (0.3, 0.5, 0.4), planned=3))
    assert (row.state, row.accuracy, row.macro_f1, row.ece) == ("finished", 0.5, 0.4, None)
    assert (row.milliseconds, row.bytes) == (None, None)
    assert f"mien export {tmp_path / 'run'}" in row.note


@pytest.mark.parametrize(("done", "state"), [((), "interrupted"), ((0.5,), "interrupted"), ((0.5, 0.6), "finished")])
def test_the_state_of_a_run_that_nobody_holds(tmp_path, done, state):
    row = one(write_run(tmp_path / "run", done, planned=2))
    assert (row.state, row.epochs, row.planned) == (state, len(done), 2)
    assert ("--resume" in row.note) == (state == "interrupted")


def test_a_run_whose_lock_is_held_is_running(tmp_path):
    run = write_run(tmp_path / "run", (0.5,), planned=2)
    with run_lock(run / LOCK):
        assert (one(run).state, one(run).note) == ("running", "")
    assert one(run).state == "interrupted"


@pytest.mark.parametrize("name", [CONFIG, RUN_INFO, HISTORY, MODEL])
@pytest.mark.parametrize("damage", [b"", b"\xff\x00torn", b'{"epoch": '], ids=["empty", "bytes", "torn"])
def test_a_damaged_file_is_explained(tmp_path, shipped_model, own_scores, name, damage):
    run = write_run(tmp_path / "run", (0.5, 0.6), planned=2, model=shipped_model)
    (run / name).write_bytes(damage)
    row = one(run)
    if (name, damage) in ((HISTORY, b""), (CONFIG, b"")):  # what no epoch, and all defaults, look like
        assert row.state == "interrupted"
    elif name == MODEL:
        assert (row.state, row.accuracy, row.milliseconds) == ("finished", 0.6, None)
    else:
        assert (row.state, row.epochs) == ("unreadable", None)
        assert row.accuracy == own_scores["accuracy"]  # of the model, which is sound
    assert row.note


def test_the_most_accurate_comes_first_and_runs_without_scores_last(tmp_path, shipped_model):
    order = ["good", "shipped", "fair", "begun"]
    write_run(tmp_path / "begun", (), planned=2)
    write_run(tmp_path / "fair", (0.6,), planned=1)
    write_run(tmp_path / "good", (0.9,), planned=1)
    write_run(tmp_path / "shipped", (0.1,), planned=1, model=shipped_model)
    rows = compare(find_runs([tmp_path]), lambda classifiers: [0.001 * len(classifiers)])
    assert [row.run for row in rows] == [str(tmp_path / name) for name in order]
    assert [row.milliseconds for row in rows] == [None, 1.0, None, None]


def test_runs_are_found_in_folders_and_named_once(tmp_path):
    one_run, other = (write_run(tmp_path / name, (), planned=1) for name in ("a", "b"))
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").touch()
    assert find_runs([tmp_path, other]) == [one_run, other]
    assert find_runs([other]) == [other]


@pytest.mark.parametrize(("name", "words"), [("gone", "there is none at"), ("empty", "found none")])
def test_folders_without_runs_are_refused(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=words):
        find_runs([tmp_path / name])


class Slow:
    """A model that takes at least so long."""

    def __init__(self, card, seconds):
        self.card, self.seconds = card, seconds
        self.shapes = set()

    def predict(self, crops):
        self.shapes.add(crops.shape)
        time.sleep(self.seconds)


def test_speed_is_the_median_for_one_face(classifier):
    slow, quick = Slow(classifier.card, 0.02), Slow(classifier.card, 0.0)
    seconds = measure([slow, quick], rounds=3)
    assert seconds[0] >= 0.02 > seconds[1]
    assert slow.shapes == {(1, 48, 48, 1)}


def test_a_real_model_is_measured(shipped_model):
    (seconds,) = measure([Classifier(shipped_model, threads=1)], rounds=3)
    assert 1e-5 < seconds < 10.0
