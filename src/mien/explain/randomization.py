"""A model whose layers have forgotten what they learnt: an explanation that stays the same shows nothing of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mien.errors import MissingExtraError, ModelError
from mien.models.onnx_file import seal

FEWEST = 16
"""Numbers that a constant of a graph has at least if it is the weights of a layer."""


def shuffled_model(model: bytes, share: float, seed: int = 0) -> bytes:
    """A model file with the weights of its last layers in random order: as many, as large, but without meaning.

    Args:
        model: a model file of mien's.
        share: of the layers with weights, counted from the answer back; 1: all.
        seed: of the order.

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
    weights = _in_order(graph.graph)
    if not weights:
        raise ModelError("expected a graph with weights to shuffle; received one without")
    dice = np.random.default_rng(seed)
    for tensor in reversed(weights[len(weights) - math.ceil(share * len(weights)) :]):
        values = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(dice.permutation(values.ravel()).reshape(values.shape), tensor.name))
    return seal(graph.SerializeToString())


def _in_order(graph: Any) -> list[Any]:
    """The weights of layers, in the order in which a face crop meets them."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8)
    learnt = {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.data_type in kinds and len(tensor.dims) > 1 and math.prod(tensor.dims) >= FEWEST
    }
    used = dict.fromkeys(name for node in graph.node for name in node.input if name in learnt)
    return [learnt[name] for name in used]
