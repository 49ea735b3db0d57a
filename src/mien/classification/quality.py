"""Quality issues of a face: few pixels, blur, darkness, roll. Blur and roll make a prediction unsure.

On FER2013's PublicTest (fused output; ``mien bench robustness``) a face of 20 pixels costs 0.06 of accuracy, 16 pixels
0.12, and a blur of 2 pixels in 48 0.18; darkness alone costs nothing, but noise comes with it. Of the confident
predictions 0.09 are wrong; after a blur of 1 pixel 0.11, of 1.5 pixels 0.15, of 2 pixels 0.26, of 3 pixels 0.52.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.media.resampling import Span, blur, resample
from mien.structures import QUALITY_ISSUES

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.structures import Face, Frame

MIN_FACE_PX = 20.0
"""Below, a face is "small": longer side of its box in pixels of the frame."""

MIN_SHARPNESS = 2.25
"""Below, a face crop is "blurred": the edge energy of the crop over that of the crop after one more pixel of blur (the
idea: Crete et al. 2007). Labelled photos have 3.3 to 15, blurred by 1 pixel in 48 2.1 to 3.2, by 1.5 pixels 1.7 to 2.2,
by 2 pixels 1.5 to 2.1 (1st and 99th percentile); faces of 12 pixels 2.1 to 2.4."""

MIN_BRIGHTNESS = 35.0
"""Below, a face crop is "dark": its mean grey value, 0 to 255."""

SIDE_PX = 48
"""Side to which a face crop is resized before it is measured."""

BLUR_RADIUS_PX = 4
"""Radius of the blur's kernel, four standard deviations; a margin as wide is ignored when edges are measured."""

ROUNDING_VARIANCE = 20 / 12
"""Variance of the Laplacian that rounding to whole numbers adds."""


def quality_issues(face: Face, crop: Frame) -> tuple[str, ...]:
    """Measure a face and its crop for quality issues.

    Args:
        face: in its frame.
        crop: uint8 (size, size, channels), as cropped for the classifier.

    Returns:
        Those of "small", "blurred", "dark" and "rolled" that apply.

    Example:
        >>> import numpy as np
        >>> from mien.classification.quality import quality_issues
        >>> from mien.structures import Box, Face
        >>> quality_issues(Face(Box(0, 0, 15, 18)), np.zeros((48, 48, 1), np.uint8))
        ('small', 'blurred', 'dark')
    """
    # sharpness depends on scale, so every face crop is measured at the same size
    grey = crop.astype(np.float32).mean(axis=2)
    repeats = math.ceil(SIDE_PX / len(grey))  # a smaller one is not smoothed by its enlargement
    grey = grey.repeat(repeats, axis=0).repeat(repeats, axis=1)
    span = Span(0, len(grey) / SIDE_PX, SIDE_PX)
    grey = resample(grey, span, span)
    applies = (
        face.box.side < MIN_FACE_PX,
        _sharpness(grey) < MIN_SHARPNESS,
        float(grey.mean()) < MIN_BRIGHTNESS,
        face.rolled,
    )
    return tuple(issue for issue, present in zip(QUALITY_ISSUES, applies, strict=True) if present)


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """Edge energy over that after one more pixel of blur, independent of contrast; 0 without edges."""
    blurred = blur(grey, BLUR_RADIUS_PX / 4, "reflect")
    return max(_edge_energy(grey) - ROUNDING_VARIANCE, 0.0) / max(_edge_energy(blurred), 1e-6)


def _edge_energy(grey: npt.NDArray[Any]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000), without the margin."""
    around = grey[BLUR_RADIUS_PX - 1 : 1 - BLUR_RADIUS_PX, BLUR_RADIUS_PX - 1 : 1 - BLUR_RADIUS_PX]
    neighbours = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
    return float((neighbours - 4 * around[1:-1, 1:-1]).var())
