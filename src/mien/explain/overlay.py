"""Maps over faces: warm where a place speaks for the answer, blue where against it, the strongest fifth outlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.explain.deletion import foremost

if TYPE_CHECKING:
    from mien.explain.explanation import Explanation, HeatMap
    from mien.structures import Frame

MARKED = 0.2
"""Share of the face crop that is outlined: its pixels of highest value, as far as they speak for the answer."""

WARM = ((255, 196, 64), (232, 62, 24))
"""RGB of what speaks for the answer, weakest and strongest."""

COOL = ((120, 170, 240), (24, 70, 190))
"""RGB of what speaks against it."""

DENSEST = 0.78
"""How much of the face the strongest place hides."""

FAINTEST = 0.06
"""Share of the strongest value from which a place is coloured at all."""


def overlay(view: Frame, heat: npt.NDArray[np.float32], side: int = 0) -> Frame:
    """A face with a map over it.

    Args:
        view: the face as the face crop is cut, uint8 (side, side, 3), RGB.
        heat: (size, size), of the face crop; its strongest value, for or against, is the end of the scale.
        side: of what comes back; 0: as large as the view.

    Returns:
        A new uint8 (side, side, 3).
    """
    side = side or len(view)
    view = np.asarray(cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    grey = np.repeat(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    ground = 0.75 * grey + 0.25 * view
    strongest = float(np.abs(heat).max())
    if strongest == 0:
        return np.rint(ground).astype(np.uint8)
    fine = np.asarray(cv2.resize(heat / strongest, (side, side), interpolation=cv2.INTER_CUBIC)).clip(-1, 1)
    shown = ((np.abs(fine) - FAINTEST) / (1 - FAINTEST)).clip(0, 1)[..., None]
    weak, strong = (np.where(fine[..., None] > 0, warm, cool) for warm, cool in zip(WARM, COOL, strict=True))
    cover = DENSEST * np.sqrt(shown)
    painted = np.rint(ground * (1 - cover) + (weak * (1 - shown) + strong * shown) * cover).astype(np.uint8)
    return _outlined(painted, heat)


def _outlined(painted: Frame, heat: npt.NDArray[np.float32]) -> Frame:
    """The same with a line around the strongest pixels."""
    side = len(painted)
    strongest = foremost(heat, MARKED) & (heat > FAINTEST * float(np.abs(heat).max()))
    # the border between pixels of the face crop, drawn smooth
    marked = cv2.resize(strongest.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    lines, _ = cv2.findContours((marked > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, width in (((20, 20, 20), 3), ((255, 255, 255), 1)):
        cv2.drawContours(painted, lines, -1, colour, width, cv2.LINE_AA)
    return painted


def beside(explanation: Explanation) -> Frame:
    """The face and its overlays side by side: uint8 (side, (1 + maps) * side + gaps, 3)."""
    gap = np.full((len(explanation.view), 8, 3), 255, np.uint8)
    parts = [explanation.view]
    for one in explanation.maps:
        parts += [gap, overlay(explanation.view, one.values)]
    return np.hstack(parts)


def strongest_parts(one: HeatMap, count: int = 2) -> tuple[str, ...]:
    """The names of the parts that gave most for their size, among those that gave a tenth at least."""
    told = [part for part in one.parts if part.share >= 0.1]
    return tuple(part.name for part in sorted(told, key=lambda part: -part.density)[:count])
