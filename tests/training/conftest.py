"""The runs that several tests look at. Modules that need Keras skip where it is not installed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tasks_drawn import QUICK, TrainedRun, drawn, drawn_with_votes, trained


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """``two-conv`` trained on the eight patterns."""
    return trained(tmp_path_factory.mktemp("single") / "run", drawn(each=64), QUICK)


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """``nano`` trained on them with two heads."""
    config = replace(QUICK, network="nano", epochs=2, learning_rate=0.1)
    return trained(tmp_path_factory.mktemp("double") / "run", drawn_with_votes(each=64), config)
