"""Face detection: mien's own detector and YuNet on ONNX Runtime, OpenCV's Haar cascades, or the whole image as a face.

All detectors frame a face as YuNet does (brow to chin, ear to ear), so one crop rule serves all.
"""

from __future__ import annotations

from typing import Protocol

from mien.detection.haar import HaarDetector
from mien.detection.mien_detector import MienDetector
from mien.detection.yunet import YuNetDetector
from mien.models.card import CropRule
from mien.structures import Box, Face, Frame, check_frame

__all__ = [
    "Detector",
    "HaarDetector",
    "MienDetector",
    "WholeImageDetector",
    "YuNetDetector",
    "crop_rule_for",
]


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
