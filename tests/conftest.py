"""What the tests share: Keras made ready, the folders beside them and the model that mien ships."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.classification.classifier import Classifier
from mien.models.store import ModelStore
from mien.recognizer import DEFAULT_MODEL
from mien.training import BACKENDS, prepare_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

# under nohup it is ignored, and programs that tests start would inherit that
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Keras reads it once, when it is imported
if not os.environ.get("KERAS_BACKEND"):
    os.environ["KERAS_BACKEND"] = next((name for name in BACKENDS if find_spec(name)), BACKENDS[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Keras 3.15's own Variable.__array__ lacks the copy argument that NumPy 2 asks for
    spared = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    for item in items:
        if item.get_closest_marker("train"):
            item.add_marker(spared)


@pytest.fixture(autouse=True)
def keras_settings() -> Iterator[None]:
    """Keras' global settings: as mien makes them at the start, whatever ran before; left as they were found."""
    keras = sys.modules.get("keras")
    if keras is None:
        yield
        return
    policy, form = keras.config.dtype_policy(), keras.config.image_data_format()
    prepare_backend()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(form)


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


@pytest.fixture(scope="session")
def own_scores(classifier: Classifier) -> dict[str, float]:
    """What that model's card tells of FER2013's PublicTest, under FER2013's labels, by metric."""
    return {score.metric: score.value for score in classifier.card.scores if score.head == "fer2013"}


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> str:
    """The path of Chromium or Chrome."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have a browser ({', '.join(BROWSERS)}): apt-get install chromium")
    return found or pytest.skip(f"needs a browser ({', '.join(BROWSERS)})")
