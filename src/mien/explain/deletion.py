"""Deletion and insertion: whether the places that an explanation marks are those that the answer hangs on.

From Petsiuk et al. 2018, "RISE" (arXiv:1806.07421). Pixels are taken in the order of a map. Deletion hides them in the
face crop, insertion shows them in a face crop that is all hidden; a good map lets the probability fall, or rise, early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.explain.occlusion import blurred, mixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.structures import Crops, Probabilities

    Plane = npt.NDArray[np.float32]

STEPS = 20
"""Of a curve, from nothing to the whole face crop."""

DICE = 8
"""Random orders that the curve of chance is the mean of."""


@dataclass(frozen=True)
class Curve:
    """The probability of a label as ever more of the face crop is hidden, or shown.

    Attributes:
        shares: of the face crop's pixels, 0 to 1.
        probabilities: at each.
    """

    shares: tuple[float, ...]
    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """Under the curve: the mean probability on the way."""
        return float(np.trapezoid(self.probabilities, self.shares))


@dataclass(frozen=True)
class Erasing:
    """How an explanation fares when its places are hidden or shown first.

    Attributes:
        deletion: the map's places hidden first; the lower the better.
        insertion: the map's places shown first; the higher the better.
        random: hidden in random order, the mean of several.
        centre: hidden from the middle of the face crop outwards, where a face has most of what there is to read.
    """

    deletion: Curve
    insertion: Curve
    random: Curve
    centre: Curve


def erase(predict: Callable[[Crops], Probabilities], crop: Crops, label: int, heat: Plane) -> Erasing:
    """The curves of one explanation; hidden pixels are blurred ones.

    Args:
        predict: face crops to probabilities.
        crop: uint8 (size, size, channels).
        label: place of the explained label.
        heat: (size, size), of the face crop.
    """
    shares = np.linspace(0.0, 1.0, STEPS + 1)
    hidden = blurred(crop)
    size = len(crop)

    def curve(order: Plane, start: Crops, end: Crops) -> Curve:
        crops = np.stack([mixed(start, end, foremost(order, share)) for share in shares])
        return Curve(tuple(map(float, shares)), tuple(map(float, predict(crops)[:, label])))

    dice = np.random.default_rng(0)
    chance = [curve(dice.random((size, size), np.float32), crop, hidden).probabilities for _ in range(DICE)]
    return Erasing(
        deletion=curve(heat, crop, hidden),
        insertion=curve(heat, hidden, crop),
        random=Curve(tuple(map(float, shares)), tuple(map(float, np.mean(chance, axis=0)))),
        centre=curve(centre_first(size), crop, hidden),
    )


def foremost(order: Plane, share: float) -> npt.NDArray[np.bool_]:
    """The pixels of highest value, exactly so many as the share says: bool (size, size)."""
    ranked = np.argsort(-order.ravel(), kind="stable")
    chosen = np.zeros(order.size, np.bool_)
    chosen[ranked[: round(share * order.size)]] = True
    return chosen.reshape(order.shape)


def centre_first(size: int) -> Plane:
    """An order of pixels from the middle of the face crop outwards: float32 (size, size), higher is sooner."""
    line = (np.arange(size) + 0.5 - size / 2) ** 2
    order: Plane = -(line[:, None] + line[None, :]).astype(np.float32)
    return order
