"""Keras made ready, and the runs that several tests look at. Modules that need Keras skip where it is not installed."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from lessons import QUICK, Taught, drawn, drawn_with_votes, taught

from mien.training import BACKENDS, prepare_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def single(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """``two-conv`` taught the eight patterns."""
    return taught(tmp_path_factory.mktemp("single") / "run", drawn(each=64), QUICK)


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """``nano`` taught them under two sets of labels."""
    recipe = replace(QUICK, network="nano", epochs=2, rate=0.1)
    return taught(tmp_path_factory.mktemp("double") / "run", drawn_with_votes(each=64), recipe)
