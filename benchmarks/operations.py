"""Computational cost of a network: the multiply-adds of an ONNX graph."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime

COUNTED_OPERATORS = frozenset({"Conv", "Gemm", "MatMul"})
"""Nearly all the arithmetic of an image network."""

UNCOUNTED_OPERATORS = frozenset(
    {"Attention", "ConvInteger", "ConvTranspose", "Einsum", "GRU", "LSTM", "MatMulInteger", "QLinearConv"}
    | {"QLinearMatMul", "RNN", "If", "Loop", "Scan"}
)
"""Operators with products that are not counted; a graph that has any is refused."""


def multiply_adds(model: bytes) -> int:
    """Count the multiply-adds of a graph's convolutions and matrix products for one item.

    The graph is run once on an item of zeros, so that dynamic shapes are known.

    Args:
        model: an .onnx file; all dimensions of its inputs but the first are fixed.

    Raises:
        ValueError: the graph has products of another kind.
    """
    network = onnx.load_from_string(model)
    refused = {node.op_type for node in network.graph.node} & UNCOUNTED_OPERATORS
    if refused or network.functions:
        raise ValueError(f"expected a plain graph of {sorted(COUNTED_OPERATORS)}; received one with {sorted(refused)}")
    products = [node for node in network.graph.node if node.op_type in COUNTED_OPERATORS]
    shapes = _shapes(network, {name for node in products for name in (node.input[1], node.output[0])})
    return sum(prod(shapes[node.output[0]]) * _terms(node.op_type, shapes, node) for node in products)


def _terms(kind: str, shapes: dict[str, tuple[int, ...]], node: Any) -> int:
    """Number of products summed into one number of a node's output."""
    weights = shapes[node.input[1]]
    if kind == "Conv":
        return prod(weights[1:])
    if kind == "Gemm":
        return prod(weights) // shapes[node.output[0]][-1]
    return weights[-2] if len(weights) > 1 else weights[0]


def _shapes(network: Any, names: set[str]) -> dict[str, tuple[int, ...]]:
    shapes = {weights.name: tuple(weights.dims) for weights in network.graph.initializer}
    known = {output.name for output in network.graph.output}
    network.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names - shapes.keys() - known))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {value.name: _zeros(value) for value in network.graph.input if value.name not in shapes}
    names = [output.name for output in session.get_outputs()]
    return shapes | {name: np.shape(array) for name, array in zip(names, session.run(names, given), strict=True)}


def _zeros(value: Any) -> np.ndarray[Any, Any]:
    kind = value.type.tensor_type
    first, *rest = (dimension.dim_value for dimension in kind.shape.dim)
    return np.zeros((first or 1, *rest), onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
