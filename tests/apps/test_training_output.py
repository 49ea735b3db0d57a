from __future__ import annotations

import pytest

from mien.apps.cli.training_output import clock, epoch_line, progress_printer, step_line
from mien.training.run.history import Epoch, HeadScore, Progress

STEP = Progress(3, 40, 17, 224, 1.23456, 0.5, 512.4, 0.01, 55.0, 4000.0)
EPOCH = Epoch(
    3, 1.2, 0.5, (HeadScore("fer2013", 0.61, 0.55, 1.0), HeadScore("ferplus", 0.7, 0.6, 0.9)), 0.1, 62, 512, 0
)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (36_061, "10:01:01")]
)
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_an_epoch_in_words() -> None:
    assert epoch_line(EPOCH, 40) == (
        "epoch 3/40: loss 1.2000, accuracy 0.5000; fer2013 0.6100, macro-F1 0.5500; "
        "ferplus 0.7000, macro-F1 0.6000; 512 images/s, 1:02"
    )


def test_a_step_in_words() -> None:
    assert step_line(STEP) == ("loss 1.235  accuracy 0.500  512 images/s  0:55 left of the epoch, 1:06:40 of the run")


def test_without_a_terminal_steps_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_printer(40) as report:
        report(STEP)
        report(EPOCH)
        report("resuming after 3 of 40 epochs")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{epoch_line(EPOCH, 40)}\nresuming after 3 of 40 epochs\n"


def test_a_terminal_has_a_live_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm-256color")
    with progress_printer(40) as report:
        report(STEP)
        report(EPOCH)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 3/40" in err
    assert "512 images/s  0:55 left of the epoch, 1:06:40 of the run" in err
    assert epoch_line(EPOCH, 40) in err
