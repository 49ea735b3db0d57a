"""Data-parallel training on several devices, of one machine or of many.

Each device processes its part of every batch with Keras' DataParallel on JAX. The weights are replicated, the gradients
summed, and batch normalisation sees the whole batch. So a run takes the same steps as on one device, with the same loss
up to the order of sums.

On several machines, start one process on each with the same command and three environment variables of Keras:
KERAS_DISTRIBUTION_JOB_ADDRESSES (the first machine's address and a port), KERAS_DISTRIBUTION_NUM_PROCESSES and
KERAS_DISTRIBUTION_PROCESS_ID. All make the same batches and keep their part; only the first writes the run directory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from mien.errors import UsageError, install_command
from mien.training.engine.steps import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

JOB_ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"


@contextmanager
def data_parallel(count: int, batch: int) -> Iterator[None]:
    """Spread the training in the block over several devices; do nothing for one device.

    Args:
        count: number of devices over all processes: the first that JAX finds (GPUs or TPUs if there are any, else
            CPUs).
        batch: images per step.

    Raises:
        UsageError: the backend is not JAX, there are fewer devices, or the batch can't be divided evenly.
    """
    if count == 1:
        yield
        return
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"expected the backend jax for --devices {count}; received {backend}. "
            f"Use: KERAS_BACKEND=jax mien train --devices {count} ({install_command('train-jax', 'jax')})"
        )
    _join()
    found = keras.distribution.list_devices()
    minimum = 1 if _process()[1] == 1 else len(found)  # a process whose devices are idle would wait forever
    if not minimum <= count <= len(found):
        raise UsageError(
            f"expected {minimum} to {len(found)} devices, as JAX finds them ({', '.join(found)}); received {count}"
        )
    if batch % count:
        raise UsageError(
            f"expected a batch that divides by {count} devices; received {batch}. "
            f"Use --batch {batch - batch % count or count}"
        )
    with keras.distribution.DataParallel(devices=found[:count], auto_shard_dataset=False).scope():
        yield


def check_on_device(count: int, precision: str) -> None:
    """Check that a run can keep its data set on the GPU.

    Args:
        count: devices of the run.
        precision: of its config.

    Raises:
        UsageError: the backend is not JAX, there are several devices, or the precision needs loss scaling.
    """
    backend = keras.backend.backend()
    if backend != "jax":
        raise UsageError(
            f"expected the backend jax for --on-device; received {backend}. "
            f"Use: KERAS_BACKEND=jax mien train --on-device ({install_command('train-jax', 'jax')})"
        )
    if count > 1:
        raise UsageError(f"expected one device with --on-device; received {count}: drop one of the two options")
    if precision == "mixed_float16":
        raise UsageError("expected float32 or mixed_bfloat16 with --on-device; received mixed_float16")


def local_part(batch: Batch) -> Batch:
    """The rows of a batch for the devices of this process: all of them with one process."""
    if keras.distribution.distribution() is None:
        return batch
    number, processes = _process()
    rows = len(batch.crops) // processes
    part = slice(number * rows, (number + 1) * rows)
    return Batch(batch.crops[part], _rows(batch.targets, part), _rows(batch.weights, part))


@contextmanager
def output_directory(out: Path, *, resume: bool) -> Iterator[Path]:
    """The directory that this process writes to: ``out`` itself in the first, a temporary one in all others.

    Args:
        out: readable by all processes.
        resume: whether the run in it continues, so that all processes need its files.
    """
    _join()
    if _process()[0] == 0:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        if resume and out.is_dir():
            shutil.copytree(out, folder, dirs_exist_ok=True)
        yield Path(folder)


def _join() -> None:
    """Join the other processes that the environment names, once, before JAX lists its devices."""
    if keras.backend.backend() != "jax" or not os.environ.get(JOB_ADDRESSES):
        return
    import jax

    if not jax.distributed.is_initialized():
        keras.distribution.initialize()


def _process() -> tuple[int, int]:
    """The index of this process, from 0, and their number."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def _rows(arrays: Mapping[str, npt.NDArray[Any]], rows: slice) -> dict[str, npt.NDArray[Any]]:
    return {head: values[rows] for head, values in arrays.items()}
