"""Checkpoints that survive a kill, a full disk or a bad sector: whole and verified, or not used.

Each is a directory,

    checkpoints/epoch-0007                 after seven epochs
    checkpoints/epoch-0007-step-000120     120 steps into the eighth

It is written under a temporary name, every file is fsynced, the manifest has the SHA-256 of each, and then the
directory is renamed. The last three are kept. Arrays are in NumPy's npz format without pickle, in the order of Keras'
variables, so every backend reads the checkpoints of the others.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import TrainingError
from mien.media.files import TEMPORARY
from mien.models.legacy import CHECKPOINT_FILES, EPOCH_FIELDS, renamed
from mien.models.typed_json import fields_of, parse_json, read_json, structured
from mien.training.run.history import Epoch  # noqa: TC001  `structured` evaluates the annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Writer = Callable[[Path, bytes], None]

Arrays = dict[str, npt.NDArray[Any]]
"""Values of variables by name, in Keras' order."""

MAX_CHECKPOINTS = 3
FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.json"
PART = re.compile(r"[a-z]+\.(?:npz|json)")
REQUIRED_PARTS = frozenset({"model", "optimizer"})
NAMES = re.compile(r"epoch-(\d{4,})(?:-step-(\d{6,}))?")


@dataclass(frozen=True)
class TrainState:
    """The progress of a run.

    Attributes:
        history: the finished epochs.
        step: number of finished steps in the current epoch.
        loss: summed over these steps.
        accuracy: likewise, on the training images.
        seconds: spent on these steps.
        waiting: the part of them spent waiting for batches.
    """

    history: tuple[Epoch, ...] = ()
    step: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    seconds: float = 0.0
    waiting: float = 0.0

    @property
    def place(self) -> tuple[int, int]:
        """Finished epochs, and steps in the current one; it grows during a run."""
        return len(self.history), self.step


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to continue bit-exactly.

    Attributes:
        state: epochs and steps that are done.
        arrays: by part: "model" (weights and batch-norm statistics), "optimizer" (steps, momenta, averages) and, after
            the first epoch, "best" (the weights of the best one).
    """

    state: TrainState
    arrays: Mapping[str, Arrays]


class DamagedError(TrainingError):
    """A checkpoint is damaged."""


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and fsync it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Checkpoints:
    """The checkpoints of a run directory.

    Args:
        folder: RUN/checkpoints, created if needed.
        write: writes a file to the disk, or raises OSError.
    """

    def __init__(self, folder: Path, write: Writer = write_synced) -> None:
        self._folder = folder
        self._write = write

    def places(self) -> dict[tuple[int, int], Path]:
        """The checkpoints by ``TrainState.place``, newest first, without checking that they can be read."""
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        found = ((NAMES.fullmatch(path.name), path) for path in paths)
        places = {(int(name[1]), int(name[2] or 0)): path for name, path in found if name}
        return dict(sorted(places.items(), reverse=True))

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove all but the last three, and later ones of a run that was set back.

        Raises:
            TrainingError: it can't be written; the existing ones stay.
        """
        epoch, step = checkpoint.state.place
        target = self._folder / (f"epoch-{epoch:04d}-step-{step:06d}" if step else f"epoch-{epoch:04d}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._put(target, _files(checkpoint))
            places = self.places()
            earlier = [path for place, path in places.items() if place <= (epoch, step)]
            for path in set(places.values()) - set(earlier[:MAX_CHECKPOINTS]):
                self._remove(path)
        except OSError as error:
            raise TrainingError(self._unwritten(target, error)) from error

    def newest(self, report: Callable[[str], None]) -> Checkpoint | None:
        """The newest intact checkpoint; None if there are none at all.

        Args:
            report: called with a message for each damaged one that is skipped.

        Raises:
            TrainingError: all checkpoints are damaged.
        """
        damaged = []
        for path in self.places().values():
            try:
                return _complete(path)
            except DamagedError as error:
                damaged.append(str(error))
                report(f"{error}; it is skipped for the one before")
        if damaged:
            raise TrainingError(
                f"expected an intact checkpoint in {self._folder}; all {len(damaged)} are damaged. "
                "Restore one from a backup, or start again with another --out"
            )
        return None

    def read(self, path: Path) -> Checkpoint:
        """One of the checkpoints that ``places`` lists.

        Raises:
            DamagedError: a file is missing, or its hash differs.
        """
        return _read(path)

    def _put(self, target: Path, files: dict[str, bytes]) -> None:
        """Write the files as a directory, completely or not at all."""
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._folder))
        try:
            for name, content in files.items():
                self._write(aside / name, content)
            _sync(aside)
            if target.exists():  # a damaged one, reached again
                self._remove(target)
            aside.rename(target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync(self._folder)

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint: renamed first, so that none is ever partly deleted."""
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._folder))
        path.rename(aside / path.name)
        shutil.rmtree(aside, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove temporary directories of killed runs."""
        for stray in self._folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(stray, ignore_errors=True)

    def _unwritten(self, target: Path, error: OSError) -> str:
        last = next(iter(self.places().values()), None)
        kept = f"the last checkpoint, {last.name}, is intact" if last else "there was none before"
        return (
            f"expected to write the checkpoint {target}; received: {error.strerror or error}. Nothing is lost, {kept}: "
            "free some space or fix the permissions, then continue with --resume"
        )


def _files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files of a checkpoint by name, the manifest last."""
    files = {f"{part}.npz": _npz(arrays) for part, arrays in checkpoint.arrays.items()}
    state = {**vars(checkpoint.state), "history": [epoch.to_json() for epoch in checkpoint.state.history]}
    files[STATE] = _json(state)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**files, MANIFEST: _json({"format": FORMAT, "sha256": digests})}


def _read(path: Path) -> Checkpoint:
    """The checkpoint in a directory, of this version or of 0.1.0.

    Raises:
        DamagedError: a file is missing, or its hash differs.
    """
    try:
        return _content(path)
    except DamagedError:
        raise
    except Exception as error:  # numpy and zipfile raise a dozen kinds that share no base but this one
        raise DamagedError(f"the checkpoint {path} can't be read ({error})") from error


def _content(path: Path) -> Checkpoint:
    manifest = fields_of(read_json(path / MANIFEST), "the manifest")
    if manifest["format"] != FORMAT:
        raise DamagedError(f"the checkpoint {path} has the format {manifest['format']}; this mien reads {FORMAT}")
    digests = fields_of(manifest["sha256"], "sha256")
    files = {name: _unaltered(path, name, digest) for name, digest in digests.items()}
    values = fields_of(parse_json(files.pop(STATE if STATE in files else CHECKPOINT_FILES[STATE])), "the state")
    values["history"] = [renamed(fields_of(epoch, "an epoch"), EPOCH_FIELDS) for epoch in values["history"]]
    arrays = {name.removesuffix(".npz"): _arrays(content) for name, content in files.items()}
    return Checkpoint(structured(TrainState, values, "the state"), arrays)


def _complete(path: Path) -> Checkpoint:
    """The checkpoint in a directory, with all that a run needs to continue.

    Raises:
        DamagedError: it can't be read, or lacks a part.
    """
    checkpoint = _read(path)
    required = REQUIRED_PARTS | ({"best"} if checkpoint.state.history else set())
    if missing := sorted(required - set(checkpoint.arrays)):
        raise DamagedError(f"the checkpoint {path} lacks {missing}")
    return checkpoint


def _unaltered(folder: Path, name: str, digest: Any) -> bytes:
    """The content of a file that the manifest lists."""
    if not PART.fullmatch(name) or not (folder / name).is_file():  # a path may lead elsewhere, a pipe may never end
        raise DamagedError(f"the checkpoint {folder} lacks the file {name!r}")
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedError(f"the checkpoint {folder} was altered or cut short in {name}")
    return content


def _npz(arrays: Arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # numpy's types take every name for an option
    return content.getvalue()


def _arrays(content: bytes) -> Arrays:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1).encode()


def _sync(folder: Path) -> None:
    """Fsync a directory; Windows can't."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
