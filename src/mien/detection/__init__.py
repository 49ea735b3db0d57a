"""From a frame to its faces: mien's own detector or YuNet on ONNX Runtime, Haar cascades, or the whole image.

Every detector frames a face as YuNet does (brow to chin, ear to ear), so one crop rule serves all.
"""

from __future__ import annotations

from typing import Protocol

from mien.detection.haar import HaarDetector
from mien.detection.mien_detector import OwnDetector
from mien.detection.yunet import YuNetDetector
from mien.models.card import CropRule
from mien.structures import Box, Face, Frame, check_frame

__all__ = [
    "Detector",
    "HaarDetector",
    "OwnDetector",
    "WholeDetector",
    "YuNetDetector",
    "rule_for",
]


class Detector(Protocol):
    """Whatever finds faces in a frame; safe to call from several threads."""

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a uint8 (height, width, 3) RGB frame, largest first; empty where there is none."""
        ...


class WholeDetector:
    """The image is one face: for images that are face crops already, as those of FER2013 are.

    Its box is the frame, not a face's tight box, so it is cut by ``rule_for`` and not by a model card's rule.
    """

    def detect(self, frame: Frame) -> list[Face]:
        """One face whose box is the frame.

        Raises:
            ImageError: the frame is no uint8 (height, width, 3) array.
        """
        height, width = check_frame(frame).shape[:2]
        return [Face(Box(0, 0, width, height))]


def rule_for(detector: Detector, rule: CropRule) -> CropRule:
    """How to cut a detector's boxes: by the model card's rule, but ``WholeDetector``'s as they are."""
    return CropRule(factor=1.0) if isinstance(detector, WholeDetector) else rule
