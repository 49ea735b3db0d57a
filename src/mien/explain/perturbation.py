"""Perturbations that explanations and their tests are made with: hidden pixels and permuted weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import MissingExtraError, ModelError
from mien.models.onnx_file import seal

if TYPE_CHECKING:
    from mien.structures import Crops

    Plane = npt.NDArray[np.float32]

BLUR_SIGMA = 1 / 8
"""Standard deviation of the blur that hides a region, in sides of the face crop."""

MIN_WEIGHTS = 16
"""A float or int8 constant of a graph with fewer values than this is not taken for the weights of a layer."""


def blurred(crop: Crops) -> Crops:
    """The face crop blurred until no expression is visible: uint8 (size, size, channels)."""
    soft = cv2.GaussianBlur(crop, (0, 0), BLUR_SIGMA * crop.shape[0], borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft, np.uint8).reshape(crop.shape)


def blend(crop: Crops, other: Crops, mask: Plane | npt.NDArray[np.bool_]) -> Crops:
    """Alpha-blends two face crops: ``other`` where the mask (size, size) is 1, ``crop`` where it is 0."""
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
