"""Layers, shapes, parameters and multiply-adds of a network; for model files, computed from the ONNX graph.

The graph is run once with every intermediate value as an output, so the shapes are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError
from mien.models.card import ModelCard
from mien.models.onnx_file import any_card_of, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROBE_BATCH = 3
DETECTOR_PX = 320
CHANNELS_FIRST = [0, 3, 1, 2]
CHANNELS_LAST = [0, 2, 3, 1]

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network, or one operator of a graph.

    Attributes:
        name: of the layer.
        kind: class of the layer, such as "Conv2D", or ONNX operator.
        output: shape of its output without the batch: (height, width, channels); None for a variable axis.
        parameters: trainable and other weights (the statistics of batch normalisation).
        multiply_adds: per face crop, of convolutions and dense layers.
        depth: 0 for a layer of the network itself, 1 for a layer of a nested network, which the row of that network
            already includes.
    """

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    multiply_adds: int
    depth: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The values for JSON."""
        figures = {"parameters": self.parameters, "multiply_adds": self.multiply_adds, "depth": self.depth}
        return {"name": self.name, "kind": self.kind, "output": list(self.output), **figures}


@dataclass(frozen=True)
class ModelSummary:
    """The layers of a network.

    Attributes:
        name: of the network.
        layers: from input to output.
        trainable: number of trainable parameters; None for a graph, which does not record it.
    """

    name: str
    layers: tuple[LayerSummary, ...]
    trainable: int | None = None

    @property
    def parameters(self) -> int:
        """Parameters of all layers."""
        return sum(layer.parameters for layer in self._top_level())

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all layers, per face crop."""
        return sum(layer.multiply_adds for layer in self._top_level())

    def to_dict(self) -> dict[str, Any]:
        """The values for JSON."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "multiply_adds": self.multiply_adds,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def _top_level(self) -> Iterator[LayerSummary]:
        return (layer for layer in self.layers if layer.depth == 0)


def onnx_summary(model: bytes) -> ModelSummary:
    """Summarise the operators of a model file that process the image, without arithmetic on shapes and constants.

    A detector takes images of any size; its shapes and multiply-adds are those at ``DETECTOR_PX``.

    Args:
        model: a verified mien model file.

    Raises:
        MissingExtraError: the onnx package is not installed.
        ModelError: the file carries no card, or onnxruntime can't load it.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("listing the layers of a model file", "onnx", "train") from error
    card = any_card_of(model)
    side, channels = (card.size, card.channels) if isinstance(card, ModelCard) else (DETECTOR_PX, 3)
    graph = onnx.load_from_string(model)
    names = [name for node in graph.graph.node for name in node.output if name]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(graph.SerializeToString(), optimise=False)
    images = np.zeros((PROBE_BATCH, side, side, channels), np.uint8)
    inputs = [value.name for value in session.get_inputs()]
    values = session.run(names, dict.fromkeys(inputs, images))
    shapes = {name: np.shape(value) for name, value in zip(names, values, strict=True)}
    shapes |= dict.fromkeys(inputs, images.shape)
    shapes |= {weight.name: tuple(weight.dims) for weight in graph.graph.initializer}
    return ModelSummary(card.name, tuple(_rows(graph.graph, shapes, set(inputs))))


def _rows(graph: Any, shapes: Shapes, passed: set[str]) -> Iterator[LayerSummary]:
    """The operators that process the image, in order.

    Args:
        graph: the ONNX graph.
        shapes: of all values, by name.
        passed: names of the values that depend on the image; extended by the outputs of each operator.
    """
    parameters = {weight.name: prod(weight.dims) for weight in graph.initializer if _is_parameter(weight)}
    channels_first: set[str] = set()
    for node in graph.node:
        output = node.output[0]
        if not passed.intersection(node.input):  # weights are preprocessed, such as int8 ones dequantized to float
            parameters[output] = parameters.pop(node.input[0], 0) if node.input else 0
            continue
        counts = sum(parameters.pop(name, 0) for name in node.input)
        passed.update(node.output)
        if _is_channels_first(node, channels_first):
            channels_first.update(node.output)
        shape = shapes[output]
        if len(shape) > 1 and shape[0] == PROBE_BATCH:
            shown = (*shape[2:], shape[1]) if output in channels_first and len(shape) == 4 else shape[1:]
            yield LayerSummary(node.name, node.op_type, shown, counts, _multiply_adds(node, shapes))


def _is_parameter(weight: Any) -> bool:
    """Whether a constant is a parameter: scalars belong to formulas, 64-bit integers are shapes and axes."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32)
    return bool(weight.dims) and weight.data_type in kinds


def _is_channels_first(node: Any, before: set[str]) -> bool:
    permutations = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
    if permutations:
        return CHANNELS_FIRST in permutations or (CHANNELS_LAST not in permutations and node.input[0] in before)
    return node.op_type.startswith("Conv") or any(name in before for name in node.input)


def _multiply_adds(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    outputs = prod(shapes[node.output[0]]) // PROBE_BATCH
    if node.op_type == "Conv":
        return outputs * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return prod(shapes[node.input[0]]) // PROBE_BATCH * prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "Gemm"):
        return outputs * shapes[node.input[0]][-1]
    return 0
