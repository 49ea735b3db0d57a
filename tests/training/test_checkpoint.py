"""Reliability 18: whatever befalls a checkpoint is noticed, and the one before it still serves."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.errors import TrainingError
from mien.training.run.checkpoint import (
    MANIFEST,
    MAX_CHECKPOINTS,
    STATE,
    Checkpoint,
    Checkpoints,
    TrainState,
    write_synced,
)
from mien.training.run.history import Epoch, HeadScore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = [MANIFEST, STATE, "model.npz", "optimizer.npz", "best.npz"]


def history(epochs: int) -> tuple[Epoch, ...]:
    scores = (HeadScore("own", 1 / 3, 0.1, 2 / 7),)
    return tuple(Epoch(number, 0.1 * number, 0.5, scores, 1e-3, 1.5, 700.0, 0.01) for number in range(1, epochs + 1))


def checkpoint(epochs: int, step: int = 0, size: int = 7) -> Checkpoint:
    values = np.random.default_rng(epochs).normal(size=size).astype(np.float32)
    values[:3] = np.nan, -0.0, np.inf
    arrays = {
        "model": {"0000 kernel": values, "0001 bias": values[:0]},
        "optimizer": {"0000 iteration": np.array(2**40 + step), "0001 momentum": values.astype(np.float16)},
    }
    if epochs:
        arrays["best"] = {"0000 kernel": -values}
    return Checkpoint(TrainState(history(epochs), step, loss=0.1 * step, accuracy=1 / 3), arrays)


def assert_same(one: Checkpoint | None, other: Checkpoint) -> None:
    assert one is not None
    assert one.state == other.state
    assert {part: list(arrays) for part, arrays in one.arrays.items()} == {
        part: list(arrays) for part, arrays in other.arrays.items()
    }
    for part, arrays in other.arrays.items():
        for name, values in arrays.items():
            read = one.arrays[part][name]
            assert (read.dtype, read.shape, read.tobytes()) == (values.dtype, values.shape, values.tobytes())


def silent(words: str) -> None:
    raise AssertionError(f"nothing should be messages; received {words!r}")


def saved(folder: Path, *checkpoints: Checkpoint) -> Checkpoints:
    kept = Checkpoints(folder / "checkpoints")
    for one in checkpoints:
        kept.save(one)
    return kept


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize(("epochs", "step"), [(0, 5), (1, 0), (12, 0), (3, 123456)])
def test_what_is_read_is_what_was_written_to_the_last_bit(epochs: int, step: int, tmp_path: Path) -> None:
    written = checkpoint(epochs, step)
    assert_same(saved(tmp_path, written).newest(silent), written)


def test_none_where_there_are_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "checkpoints").newest(silent) is None


def test_the_last_three_stay_and_the_newest_is_read(tmp_path: Path) -> None:
    places = [(0, 5), (1, 0), (1, 40), (1, 1_000_000), (2, 0), (2, 7)]
    kept = saved(tmp_path, *(checkpoint(*place) for place in places))
    assert names(tmp_path) == ["epoch-0001-step-1000000", "epoch-0002", "epoch-0002-step-000007"]
    assert list(kept.places()) == [(2, 7), (2, 0), (1, 1_000_000)]
    assert len(kept.places()) == MAX_CHECKPOINTS
    assert_same(kept.newest(silent), checkpoint(2, 7))


def test_later_ones_of_a_run_that_was_taken_back_go(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2), checkpoint(3))
    kept.save(checkpoint(1, 5))
    assert list(kept.places()) == [(1, 5), (1, 0)]


def test_a_moment_that_comes_again_takes_the_place_of_its_first_time(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    (tmp_path / "checkpoints" / "epoch-0002" / STATE).unlink()
    kept.save(checkpoint(2))
    assert names(tmp_path) == ["epoch-0001", "epoch-0002"]
    assert_same(kept.newest(silent), checkpoint(2))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [cut, emptied, flipped, removed])
@pytest.mark.parametrize("name", FILES)
def test_harm_is_noticed_and_the_one_before_used(name: str, harm: Callable[[Path], None], tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    harm(tmp_path / "checkpoints" / "epoch-0002" / name)
    messages: list[str] = []
    assert_same(kept.newest(messages.append), checkpoint(1))
    assert len(messages) == 1
    assert "epoch-0002" in messages[0]
    assert "skipped for the one before" in messages[0]


def test_every_flipped_bit_of_a_manifest_is_noticed_or_harmless(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    manifest = tmp_path / "checkpoints" / "epoch-0002" / MANIFEST
    content = manifest.read_bytes()
    for at in range(len(content)):
        manifest.write_bytes(content[:at] + bytes([content[at] ^ 0x04]) + content[at + 1 :])
        messages: list[str] = []
        assert_same(kept.newest(messages.append), checkpoint(1 if messages else 2))


def test_all_damaged_is_an_error_that_says_so(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    for name in names(tmp_path):
        cut(tmp_path / "checkpoints" / name / "model.npz")
    with pytest.raises(TrainingError, match="all 2 are damaged"):
        kept.newest(lambda _: None)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    folder = tmp_path / "checkpoints" / "epoch-0002"
    content = io.BytesIO()
    np.savez(content, **{"0000 kernel": np.array([{"no": "array"}], dtype=object)})
    (folder / "model.npz").write_bytes(content.getvalue())
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["sha256"]["model.npz"] = sha256(content.getvalue()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    messages: list[str] = []
    assert_same(kept.newest(messages.append), checkpoint(1))
    assert "allow_pickle" in messages[0]


class Killed(BaseException):
    """Stands for the process's end: nothing of the writer's runs after it."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Killed()], ids=["full", "killed"])
