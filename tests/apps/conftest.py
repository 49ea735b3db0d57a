"""What tests of the command line share: the command inside this process or in one of its own, and images for it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.apps.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Ran(NamedTuple):
    """What one call of the command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, so that no model fetched before changes what is found."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder


@pytest.fixture
def mien(cache_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command, called in this process."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Ran(int(left.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def here(mien: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """The same in ``tmp_path``: a process of its own would spend most of its time on importing Keras."""
    monkeypatch.chdir(tmp_path)
    return mien


@pytest.fixture
def process(cache_folder: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """The command, started in a process of its own, in ``tmp_path``; its streams are bytes."""

    def start(*arguments: object, before: str = "", **choices: str) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        command = ["-c", f"{before}; from mien.__main__ import main; main()"] if before else ["-m", "mien"]
        return subprocess.Popen(
            [sys.executable, *command, *map(os.fspath, map(_as_argument, arguments))],
            cwd=tmp_path,
            env={**kept, **choices},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.fixture
def ran(process: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., Ran]:
    """The command, run to its end in a process of its own; what it printed must be UTF-8."""

    def run(*arguments: object, **choices: str) -> Ran:
        with process(*arguments, **choices) as started:
            out, err = started.communicate(timeout=300)
        return Ran(started.returncode, out.decode(), err.decode())

    return run


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """One face, smiling: uint8 (256, 256, 3), RGB."""
    return astronaut()[:256, 96:352].copy()


@pytest.fixture
def paint(tmp_path: Path, portrait: np.ndarray) -> Callable[..., Path]:
    """Writes an image under a name in ``tmp_path``; by default a grey one without a face."""

    def write(name: str | bytes, frame: np.ndarray | None = None) -> Path:
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 32, 3), 128, np.uint8) if frame is None else frame
        with path.open("wb") as file:  # Pillow would infer the format from the name, which may have no ending
            Image.fromarray(pixels).save(file, "JPEG" if path.suffix == ".jpg" else "PNG")
        return path

    return write


def _as_argument(argument: object) -> str | os.PathLike[str]:
    return argument if isinstance(argument, os.PathLike) else str(argument)
