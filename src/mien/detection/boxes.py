"""What detectors share: the scale of a frame, and keeping one box of many that mean the same face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.structures import Face


def scaled(
    image: npt.NDArray[np.uint8], longest: int, enlarge: float = 1.0
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """The image at the scale at which a detector looks: its longest side at most ``longest``.

    Args:
        image: uint8 (height, width) or (height, width, channels).
        longest: pixels.
        enlarge: how many times a small image may be enlarged to come near ``longest``.

    Returns:
        The image, and how many pixels of the original one of its pixels spans in x and in y.
    """
    height, width = image.shape[:2]
    scale = min(enlarge, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image, (1.0, 1.0)
    small: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return small, (width / size[0], height / size[1])


def overlaps(
    box: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32], *, nested: bool = False
) -> npt.NDArray[np.float32]:
    """How much a box shares with each of others, float32 (count,), 0 to 1.

    Args:
        box: float32 (4,): left, top, right, bottom.
        boxes: float32 (count, 4).
        nested: over the smaller box, so that a box within another counts as 1; else over their union.
    """
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share: npt.NDArray[np.float32] = shared / (np.minimum(area, areas) if nested else area + areas - shared)
    return share


def suppress(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], most: float, *, nested: bool = False
) -> list[int]:
    """Greedy non-maximum suppression: the rows to keep, best first.

    Args:
        boxes: float32 (count, 4): left, top, right, bottom.
        scores: float32 (count,).
        most: the overlap with a better box above which a box goes.
        nested: as in ``overlaps``.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        waiting = rest[overlaps(boxes[best], boxes[rest], nested=nested) <= most]
    return kept


def largest_first(faces: list[Face]) -> list[Face]:
    """The faces by falling area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.area)
