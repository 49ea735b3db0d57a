"""Intersection over union of two boxes, by the one implementation of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mien.detection.grid import overlaps

if TYPE_CHECKING:
    from mien.structures import Box


def iou(one: Box, other: Box) -> float:
    """0 to 1."""
    edges = np.array([[box.left, box.top, box.right, box.bottom] for box in (one, other)])
    return float(overlaps(edges[0], edges[1:])[0])
