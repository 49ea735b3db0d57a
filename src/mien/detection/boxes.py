"""What detectors share: scaling a frame down, and keeping one box of many that mean the same face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.faces import Face


def scale_down(picture: npt.NDArray[np.uint8], longest: int) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """The picture with its longest side at most ``longest``, never enlarged.

    Args:
        picture: uint8 (height, width) or (height, width, channels).
        longest: pixels.

    Returns:
        The picture, and how many pixels of the original one of its pixels spans in x and in y.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return picture, (1.0, 1.0)
    small: Any = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small, (width / size[0], height / size[1])


def suppress(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], overlap: float, *, nested: bool = False
) -> list[int]:
    """Greedy non-maximum suppression: the rows to keep, best first.

    Args:
        boxes: float32 (count, 4): left, top, right, bottom.
        scores: float32 (count,).
        overlap: intersection over union above which the lesser box goes.
        nested: divide by the smaller box instead, so that a box within another counts as overlap 1.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        corner = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        shared = corner.clip(0).prod(axis=1)
        whole = np.minimum(areas[best], areas[rest]) if nested else areas[best] + areas[rest] - shared
        waiting = rest[shared <= overlap * whole]
    return kept


def largest_first(faces: list[Face]) -> list[Face]:
    """The faces by falling area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.area)
