"""mien reads facial expressions: an image in; the faces, the expression each shows, and how sure that is out.

    >>> import mien
    >>> result = mien.Recognizer.load().predict("team.jpg")  # doctest: +SKIP
    >>> [(face.emotion, face.probability) for face in result.predictions]  # doctest: +SKIP
    [('happy', 0.91)]

Importing it costs little: each name loads its module when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.classification.classifier import Classifier
    from mien.emotions import FER2013, FERPLUS, Emotion
    from mien.errors import (
        DatasetError,
        FetchError,
        ImageError,
        MienError,
        MissingExtraError,
        ModelError,
        ModelMissingError,
        TrainingError,
        UsageError,
    )
    from mien.models.card import CropRule, ModelCard
    from mien.models.store import ModelStore
    from mien.recognizer import Recognizer
    from mien.structures import Box, Face, FrameResult, Landmarks, Point, Prediction

# onnxruntime 1.31 and later writes a device id and looks up its maker's telemetry host while it is imported, so this
# must stand before any import of it; its own disable_telemetry_events() comes too late
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"

__all__ = [
    "FER2013",
    "FERPLUS",
    "Box",
    "Classifier",
    "CropRule",
    "DatasetError",
    "Emotion",
    "Face",
    "FetchError",
    "FrameResult",
    "ImageError",
    "Landmarks",
    "MienError",
    "MissingExtraError",
    "ModelCard",
    "ModelError",
    "ModelMissingError",
    "ModelStore",
    "Point",
    "Prediction",
    "Recognizer",
    "TrainingError",
    "UsageError",
]

_ROOMS = {
    "mien.classification.classifier": ("Classifier",),
    "mien.emotions": ("FER2013", "FERPLUS", "Emotion"),
    "mien.structures": ("Box", "Face", "FrameResult", "Landmarks", "Point", "Prediction"),
    "mien.models.card": ("CropRule", "ModelCard"),
    "mien.models.store": ("ModelStore",),
    "mien.recognizer": ("Recognizer",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(import_module(_ROOM_OF.get(name, "mien.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
