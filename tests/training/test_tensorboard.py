from __future__ import annotations

import sys

import pytest

from histories import epoch
from mien.errors import MissingExtraError
from mien.training.run.plots import open_log


def scalars_in(folder):
    """Tag, and step and value of each event under it, as TensorBoard reads them."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = module.EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, pytest.approx(event.value)) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def test_tensorboard_reads_every_figure_of_every_epoch(tmp_path):
    pytest.importorskip("tensorboard")
    log = open_log(tmp_path / "run")
    for number, accuracy in ((1, 0.5), (2, 0.6)):
        log(epoch(number, accuracy))
    assert scalars_in(tmp_path / "run") == {
        "loss/training": [(1, 2.0), (2, 1.0)],
        "loss/fer2013": [(1, 0.5), (2, 0.4)],
        "loss/ferplus": [(1, 0.5), (2, 0.4)],
        "accuracy/fer2013": [(1, 0.5), (2, 0.6)],
        "accuracy/ferplus": [(1, 0.5), (2, 0.6)],
        "macro_f1/fer2013": [(1, 0.4), (2, 0.5)],
        "macro_f1/ferplus": [(1, 0.4), (2, 0.5)],
        "run/learning_rate": [(1, 0.1), (2, 0.05)],
        "run/images_per_second": [(1, 600.0), (2, 600.0)],
        "run/seconds": [(1, 30.0), (2, 30.0)],
    }


def test_a_run_that_goes_on_replaces_the_epochs_that_it_does_again(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    log = open_log(tmp_path)
    for number in (1, 2, 3):
        log(epoch(number, 0.1))
    clock = __import__("time").time
    monkeypatch.setattr("time.time", lambda: clock() + 5)  # files are read in the order of the time in their names
    log = open_log(tmp_path)
    for number in (2, 3):
        log(epoch(number, 0.7))
    assert scalars_in(tmp_path)["accuracy/fer2013"] == [(1, 0.1), (2, 0.7), (3, 0.7)]


def test_without_tensorboard_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match="pip install 'tensorboard>="):
        open_log(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
