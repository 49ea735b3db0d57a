"""The two devices are forced ones of the CPU, in processes of their own: XLA reads their number when it starts."""

from __future__ import annotations

import os
from socket import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from subprocesses import finished, run_subprocess, start

from mien.errors import UsageError
from mien.training.engine.devices import data_parallel, output_directory
from mien.training.run.checkpoint import Checkpoint, Checkpoints
from mien.training.run.directory import CHECKPOINTS, Record, read_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.train, pytest.mark.backend]
on_jax = pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "jax", reason="runs with KERAS_BACKEND=jax: make test-jax")


def test_one_device_needs_nothing() -> None:
    with data_parallel(1, 33):
        pass


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="JAX is the backend that can use several devices")
def test_other_backends_than_jax_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected the backend jax for --devices 2; received .*KERAS_BACKEND=jax"):
        data_parallel(2, 32).__enter__()


@on_jax
def test_what_devices_can_t_share_is_refused(tmp_path: Path) -> None:
    said = run_subprocess("refuse", tmp_path, backend="jax", devices=2).splitlines()
    assert said == [
        "expected 1 to 2 devices, as JAX finds them (cpu:0, cpu:1); received 3",
        "expected a batch that divides by 2 devices; received 33. Use --batch 32",
        "expected a batch that divides by 2 devices; received 1. Use --batch 2",
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same run on one device and on two."""
    folders = []
    for devices in (1, 2):
        folders.append(tmp_path_factory.mktemp("devices") / "run")
        run_subprocess("train", folders[-1], devices, backend="jax", devices=2)
    return folders[0], folders[1]


@on_jax
def test_two_devices_take_the_steps_of_one(runs: tuple[Path, Path]) -> None:
    one, two = (read_run(run) for run in runs)
    assert len(one.history) == len(two.history) == 2
    assert numbers(two) == pytest.approx(numbers(one), rel=1e-4)
    assert one.history[1].loss < one.history[0].loss


@on_jax
@pytest.mark.parametrize("part", ["model", "optimizer", "best"])
def test_weights_statistics_momenta_and_averages_are_those_of_one_device(runs: tuple[Path, Path], part: str) -> None:
    one, two = (last(run).arrays[part] for run in runs)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-3, atol=1e-5, err_msg=name)


@on_jax
@pytest.mark.slow_on_jax
def test_two_processes_take_the_steps_of_one_device_and_the_first_writes(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    run = tmp_path / "run"
    both = [start("train", run, 2, backend="jax", **job, KERAS_DISTRIBUTION_PROCESS_ID=name) for name in ("0", "1")]
    try:
        said = [finished(process).splitlines()[-1] for process in both]
    finally:
        for process in both:
            process.kill()
    assert said == ["True", "False"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["run"]
    assert numbers(read_run(run)) == pytest.approx(numbers(read_run(runs[0])), rel=1e-4)


def test_a_single_process_writes_to_the_output_directory(tmp_path: Path) -> None:
    with output_directory(tmp_path, resume=True) as own:
        assert own == tmp_path


def numbers(record: Record) -> list[float]:
    return [value for epoch in record.history for value in (epoch.loss, epoch.scores[0].nll, epoch.validation_score)]


def last(run: Path) -> Checkpoint:
    found = Checkpoints(run / CHECKPOINTS).newest(print)
    assert found is not None
    return found
