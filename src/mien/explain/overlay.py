"""Attribution maps drawn over faces: warm supports the label, blue opposes it, the top fifth is outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.explain.faithfulness import top_pixels

if TYPE_CHECKING:
    from mien.explain.explanation import AttributionMap, Explanation
    from mien.structures import Frame

OUTLINED_SHARE = 0.2
"""Share of the face crop that is outlined: its pixels of highest attribution, as far as they are positive."""

SUPPORT_COLOURS = ((255, 196, 64), (232, 62, 24))
"""RGB of positive attribution, weakest and strongest."""

OPPOSE_COLOURS = ((120, 170, 240), (24, 70, 190))
"""RGB of negative attribution, weakest and strongest."""

MAX_OPACITY = 0.78
"""Opacity of the overlay at the strongest value."""

MIN_SHOWN_SHARE = 0.06
"""Share of the strongest value below which a pixel stays uncoloured."""


def overlay(view: Frame, attribution: npt.NDArray[np.float32], side: int = 0) -> Frame:
    """Draw an attribution map over a face.

    Args:
        view: the face cut like the face crop, uint8 (side, side, 3), RGB.
        attribution: float32 (size, size); its largest magnitude is the end of the colour scale.
        side: of the result in pixels; 0 keeps the size of the view.

    Returns:
        A new image, uint8 (side, side, 3), RGB.
    """
    side = side or len(view)
    view = np.asarray(cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.repeat(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    ground = 0.75 * grey + 0.25 * view
    strongest = float(np.abs(attribution).max())
    if strongest == 0:
        return np.rint(ground).astype(np.uint8)
    fine = np.asarray(cv2.resize(attribution / strongest, (side, side), interpolation=cv2.INTER_CUBIC)).clip(-1, 1)
    shown = ((np.abs(fine) - MIN_SHOWN_SHARE) / (1 - MIN_SHOWN_SHARE)).clip(0, 1)[..., None]
    weak, strong = (
        np.where(fine[..., None] > 0, warm, cool) for warm, cool in zip(SUPPORT_COLOURS, OPPOSE_COLOURS, strict=True)
    )
    opacity = MAX_OPACITY * np.sqrt(shown)
    painted = np.rint(ground * (1 - opacity) + (weak * (1 - shown) + strong * shown) * opacity).astype(np.uint8)
    return _outlined(painted, attribution)


def _outlined(painted: Frame, attribution: npt.NDArray[np.float32]) -> Frame:
    """Draw a contour around the pixels of highest attribution."""
    side = len(painted)
    strongest = top_pixels(attribution, OUTLINED_SHARE) & (
        attribution > MIN_SHOWN_SHARE * float(np.abs(attribution).max())
    )
    # smooth the blocky border of the low-resolution mask
    marked = cv2.resize(strongest.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    lines, _ = cv2.findContours((marked > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, width in (((20, 20, 20), 3), ((255, 255, 255), 1)):
        cv2.drawContours(painted, lines, -1, colour, width, cv2.LINE_AA)
    return painted


def side_by_side(explanation: Explanation) -> Frame:
    """The face and its overlays in one row: uint8 (side, (1 + maps) * side + gaps, 3), RGB."""
    gap = np.full((len(explanation.view), 8, 3), 255, np.uint8)
    parts = [explanation.view]
    for attribution in explanation.maps:
        parts += [gap, overlay(explanation.view, attribution.values)]
    return np.hstack(parts)


def top_parts(attribution: AttributionMap, count: int = 2) -> tuple[str, ...]:
    """Names of the parts with the highest density, among those with at least a tenth of the attribution."""
    candidates = [part for part in attribution.parts if part.share >= 0.1]
    return tuple(part.name for part in sorted(candidates, key=lambda part: -part.density)[:count])
