"""Faithfulness of an attribution map: deletion and insertion curves, and rank correlation for the randomisation test.

Deletion and insertion are those of Petsiuk et al. 2018, "RISE" (arXiv:1806.07421): pixels are hidden, or revealed in a
fully hidden face crop, in the order of the map. On a faithful map the probability falls, or rises, early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.explain.perturbation import blend, blurred

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.structures import Crops, Probabilities

    Plane = npt.NDArray[np.float32]

CURVE_STEPS = 20
"""Steps of a curve, from no pixel to all of them."""

RANDOM_ORDERS = 8
"""Random pixel orders whose mean is the baseline curve."""


@dataclass(frozen=True)
class Curve:
    """The probability of a label while ever more of the face crop is hidden, or revealed.

    Attributes:
        shares: of the face crop's pixels, 0 to 1.
        probabilities: at each share.
    """

    shares: tuple[float, ...]
    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve: the mean probability along the way."""
        return float(np.trapezoid(self.probabilities, self.shares))


@dataclass(frozen=True)
class DeletionInsertion:
    """Deletion and insertion curves of one map, with two baselines.

    Attributes:
        deletion: pixels of highest attribution hidden first; lower is better.
        insertion: pixels of highest attribution revealed first; higher is better.
        random: pixels hidden in random order, the mean of several orders.
        centre: pixels hidden from the centre of the face crop outwards, where a face has most of its features.
    """

    deletion: Curve
    insertion: Curve
    random: Curve
    centre: Curve


@dataclass(frozen=True)
class Faithfulness:
    """How far an attribution map can be trusted.

    Attributes:
        rank_correlations: pairs of (share of the layers randomised, Spearman's rank correlation of the maps before and
            after). A map that stays near 1 shows the image and not the model (Adebayo et al. 2018, arXiv:1810.03292).
        curves: deletion and insertion.
    """

    rank_correlations: tuple[tuple[float, float], ...]
    curves: DeletionInsertion


def deletion_insertion(
    predict: Callable[[Crops], Probabilities], crop: Crops, label: int, attribution: Plane
) -> DeletionInsertion:
    """The deletion and insertion curves of one map; hidden pixels are blurred.

    Args:
        predict: maps face crops (count, size, size, channels) to probabilities (count, labels).
        crop: uint8 (size, size, channels).
        label: index of the explained label.
        attribution: float32 (size, size), of the face crop.
    """
    shares = np.linspace(0.0, 1.0, CURVE_STEPS + 1)
    hidden = blurred(crop)
    size = len(crop)

    def curve(order: Plane, start: Crops, end: Crops) -> Curve:
        crops = np.stack([blend(start, end, top_pixels(order, share)) for share in shares])
        return Curve(tuple(map(float, shares)), tuple(map(float, predict(crops)[:, label])))

    rng = np.random.default_rng(0)
    random = [curve(rng.random((size, size), np.float32), crop, hidden).probabilities for _ in range(RANDOM_ORDERS)]
    return DeletionInsertion(
        deletion=curve(attribution, crop, hidden),
        insertion=curve(attribution, hidden, crop),
        random=Curve(tuple(map(float, shares)), tuple(map(float, np.mean(random, axis=0)))),
        centre=curve(centre_first(size), crop, hidden),
    )


def top_pixels(order: Plane, share: float) -> npt.NDArray[np.bool_]:
    """A mask of exactly the given share of pixels, those of highest value: bool (size, size).

    >>> top_pixels(np.array([[0.1, 0.9], [0.5, 0.2]], np.float32), 0.5).tolist()
    [[False, True], [True, False]]
    """
    ranked = np.argsort(-order.ravel(), kind="stable")
    chosen = np.zeros(order.size, np.bool_)
    chosen[ranked[: round(share * order.size)]] = True
    return chosen.reshape(order.shape)


def centre_first(size: int) -> Plane:
    """A pixel order from the centre of the face crop outwards: float32 (size, size), higher comes first."""
    line = (np.arange(size) + 0.5 - size / 2) ** 2
    order: Plane = -(line[:, None] + line[None, :]).astype(np.float32)
    return order


def rank_correlation(one: Plane, other: Plane) -> float:
    """Spearman's rank correlation of two maps, -1 to 1; 0 where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Plane) -> npt.NDArray[np.float64]:
    """The rank of each value; ties share their mean rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[index.ravel()]
    return ranks
