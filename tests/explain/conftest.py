from __future__ import annotations

import pytest
from skimage.data import astronaut

from mien.detection import MienDetector
from mien.explain import Occlusion
from mien.models.store import ModelStore
from mien.recognizer import Recognizer


@pytest.fixture(scope="session")
def occlusion(shipped_model):
    return Occlusion(shipped_model, threads=1)


@pytest.fixture(scope="session")
def recognizer(occlusion, tmp_path_factory):
    """mien's own detector, and the model whose predictions are explained."""
    store = ModelStore(cache=tmp_path_factory.mktemp("detector"))
    return Recognizer(MienDetector(store.load("faces")), occlusion.classifier)


@pytest.fixture(scope="session")
def smile():
    """A portrait with a broad smile: uint8 (300, 320, 3)."""
    return astronaut()[:300, 60:380].copy()
