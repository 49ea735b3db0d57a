"""What the tests share: the folders beside them and the model that mien ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.classification import Classifier
from mien.model_store import ModelStore
from mien.recognizer import DEFAULT_MODEL


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared(repository: Path) -> Path:
    """The folder beside the checkout that tests marked ``shared`` need; it is no part of the repository."""
    folder = repository.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared beside the checkout")
    return folder


@pytest.fixture(scope="session")
def shipped_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of the model that ``Recognizer.load()`` takes."""
    return ModelStore(cache=tmp_path_factory.mktemp("cache")).load(DEFAULT_MODEL)


@pytest.fixture(scope="session")
def classifier(shipped_model: bytes) -> Classifier:
    """That model on one thread."""
    return Classifier(shipped_model, threads=1)
