"""Faithfulness of an attribution map: perturbations, deletion and insertion curves, and the randomisation test.

Deletion and insertion are those of Petsiuk et al. 2018, "RISE" (arXiv:1806.07421): pixels are hidden, or revealed in a
fully hidden face crop, in the order of the map. On a faithful map the probability falls, or rises, early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import MissingExtraError, ModelError
from mien.media.resampling import blur
from mien.models.onnx_file import seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.structures import Crops, Probabilities

    Plane = npt.NDArray[np.float32]

CURVE_STEPS = 20
"""Steps of a curve, from no pixel to all of them."""

RANDOM_ORDERS = 8
"""Random pixel orders whose mean is the baseline curve."""

BLUR_SIGMA = 1 / 8
"""Standard deviation of the blur that hides a region, in sides of the face crop."""

MIN_WEIGHTS = 16
"""Fewest values of a float or int8 constant that counts as the weights of a layer."""


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
    """Faithfulness of an attribution map: randomisation test, deletion and insertion.

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


def rank_correlation(first: Plane, second: Plane) -> float:
    """Spearman's rank correlation of two maps, -1 to 1; 0 where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Plane) -> npt.NDArray[np.float64]:
    """The rank of each value; ties share their mean rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[index.ravel()]
    return ranks


def blurred(crop: Crops) -> Crops:
    """The face crop blurred until no expression is visible: uint8 (size, size, channels)."""
    soft: Crops = np.rint(blur(crop, BLUR_SIGMA * len(crop))).astype(np.uint8)
    return soft


def blend(crop: Crops, other: Crops, mask: Plane | npt.NDArray[np.bool_]) -> Crops:
    """Alpha-blend two face crops: ``other`` where the mask (size, size) is 1, ``crop`` where it is 0."""
    alpha = mask[..., None].astype(np.float32)
    values: Crops = np.rint(crop * (1 - alpha) + other * alpha).astype(np.uint8)
    return values


def gaussian_patches(size: int, sigma: float) -> Plane:
    """Gaussian patches on a regular grid, one ``sigma`` apart: float32 (count, size, size), peak value 1."""
    count = max(2, round(size / sigma))
    centres = (np.arange(count) + 0.5) * size / count
    lines = np.exp(-0.5 * ((np.arange(size)[None, :] + 0.5 - centres[:, None]) / sigma) ** 2)
    patches = lines[:, None, :, None] * lines[None, :, None, :]
    flat: Plane = patches.reshape(-1, size, size).astype(np.float32)
    return flat


def randomized_model(model: bytes, share: float, seed: int = 0) -> bytes:
    """A model file with the weights of its last layers permuted at random: same values, no learned structure.

    This is the cascading randomisation of Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv:1810.03292).

    Args:
        model: a mien model file.
        share: of the layers with weights to randomise, counted from the output; 1 randomises all of them.
        seed: of the permutation.

    Raises:
        MissingExtraError: the onnx package is not installed.
        ModelError: the graph has no weights.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingExtraError("checking an explanation against random weights", "onnx", "train") from error
    graph = onnx.load_from_string(model)
    weights = _layer_weights(graph.graph)
    if not weights:
        raise ModelError("expected a graph with weights to permute; received one without")
    rng = np.random.default_rng(seed)
    for tensor in reversed(weights[len(weights) - math.ceil(share * len(weights)) :]):
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), tensor.name))
    return seal(graph.SerializeToString())


def _layer_weights(graph: Any) -> list[Any]:
    """The weight tensors of layers, from input to output."""
    from onnx import TensorProto

    dtypes = (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8)
    weights = {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.data_type in dtypes and len(tensor.dims) > 1 and math.prod(tensor.dims) >= MIN_WEIGHTS
    }
    used = dict.fromkeys(name for node in graph.node for name in node.input if name in weights)
    return [weights[name] for name in used]
