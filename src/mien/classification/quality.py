"""What may spoil the reading of a face: too few pixels, blur, darkness. They explain an unsure answer; blur makes one.

Of the accuracy on FER2013's PublicTest (the answer; ``mien bench robustness``) 20 pixels cost 0.06, 16 pixels 0.12, a
blur of 2 pixels in 48 0.18; darkness alone costs nothing, but noise comes with it. Of the answers there whose
probability is sure 0.09 are wrong, after a blur of 1 pixel 0.11, of 1.5 pixels 0.15, of 2 pixels 0.26, of 3 pixels
0.52.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.structures import QUALITY_ISSUES

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.structures import Face, Frame

SMALL = 20.0
"""Longer side of the face's box in pixels of the frame."""

BLURRED = 2.25
"""A face crop is blurred whose edges are not so many times as strong as after one pixel more of blur (the idea: Crete
et al. 2007). Labelled photos have 3.3 to 15, blurred by 1 pixel in 48 2.1 to 3.2, by 1.5 pixels 1.7 to 2.2, by 2 pixels
1.5 to 2.1 (hundredths 1 and 99); faces of 12 pixels 2.1 to 2.4."""

SIDE = 48
"""Pixels of the side that a face crop is judged at."""

RADIUS = 4
"""Pixels that a blur of one pixel reaches; as many at the border of a face crop say nothing of its sharpness."""

ROUNDING = 20 / 12
"""Variance of the Laplacian of what rounding to whole numbers adds."""

DARK = 35.0
"""Mean brightness of the face crop, 0 to 255."""


def quality_issues(face: Face, crop: Frame) -> tuple[str, ...]:
    """What may spoil the reading: "small", "blurred", "dark".

    Args:
        face: in its frame.
        crop: uint8 (size, size, channels), as it was cut for the classifier.
    """
    # sharpness is a matter of scale: every face crop is judged at the same
    grey = cv2.resize(crop.astype(np.float32).mean(axis=2), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    found = (face.box.side < SMALL, _sharpness(grey) < BLURRED, float(grey.mean()) < DARK)
    return tuple(name for name, is_so in zip(QUALITY_ISSUES, found, strict=True) if is_so)


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """How much of the edges one pixel more of blur takes away, whatever the contrast: 0 where there are none."""
    again = cv2.GaussianBlur(grey, (2 * RADIUS + 1,) * 2, 1.0)
    return max(_edges(grey) - ROUNDING, 0.0) / max(_edges(again), 1e-6)


def _edges(grey: npt.NDArray[Any]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) within the border."""
    return float(cv2.Laplacian(grey, cv2.CV_32F)[RADIUS:-RADIUS, RADIUS:-RADIUS].var())
