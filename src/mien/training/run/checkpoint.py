"""Checkpoints that a kill, a full disk or a bad sector can't turn into wrong weights.

Each is a directory of its own,

    checkpoints/epoch-0007                 after seven epochs
    checkpoints/epoch-0007-step-000120     120 steps into the eighth

written under a temporary name, every file fsynced, with the SHA-256 of each in its manifest, and then renamed. The
last three stay. Arrays are NumPy's npz without pickle, in the order of Keras' variables, so that every backend reads
those of the others.
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
from mien.training.run.directory import Epoch, epoch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Writer = Callable[[Path, bytes], None]

Arrays = dict[str, npt.NDArray[Any]]
"""Values of variables by their names, in Keras' order."""

KEPT = 3
FORMAT = 1
MANIFEST = "manifest.json"
MOMENT = "moment.json"
NAMES = re.compile(r"epoch-(\d{4,})(?:-step-(\d{6,}))?")


@dataclass(frozen=True)
class Moment:
    """Where a run stands.

    Attributes:
        history: the finished epochs.
        step: how many steps of the next one are done.
        loss: the sum over these steps.
        accuracy: likewise, on the training images.
        seconds: spent on these steps.
        waiting: of which spent waiting for batches.
    """

    history: tuple[Epoch, ...] = ()
    step: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    seconds: float = 0.0
    waiting: float = 0.0

    @property
    def place(self) -> tuple[int, int]:
        """Finished epochs, and steps of the next: later moments have greater ones."""
        return len(self.history), self.step


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        moment: where it stands.
        arrays: by part: "model" (weights and batch-norm statistics), "optimizer" (steps, momenta, averages) and, after
            the first epoch, "best" (the weights of the best one).
    """

    moment: Moment
    arrays: Mapping[str, Arrays]


class DamagedError(TrainingError):
    """A checkpoint is not what was written."""


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Checkpoints:
    """The checkpoints of a run directory.

    Args:
        folder: RUN/checkpoints, made if need be.
        write: brings a file to the disk; it raises OSError where it can't.
    """

    def __init__(self, folder: Path, write: Writer = write_synced) -> None:
        self._folder = folder
        self._write = write

    def places(self) -> dict[tuple[int, int], Path]:
        """The checkpoints by their place, newest first; whether they can be read is not known yet."""
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        found = ((NAMES.fullmatch(path.name), path) for path in paths)
        places = {(int(name[1]), int(name[2] or 0)): path for name, path in found if name}
        return dict(sorted(places.items(), reverse=True))

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint; those before the last three go, and so do later ones, of a run that was taken back.

        Raises:
            TrainingError: it can't be written; those that are there stay.
        """
        epoch, step = checkpoint.moment.place
        target = self._folder / (f"epoch-{epoch:04d}-step-{step:06d}" if step else f"epoch-{epoch:04d}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._put(target, _files(checkpoint))
            places = self.places()
            earlier = [path for place, path in places.items() if place <= (epoch, step)]
            for path in set(places.values()) - set(earlier[:KEPT]):
                self._remove(path)
        except OSError as error:
            raise TrainingError(self._unwritten(target, error)) from error

    def newest(self, tell: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole; None where there are none at all.

        Args:
            tell: told of each damaged one that is passed over.

        Raises:
            TrainingError: there are some, but none is whole.
        """
        damaged = []
        for path in self.places().values():
            try:
                return _read(path)
            except DamagedError as error:
                damaged.append(str(error))
                tell(f"{error}; it is passed over for the one before")
        if damaged:
            raise TrainingError(
                f"expected a whole checkpoint in {self._folder}; all {len(damaged)} are damaged. "
                "Copy one back from a backup, or start again with another --out"
            )
        return None

    def read(self, path: Path) -> Checkpoint:
        """One of the checkpoints that ``places`` names.

        Raises:
            TrainingError: a byte of it is not what was written.
        """
        return _read(path)

    def _put(self, target: Path, files: dict[str, bytes]) -> None:
        """The files as a directory that is there whole or not at all."""
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._folder))
        try:
            for name, content in files.items():
                self._write(aside / name, content)
            _sync(aside)
            if target.exists():  # a damaged one: its moment has come again
                self._remove(target)
            aside.rename(target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync(self._folder)

    def _remove(self, path: Path) -> None:
        """Takes a checkpoint away: renamed first, so that none is ever there in part."""
        aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._folder))
        path.rename(aside / path.name)
        shutil.rmtree(aside, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what killed runs left behind."""
        for stray in self._folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(stray, ignore_errors=True)

    def _unwritten(self, target: Path, error: OSError) -> str:
        last = next(iter(self.places().values()), None)
        kept = f"the last one, {last.name}, is whole" if last else "there was none before it"
        return (
            f"expected to write the checkpoint {target}; received: {error.strerror or error}. Nothing that was there "
            f"is lost, {kept}: make room, or mend the rights, then go on with --resume"
        )


def _files(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The files of a checkpoint by name, the manifest last."""
    files = {f"{part}.npz": _npz(arrays) for part, arrays in checkpoint.arrays.items()}
    moment = {**vars(checkpoint.moment), "history": [epoch.to_json() for epoch in checkpoint.moment.history]}
    files[MOMENT] = _json(moment)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**files, MANIFEST: _json({"format": FORMAT, "sha256": digests})}


def _read(path: Path) -> Checkpoint:
    """The checkpoint in a directory.

    Raises:
        DamagedError: a byte of it is not what was written.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise DamagedError(f"the checkpoint {path} has the format {manifest['format']}; this mien reads {FORMAT}")
        files = {name: _unaltered(path / name, digest) for name, digest in manifest["sha256"].items()}
        values = json.loads(files.pop(MOMENT))
        history = tuple(epoch_of(epoch) for epoch in values.pop("history"))
        arrays = {name.removesuffix(".npz"): _arrays(content) for name, content in files.items()}
        return Checkpoint(Moment(**values, history=history), arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"the checkpoint {path} can't be read ({error})") from error


def _unaltered(path: Path, digest: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedError(f"the checkpoint {path.parent} was altered or cut short in {path.name}")
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
    """Waits until a directory's entries are on the disk, where the system can open directories (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
