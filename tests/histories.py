"""Histories and run directories for tests, as training leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.training.config import TrainingConfig
from mien.training.run.directory import CONFIG, MODEL, RunInfo, Source
from mien.training.run.history import Epoch, HeadScore, write_history

if TYPE_CHECKING:
    from pathlib import Path


def epoch(number: int, accuracy: float = 0.5, heads: tuple[str, ...] = ("fer2013", "ferplus")) -> Epoch:
    """An epoch whose heads have this accuracy, a macro-F1 of 0.1 less, and an NLL of 1 less the accuracy."""
    scores = tuple(HeadScore(head, accuracy, accuracy - 0.1, 1.0 - accuracy) for head in heads)
    return Epoch(number, 2.0 / number, accuracy / 2, scores, 0.1 / number, 30.0, 600.0, 0.01)


def history(accuracies: tuple[float, ...], heads: tuple[str, ...] = ("fer2013", "ferplus")) -> tuple[Epoch, ...]:
    return tuple(epoch(number, accuracy, heads) for number, accuracy in enumerate(accuracies, start=1))


def write_run(run: Path, accuracies: tuple[float, ...], planned: int, model: bytes | None = None) -> Path:
    """A run of ``two-conv`` on FER2013 that has done an epoch for each accuracy of as many as are planned."""
    run.mkdir(parents=True)
    RunInfo(
        network="two-conv",
        backend="torch",
        parameters=1_199_495,
        multiply_adds=12_460_928,
        data="fer2013",
        digest="d" * 64,
        training_rows=80,
        validation_rows=20,
        heads=(("fer2013", ("a", "b")), ("ferplus", ("c", "d"))),
        started="2026-11-20T12:00:00+00:00",
        versions=(("mien", "0.1.0"), ("keras", "3.15.1")),
        source=Source("faces.csv"),
    ).save(run)
    TrainingConfig(network="two-conv", epochs=planned, fine_tune_epochs=0, warmup_epochs=0).save(run / CONFIG)
    write_history(run, history(accuracies))
    if model is not None:
        (run / MODEL).write_bytes(model)
    return run
