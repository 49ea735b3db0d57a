"""mien recognizes facial expressions: an image in; the faces, the expression of each, and calibrated probabilities out.

    >>> import mien
    >>> result = mien.Recognizer.load().predict("team.jpg")  # doctest: +SKIP
    >>> [(face.emotion, face.probability) for face in result.predictions]  # doctest: +SKIP
    [('happy', 0.91)]

Importing mien is cheap: each name loads its module on first use.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.classification.classifier import Classifier
    from mien.detection import Detector
    from mien.emotions import FER2013, FERPLUS, Emotion
    from mien.errors import (
        DatasetError,
        DivergedError,
        FetchError,
        ImageError,
        IncompleteVideoError,
        MienError,
        MissingExtraError,
        ModelError,
        ModelMissingError,
        TrainingError,
        UsageError,
        VideoError,
    )
    from mien.media.video import FileSource, Sampling, VideoFrame
    from mien.models.card import CropRule, FusedOutput, Head, ModelCard, Origin, Score
    from mien.models.manifest import Entry
    from mien.models.store import Check, ModelStore
    from mien.recognizer import Analysis, ImageLike, Recognizer
    from mien.structures import Box, Crops, Face, Frame, FrameResult, Landmarks, Point, Prediction, Probabilities
    from mien.tracking.tracker import Tracker, TrackerConfig

# onnxruntime 1.31 and later writes a device id and looks up its maker's telemetry host while it is imported, so this
# must stand before any import of it; its own disable_telemetry_events() comes too late
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.2.0"

__all__ = [
    "FER2013",
    "FERPLUS",
    "Analysis",
    "Box",
    "Check",
    "Classifier",
    "CropRule",
    "Crops",
    "DatasetError",
    "Detector",
    "DivergedError",
    "Emotion",
    "Entry",
    "Face",
    "FetchError",
    "FileSource",
    "Frame",
    "FrameResult",
    "FusedOutput",
    "Head",
    "ImageError",
    "ImageLike",
    "IncompleteVideoError",
    "Landmarks",
    "MienError",
    "MissingExtraError",
    "ModelCard",
    "ModelError",
    "ModelMissingError",
    "ModelStore",
    "Origin",
    "Point",
    "Prediction",
    "Probabilities",
    "Recognizer",
    "Sampling",
    "Score",
    "Tracker",
    "TrackerConfig",
    "TrainingError",
    "UsageError",
    "VideoError",
    "VideoFrame",
]

_EXPORTS = {
    "mien.classification.classifier": ("Classifier",),
    "mien.detection": ("Detector",),
    "mien.emotions": (
        "FER2013",
        "FERPLUS",
        "Emotion",
    ),
    "mien.media.video": (
        "FileSource",
        "Sampling",
        "VideoFrame",
    ),
    "mien.models.card": (
        "CropRule",
        "FusedOutput",
        "Head",
        "ModelCard",
        "Origin",
        "Score",
    ),
    "mien.models.manifest": ("Entry",),
    "mien.models.store": (
        "Check",
        "ModelStore",
    ),
    "mien.recognizer": (
        "Analysis",
        "ImageLike",
        "Recognizer",
    ),
    "mien.structures": (
        "Box",
        "Crops",
        "Face",
        "Frame",
        "FrameResult",
        "Landmarks",
        "Point",
        "Prediction",
        "Probabilities",
    ),
    "mien.tracking.tracker": (
        "Tracker",
        "TrackerConfig",
    ),
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}
_RENAMED = {"PictureError": "ImageError"}
"""Names of mien 0.1.0; the next release removes them."""


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        new = _RENAMED[name]
        warnings.warn(f"mien.{name} is now mien.{new}", DeprecationWarning, stacklevel=2)
        name = new
    if name not in __all__:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF.get(name, "mien.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
