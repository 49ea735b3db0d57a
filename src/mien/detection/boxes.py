"""Scaling frames for a detector, non-maximum suppression, and the order in which faces are returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.structures import box_iou

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.structures import Face


def resize_longest_side(
    image: npt.NDArray[np.uint8], longest_px: int, max_enlargement: float = 1.0
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """Resizes an image to the inference scale of a detector: its longest side is at most ``longest_px``.

    Args:
        image: uint8 (height, width) or (height, width, channels).
        longest_px: bound of the longest side.
        max_enlargement: factor by which a small image may be enlarged to approach ``longest_px``.

    Returns:
        The image, and the width and height of one of its pixels in pixels of the original.
    """
    height, width = image.shape[:2]
    scale = min(max_enlargement, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return image, (1.0, 1.0)
    resized: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return resized, (width / size[0], height / size[1])


def non_max_suppression(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    max_overlap: float,
    *,
    over_smaller: bool = False,
) -> list[int]:
    """Greedy non-maximum suppression (NMS).

    Args:
        boxes: float32 (count, 4): left, top, right, bottom.
        scores: float32 (count,).
        max_overlap: a box is removed if it overlaps a better one by more.
        over_smaller: as in ``mien.structures.box_iou``.

    Returns:
        The rows to keep, best score first.
    """
    remaining = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(remaining):
        best, rest = remaining[0], remaining[1:]
        kept.append(int(best))
        remaining = rest[box_iou(boxes[best], boxes[rest].T, over_smaller=over_smaller) <= max_overlap]
    return kept


def largest_first(faces: list[Face]) -> list[Face]:
    """Sorts faces by the area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.area)
