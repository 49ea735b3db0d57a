"""Learning on several devices at once, of one machine or of many: each takes its part of every batch.

Keras' DataParallel on JAX. Weights lie on each device, gradients are summed over all; batch normalisation sees the
whole batch. So a run takes the same steps as on one device, with the same loss but for the order of sums.

On many machines one process runs on each, with the same command and three variables of Keras':
KERAS_DISTRIBUTION_JOB_ADDRESSES (the first machine's address and a port), KERAS_DISTRIBUTION_NUM_PROCESSES and
KERAS_DISTRIBUTION_PROCESS_ID. All make the same batches and keep their part; only the first leaves files behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from mien.errors import UsageError
from mien.training.engine.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

JOB = "KERAS_DISTRIBUTION_JOB_ADDRESSES"


@contextmanager
def spread(count: int, batch: int) -> Iterator[None]:
    """What learns in the block does so on several devices; nothing changes where it is one.

    Args:
        count: how many, over all processes: the first of those that JAX finds (GPUs or TPUs where there are any, else
            CPUs).
        batch: images a step.

    Raises:
        UsageError: the backend is not JAX, there are fewer devices, or the batch can't be dealt out evenly.
    """
    if count == 1:
        yield
        return
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"expected the backend jax for --devices {count}; received {backend}. "
            f"Say: KERAS_BACKEND=jax mien train --devices {count} (pip install 'mien[train-jax]')"
        )
    _join()
    found = keras.distribution.list_devices()
    least = 1 if _place()[1] == 1 else len(found)  # a process whose devices idle would wait for ever
    if not least <= count <= len(found):
        raise UsageError(
            f"expected {least} to {len(found)} devices, as JAX finds them ({', '.join(found)}); received {count}"
        )
    if batch % count:
        raise UsageError(
            f"expected a batch that {count} devices share evenly; received {batch}. "
            f"Say --batch {batch - batch % count or count}"
        )
    with keras.distribution.DataParallel(devices=found[:count], auto_shard_dataset=False).scope():
        yield


def check_on_device(count: int, precision: str) -> None:
    """Nothing, where a run can keep its data on the device.

    Args:
        count: devices of the run.
        precision: of its config.

    Raises:
        UsageError: the backend is not JAX, the run is to have several devices, or losses would have to be scaled.
    """
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"expected the backend jax for --on-device; received {backend}. "
            "Say: KERAS_BACKEND=jax mien train --on-device (pip install 'mien[train-jax]')"
        )
    if count > 1:
        raise UsageError(f"expected one device with --on-device; received {count}: leave one of the two away")
    if precision == "mixed_float16":
        raise UsageError("expected float32 or mixed_bfloat16 with --on-device; received mixed_float16")


def own_part(batch: Batch) -> Batch:
    """The rows of a batch that the devices of this process learn from: all, where there is one process."""
    if keras.distribution.distribution() is None:
        return batch
    number, processes = _place()
    rows = len(batch.crops) // processes
    mine = slice(number * rows, (number + 1) * rows)
    return Batch(batch.crops[mine], _rows(batch.targets, mine), _rows(batch.weights, mine))


@contextmanager
def own_directory(out: Path, *, go_on: bool) -> Iterator[Path]:
    """Where this process writes: the directory itself in the first, a temporary one in all others.

    Args:
        out: that all processes can read.
        go_on: whether what it holds is gone on with, and so needed by all.
    """
    _join()
    if _place()[0] == 0:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        if go_on and out.is_dir():
            shutil.copytree(out, folder, dirs_exist_ok=True)
        yield Path(folder)


def _join() -> None:
    """Joins the other processes, if the environment names any, before JAX looks for devices; once."""
    if keras.backend.backend() != "jax" or not os.environ.get(JOB):
        return
    import jax

    if not jax.distributed.is_initialized():
        keras.distribution.initialize()


def _place() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def _rows(arrays: Mapping[str, npt.NDArray[Any]], rows: slice) -> dict[str, npt.NDArray[Any]]:
    return {head: values[rows] for head, values in arrays.items()}
