"""What may spoil the reading of a face: too few pixels, blur, darkness. They explain an unsure answer, no more.

Of the accuracy on FER2013's PublicTest (the answer; ``mien bench robustness``) 20 pixels cost 0.06, 16 pixels 0.12, a
blur of 2 pixels in 48 0.18; darkness alone costs nothing, but noise comes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from mien.arrays import Frame
    from mien.faces import Face

SMALL = 20.0
"""Longer side of the face's box in pixels of the frame."""

BLURRED = 0.025
"""Variance of the Laplacian over the variance of the chip (Pech-Pacheco et al. 2000): sharp chips have 0.2 to 2, those
blurred by 1 pixel in 48 about 0.06, by 2 pixels 0.01."""

SIDE = 48
"""Pixels of the side that a chip is judged at."""

DARK = 35.0
"""Mean brightness of the chip, 0 to 255."""


def flaws(face: Face, chip: Frame) -> tuple[str, ...]:
    """What may spoil the reading: "small", "blurred", "dark".

    Args:
        face: in its frame.
        chip: uint8 (size, size, channels), as it was cut for the classifier.
    """
    # sharpness is a matter of scale: every chip is judged at the same
    grey = cv2.resize(chip.astype(np.float32).mean(axis=2), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    variance = max(float(grey.var()), 1.0)
    found = {
        "small": face.box.side < SMALL,
        "blurred": float(cv2.Laplacian(grey, cv2.CV_32F).var()) / variance < BLURRED,
        "dark": float(grey.mean()) < DARK,
    }
    return tuple(name for name, is_so in found.items() if is_so)
