"""How a detector's recall falls as images get harder: turned, dark, half covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.evaluation.detection_metrics import agreement, found_of, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.data.scenes import BoxedFaces
    from mien.detection import Detector
    from mien.structures import Frame

    Image = tuple[Frame, BoxedFaces]

FROM = 40.0
"""Pixels of the longer side from which faces are asked for."""

ANGLES = (0.0, 10.0, 20.0, 30.0, 40.0)
LIGHTS = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2)
HALVES = ("none", "right", "left", "upper", "lower")


@dataclass(frozen=True)
class Curve:
    """Recall at each step of one corruption.

    Attributes:
        name: of the corruption.
        steps: what was done.
        recalls: the share of sure faces found, for each step.
    """

    name: str
    steps: tuple[str, ...]
    recalls: tuple[float, ...]


def recall_curves(detector: Detector, images: Sequence[Image]) -> tuple[Curve, ...]:
    """Recall of faces of ``FROM`` pixels and more over rotation, darkness and covered halves."""
    return (
        _curve(detector, images, "turned by degrees", {f"{angle:g}": _turning(angle) for angle in ANGLES}),
        _curve(detector, images, "brightness", {f"{light:g}": _dimming(light) for light in LIGHTS}),
        _curve(detector, images, "covered half", {half: _covering(half) for half in HALVES}),
    )


def _curve(
    detector: Detector,
    images: Sequence[Image],
    name: str,
    changes: dict[str, Callable[[Frame, BoxedFaces], Image]],
) -> Curve:
    recalls = []
    for change in changes.values():
        changed = (change(frame, faces) for frame, faces in images)
        parts = [agreement(found_of(detector.detect(frame)), faces, FROM) for frame, faces in changed]
        recalls.append(total(parts).recall)
    return Curve(name, tuple(changes), tuple(recalls))


def _turning(angle: float) -> Callable[[Frame, BoxedFaces], Image]:
    def turned(frame: Frame, faces: BoxedFaces) -> Image:
        """About the middle, on a canvas that holds all of it."""
        height, width = frame.shape[:2]
        turn = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), np.float64)
        reach = np.abs(turn[:, :2]) @ (width, height)
        matrix = np.column_stack([turn[:, :2], turn[:, 2] + (reach - (width, height)) / 2])
        size = (round(float(reach[0])), round(float(reach[1])))
        out: Any = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR)
        return out, faces.under(matrix)

    return turned


def _dimming(light: float) -> Callable[[Frame, BoxedFaces], Image]:
    return lambda frame, faces: (np.rint(frame * light).astype(np.uint8), faces)


def _covering(half: str) -> Callable[[Frame, BoxedFaces], Image]:
    edge = {"right": 0, "upper": 1, "left": 2, "lower": 3}.get(half)

    def covered(frame: Frame, faces: BoxedFaces) -> Image:
        """Grey over one half of every face, as the person sees right and left."""
        if edge is None:
            return frame, faces
        out = frame.copy()
        for box in faces.boxes:
            part = box.copy()
            part[(edge + 2) % 4] = (box[edge] + box[(edge + 2) % 4]) / 2
            left, top, right, bottom = part.clip(0).round().astype(int).tolist()
            out[top:bottom, left:right] = 128
        return out, faces

    return covered
