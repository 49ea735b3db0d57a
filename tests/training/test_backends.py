"""The same training on TensorFlow, torch and JAX, one process each."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from subprocesses import QUICK_NETWORKS, START, run_subprocess

from mien.training import BACKENDS

if TYPE_CHECKING:
    from pathlib import Path

INSTALLED = [backend for backend in BACKENDS if find_spec(backend)]

pytestmark = [
    pytest.mark.train,
    pytest.mark.backend,
    # its processes choose their backends themselves, so one lane of several is enough
    pytest.mark.skipif(
        len(INSTALLED) > 1 and os.environ["KERAS_BACKEND"] != INSTALLED[-1],
        reason=f"runs with KERAS_BACKEND={INSTALLED[-1]}: make test-{INSTALLED[-1]}",
    ),
    pytest.mark.skipif(len(INSTALLED) < 2, reason=f"needs two of the backends {BACKENDS}; there is {INSTALLED}"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights and logits of each backend that is installed."""
    folder = tmp_path_factory.mktemp("saved")
    for backend in INSTALLED:
        run_subprocess("save", folder / backend, backend=backend)
    return folder


@pytest.mark.long  # the test below loads weights of another backend too
@pytest.mark.parametrize("backend", INSTALLED)
def test_weights_of_one_backend_give_the_same_logits_on_another(saved: Path, backend: str) -> None:
    differences = json.loads(run_subprocess("load", saved, backend=backend))
    assert sorted(differences) == sorted(INSTALLED)
    for other, worst in differences.items():
        assert worst.keys() == QUICK_NETWORKS.keys()
        assert max(worst.values()) < 1e-4, (other, worst)


def test_training_from_the_same_weights_agrees_on_all_backends(saved: Path, tmp_path: Path) -> None:
    start = saved / INSTALLED[0] / START
    first, *others = (
        json.loads(run_subprocess("learn", tmp_path / backend, start, backend=backend)) for backend in INSTALLED
    )
    assert first[-1][0] < first[0][0]
    for other in others:
        for (loss, nll), (other_loss, other_nll) in zip(first, other, strict=True):
            assert other_loss == pytest.approx(loss, rel=1e-3)
            assert other_nll == pytest.approx(nll, rel=1e-2)
