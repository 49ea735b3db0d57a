"""Attribution maps drawn over faces: warm supports the label, blue opposes it, the top fifth is outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.explain.faithfulness import top_pixels
from mien.media.resampling import grey, resize

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
    view = resize(view, (side, side))
    ground = 0.75 * grey(view)[..., None] + 0.25 * view
    strongest = float(np.abs(attribution).max())
    if strongest == 0:
        return np.rint(ground).astype(np.uint8)
    fine = _smooth(attribution / strongest, side).clip(-1, 1)
    shown = ((np.abs(fine) - MIN_SHOWN_SHARE) / (1 - MIN_SHOWN_SHARE)).clip(0, 1)[..., None]
    weak, strong = (
        np.where(fine[..., None] > 0, warm, cool) for warm, cool in zip(SUPPORT_COLOURS, OPPOSE_COLOURS, strict=True)
    )
    opacity = MAX_OPACITY * np.sqrt(shown)
    painted = np.rint(ground * (1 - opacity) + (weak * (1 - shown) + strong * shown) * opacity).astype(np.uint8)
    return _outlined(painted, attribution)


def _smooth(values: npt.NDArray[np.floating], side: int, margin: int = 0) -> npt.NDArray[np.float32]:
    """Enlarge values (size, size), of which a margin is not shown, to (side, side); cubic between pixels."""
    end = len(values) - margin
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, (margin, margin, end, end)))


def _outlined(painted: Frame, attribution: npt.NDArray[np.float32]) -> Frame:
    """Draw a contour around the pixels of highest attribution."""
    strongest = top_pixels(attribution, OUTLINED_SHARE) & (
        attribution > MIN_SHOWN_SHARE * float(np.abs(attribution).max())
    )
    # smooth the blocky border of the low-resolution mask; nothing is marked outside, so its edge has a contour too
    marked = _smooth(np.pad(strongest, 1), len(painted), margin=1)
    slope = np.hypot(*np.gradient(marked))
    distance = np.abs(marked - 0.5) / np.maximum(slope, 1e-6)
    for colour, width in ((20, 5), (255, 2)):
        opacity = ((width + 1) / 2 - distance).clip(0, 1)[..., None]
        painted = np.rint(painted * (1 - opacity) + colour * opacity).astype(np.uint8)
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