@pytest.mark.parametrize("at", range(len(FILES)))
def test_a_write_that_fails_leaves_the_last_whole_one(at: int, error: BaseException, tmp_path: Path) -> None:
    count = 0

    def failing(path: Path, content: bytes) -> None:
        nonlocal count
        write_synced(path, content[: len(content) // 2] if count == at else content)
        count += 1
        if count > at:
            raise error

    kept = saved(tmp_path, checkpoint(1), checkpoint(2))
    with pytest.raises((TrainingError, Killed)) as raised:
        Checkpoints(tmp_path / "checkpoints", failing).save(checkpoint(3))
    if isinstance(error, OSError):
        assert "No space left on device" in str(raised.value)
        assert "the last checkpoint, epoch-0002, is intact" in str(raised.value)
        assert "continue with --resume" in str(raised.value)
    assert names(tmp_path) == ["epoch-0001", "epoch-0002"]
    assert_same(kept.newest(silent), checkpoint(2))


def test_what_killed_runs_left_is_swept_and_never_read(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1))
    stray = tmp_path / "checkpoints" / ".mien-abc"
    (tmp_path / "checkpoints" / "epoch-0001").rename(stray)
    assert kept.newest(silent) is None
    kept.save(checkpoint(2))
    assert names(tmp_path) == ["epoch-0002"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_whole_one(small_disk: Path) -> None:
    kept = saved(small_disk, checkpoint(1, size=5000))
    with pytest.raises(TrainingError, match="No space left on device"):
        kept.save(checkpoint(2, size=50_000))
    assert names(small_disk) == ["epoch-0001"]
    assert_same(kept.newest(silent), checkpoint(1, size=5000))


def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1))
    (tmp_path / "checkpoints").chmod(0o500)
    if os.access(tmp_path / "checkpoints", os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(TrainingError, match="Permission denied"):
        kept.save(checkpoint(2))
    assert_same(kept.newest(silent), checkpoint(1))
    (tmp_path / "checkpoints").chmod(0o700)


def test_another_format_version_is_reported(tmp_path: Path) -> None:
    kept = saved(tmp_path, checkpoint(1))
    manifest = tmp_path / "checkpoints" / "epoch-0001" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    messages: list[str] = []
    with pytest.raises(TrainingError, match="damaged"):
        kept.newest(messages.append)
    assert "has the format 9; this mien reads 1" in messages[0]


def test_moments_are_in_order() -> None:
    moments = [TrainState(history(0), 5), TrainState(history(1)), TrainState(history(1), 3), TrainState(history(2))]
    assert [moment.place for moment in moments] == sorted(moment.place for moment in moments)
    assert replace(moments[0], step=6).place > moments[0].place
