"""Face detection: mien's own detector and YuNet on ONNX Runtime, OpenCV's Haar cascades, or the whole image as a face.

All detectors frame a face as YuNet does (brow to chin, ear to ear), so one crop rule serves all.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mien.detection.haar import HaarDetector
from mien.detection.mien_detector import MienDetector
from mien.detection.yunet import YuNetDetector
from mien.errors import UsageError
from mien.models.card import CropRule
from mien.structures import Box, Face, Frame, check_frame

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from mien.models.store import ModelStore

__all__ = [
    "SHIPPED_DETECTOR",
    "Detector",
    "HaarDetector",
    "MienDetector",
    "WholeImageDetector",
    "YuNetDetector",
    "crop_rule_for",
    "detectors_here",
    "find_detector",
]

SHIPPED_DETECTOR = "faces"


class Detector(Protocol):
    """A face detector, safe to call from several threads; any class with this method will do.

    Example:
        >>> import numpy as np
        >>> from mien.detection import Detector, HaarDetector
        >>> detector: Detector = HaarDetector()
        >>> detector.detect(np.zeros((240, 320, 3), np.uint8))
        []
    """

    def detect(self, frame: Frame) -> list[Face]:
        """Find the faces in a uint8 (height, width, 3) RGB frame, largest first; an empty list if there is none."""
        ...


class WholeImageDetector:
    """Takes the whole image as one face: for images that are face crops already, such as those of FER2013.

    The box is the frame, not tight around the face, so crop it by ``crop_rule_for`` instead of the model card's rule.

    Example:
        >>> import numpy as np
        >>> from mien.detection import WholeImageDetector
        >>> WholeImageDetector().detect(np.zeros((48, 48, 3), np.uint8))[0].box
        Box(left=0, top=0, right=48, bottom=48)
    """

    def detect(self, frame: Frame) -> list[Face]:
        """Return one face whose box is the frame.

        Raises:
            ImageError: the frame is no uint8 (height, width, 3) array.
        """
        height, width = check_frame(frame).shape[:2]
        return [Face(Box(0, 0, width, height))]


def crop_rule_for(detector: Detector, rule: CropRule) -> CropRule:
    """The rule to crop a detector's boxes by: the model card's, but no margin for ``WholeImageDetector``."""
    return CropRule(factor=1.0) if isinstance(detector, WholeImageDetector) else rule


def detectors_here(store: ModelStore) -> tuple[str, ...]:
    """The names of the detectors that are installed, the default one first."""
    return ("auto", *(["yunet"] if store.has("yunet") else []), *(["haar"] if find_spec("cv2") else []))


def find_detector(name: str | os.PathLike[str], store: ModelStore, threads: int = 1) -> Detector:
    """Load a detector by name, with its model from the store.

    Args:
        name: "auto" or "faces" (mien's own), "yunet", "haar", "whole" (each image is a face), or the path of a
            detector that ``mien train`` wrote.
        store: where models are.
        threads: of ONNX Runtime within one call; 0: one per core.

    Raises:
        UsageError: the name is unknown.
        ModelError: its model is missing, changed, or not a detector.
    """
    if not isinstance(name, str) or name.lower().endswith(".onnx"):
        return MienDetector(store.load(Path(name)), threads=threads)
    name = "auto" if name == SHIPPED_DETECTOR else name
    makers: dict[str, Callable[[], Detector]] = {
        "auto": lambda: MienDetector(store.load(SHIPPED_DETECTOR), threads=threads),
        "yunet": lambda: YuNetDetector(store.load("yunet"), threads=threads),
        "haar": HaarDetector,
        "whole": WholeImageDetector,
    }
    if name not in makers:
        raise UsageError(f"expected a detector of {', '.join(makers)}, or an .onnx file; received {name!r}")
    return makers[name]()
