"""Training on the device agrees with training on the host; the device is the CPU, in child processes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from subprocesses import STEPPED, run_subprocess
from tasks_drawn import QUICK, drawn, stripes

from mien.errors import UsageError
from mien.training.config import PLAIN, Augmentation
from mien.training.engine.augmentation import augment, draws
from mien.training.engine.devices import check_on_device
from mien.training.engine.loop import Options
from mien.training.run.checkpoint import Checkpoints
from mien.training.run.directory import CHECKPOINTS
from mien.training.run.history import read_history
from mien.training.tasks.classification.task import fit

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.train, pytest.mark.backend]
on_jax = pytest.mark.skipif(os.environ["KERAS_BACKEND"] != "jax", reason="runs with KERAS_BACKEND=jax: make test-jax")

# largest mean difference in grey levels: OpenCV rounds positions to a 32nd of a pixel, and values between the stages
AUGMENTATIONS = {
    "none": (PLAIN, 0.0),
    "flip": (replace(PLAIN, flip=0.5), 0.0),
    "warp": (replace(PLAIN, rotate=15.0, scale=(0.8, 1.25), shift=0.1, shear=0.05), 0.6),
    "brightness": (replace(PLAIN, brightness=0.25), 0.01),
    "blur": (replace(PLAIN, blur=1.0), 0.25),
    "shrink": (replace(PLAIN, shrink=1.0), 0.5),
    "random_erasing": (replace(PLAIN, random_erasing=1.0), 0.0),
    "all": (replace(Augmentation(), jpeg=0.0), 1.0),
}


@on_jax
@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("size", [24, 45])
def test_the_device_augments_images_as_the_host_does(name: str, size: int) -> None:
    import jax

    from mien.training.jax.augmentation import augmented, inverse_maps, strengths_of

    strength, tolerance = AUGMENTATIONS[name]
    crops, table = stripes(np.arange(64) % 8, size, 1, seed=1), draws(0, 0, 64)
    expected = augment(crops, table, strength).astype(int)
    maps = inverse_maps(table, strength, size)
    received = np.asarray(jax.jit(augmented)(crops, maps, table, strengths_of(strength))).astype(int)
    assert np.abs(received - expected).mean() <= tolerance
    if name != "none":
        assert np.abs(received - crops).mean() > 2 * tolerance


@on_jax
def test_the_device_augments_each_colour_channel() -> None:
    from mien.training.jax.augmentation import augmented, inverse_maps, strengths_of

    strength, table = replace(Augmentation(), jpeg=0.0), draws(0, 0, 16)
    crops = np.stack([stripes(np.arange(16) % 8, 24, 1, seed)[..., 0] for seed in range(3)], axis=-1)
    expected = augment(crops, table, strength).astype(int)
    received = np.asarray(augmented(crops, inverse_maps(table, strength, 24), table, strengths_of(strength))).astype(
        int
    )
    assert np.abs(received - expected).mean() <= 1.0


@on_jax
def test_the_device_leaves_jpeg_compression_out() -> None:
    from mien.training.jax.augmentation import augmented, inverse_maps, strengths_of

    strength, table = replace(PLAIN, jpeg=1.0), draws(0, 0, 16)
    crops = stripes(np.arange(16) % 8, 24, 1, seed=1)
    received = np.asarray(augmented(crops, inverse_maps(table, strength, 24), table, strengths_of(strength)))
    np.testing.assert_array_equal(received, crops)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same runs, step by step and on the device."""
    host, device = (tmp_path_factory.mktemp(name) for name in ("host", "device"))
    run_subprocess("step", host, "host", backend="jax")
    run_subprocess("step", device, "device", backend="jax")
    return host, device


LOSS_TOLERANCE = {"plain": 1e-4, "augmented": 5e-3, "distilled": 1e-4}
"""Relative difference of losses: augmented images are the same except for rounding."""


@on_jax
@pytest.mark.long  # XLA runs these steps on one thread of a CPU
@pytest.mark.parametrize("name", STEPPED)
def test_steps_on_the_device_are_those_of_keras_own_loop(runs: tuple[Path, Path], name: str) -> None:
    tolerance = LOSS_TOLERANCE[name]
    host, device = (read_history(run / name) for run in runs)
    assert len(host) == len(device) == 2
    for one, other in zip(host, device, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=tolerance)
        assert other.accuracy == pytest.approx(one.accuracy, abs=0.02)
        for head, same in zip(one.scores, other.scores, strict=True):
            assert same.nll == pytest.approx(head.nll, rel=10 * tolerance)


@on_jax
@pytest.mark.long
@pytest.mark.parametrize("part", ["model", "optimizer", "best"])
def test_weights_momenta_and_averages_are_those_of_keras_own_loop(runs: tuple[Path, Path], part: str) -> None:
    host, device = (Checkpoints(run / "plain" / CHECKPOINTS).newest(print) for run in runs)
    assert host is not None
    assert device is not None
    for name, values in host.arrays[part].items():
        if values.dtype.kind == "f":  # seeds that the next step replaces may differ
            np.testing.assert_allclose(device.arrays[part][name], values, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="JAX is the backend that can")
def test_other_backends_than_jax_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = drawn(each=8)
    with pytest.raises(UsageError, match=r"expected the backend jax for --on-device; received .*KERAS_BACKEND=jax"):
        fit(
            data.split("Training"),
            data.split("PublicTest"),
            QUICK,
            tmp_path / "run",
            lambda _: None,
            Options(on_device=True),
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") != "jax", reason="what differs on JAX: KERAS_BACKEND=jax")
def test_several_devices_are_refused() -> None:
    with pytest.raises(UsageError, match="expected one device with --on-device; received 2"):
        check_on_device(2, "float32")


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") != "jax", reason="what differs on JAX: KERAS_BACKEND=jax")
def test_precisions_that_need_loss_scaling_are_refused() -> None:
    with pytest.raises(UsageError, match="expected float32 or mixed_bfloat16 with --on-device; received mixed_float16"):
        check_on_device(1, "mixed_float16")
