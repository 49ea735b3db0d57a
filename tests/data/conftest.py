from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data import load as load_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.data import Dataset

SPLITS = ("Training", "PublicTest", "PrivateTest")


@dataclass(frozen=True)
class Row:
    """A good row of a FER2013 csv, as it should be read."""

    emotion: int
    pixels: bytes
    usage: str

    def line(self, order: str = "emotion,pixels,Usage") -> bytes:
        values = {"emotion": str(self.emotion), "pixels": " ".join(map(str, self.pixels)), "Usage": self.usage}
        return ",".join(values[name.strip()] for name in order.split(",")).encode()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MIEN_CACHE", str(folder))
    return folder


@pytest.fixture
def make_rows() -> Callable[..., list[Row]]:
    def make(count: int, side: int = 8, seed: int = 0) -> list[Row]:
        random = np.random.default_rng(seed)
        return [
            Row(int(random.integers(7)), random.integers(0, 256, side * side, np.uint8).tobytes(), SPLITS[at % 3])
            for at in range(count)
        ]

    return make


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def write(lines: list[bytes], header: bytes = b"emotion,pixels,Usage", name: str = "fer2013.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(b"\n".join([header, *lines]) + b"\n")
        return path

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The data folder beside the checkout, for tests marked ``shared``."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def real_data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """FER2013 with the votes of FER+, parsed once a session from the csv itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset(shared_data / "fer2013")
