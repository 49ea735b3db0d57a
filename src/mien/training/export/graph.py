"""What a model file is made of: the operators of its graph, with shapes, parameters and multiply-adds.

The graph is run once with every intermediate value as an output, so shapes are those that occur, not guesses.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import MissingExtraError
from mien.models.card import ModelCard
from mien.models.onnx_file import any_card_of, open_session
from mien.training.export.summary import Layer, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BATCH = 3
SIDE = 320
CHANNELS_FIRST = [0, 3, 1, 2]
CHANNELS_LAST = [0, 2, 3, 1]

Shapes = dict[str, tuple[int, ...]]


def graph_summary(model: bytes) -> Summary:
    """The operators through which an image passes; arithmetic on shapes and constants is left out.

    A detector takes images of any size: its shapes and work are those at ``SIDE``.

    Args:
        model: a model file of mien's, checked.

    Raises:
        MissingExtraError: the onnx package is not installed.
        ModelError: the file carries no card, or onnxruntime can't load it.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("listing the layers of a model file", "onnx", "train") from error
    card = any_card_of(model)
    side, channels = (card.size, card.channels) if isinstance(card, ModelCard) else (SIDE, 3)
    graph = onnx.load_from_string(model)
    names = [name for node in graph.graph.node for name in node.output if name]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(graph.SerializeToString(), optimise=False)
    images = np.zeros((BATCH, side, side, channels), np.uint8)
    inputs = [value.name for value in session.get_inputs()]
    values = session.run(names, dict.fromkeys(inputs, images))
    shapes = {name: np.shape(value) for name, value in zip(names, values, strict=True)}
    shapes |= dict.fromkeys(inputs, images.shape)
    shapes |= {weight.name: tuple(weight.dims) for weight in graph.graph.initializer}
    return Summary(card.name, tuple(_rows(graph.graph, shapes, set(inputs))))


def _rows(graph: Any, shapes: Shapes, passed: set[str]) -> Iterator[Layer]:
    """Args: passed: names of the values that come of the face crop."""
    learnt = {weight.name: prod(weight.dims) for weight in graph.initializer if _is_learnt(weight)}
    channels_first: set[str] = set()
    for node in graph.node:
        output = node.output[0]
        if not passed.intersection(node.input):  # weights made ready, such as int8 ones brought to float by scales
            learnt[output] = learnt.pop(node.input[0], 0) if node.input else 0
            continue
        counts = sum(learnt.pop(name, 0) for name in node.input)
        passed.update(node.output)
        if _is_channels_first(node, channels_first):
            channels_first.update(node.output)
        shape = shapes[output]
        if len(shape) > 1 and shape[0] == BATCH:
            shown = (*shape[2:], shape[1]) if output in channels_first and len(shape) == 4 else shape[1:]
            yield Layer(node.name, node.op_type, shown, counts, _work(node, shapes))


def _is_learnt(weight: Any) -> bool:
    """Whether a constant was learnt: a number alone is part of a formula, 64-bit integers are shapes and axes."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32)
    return bool(weight.dims) and weight.data_type in kinds


def _is_channels_first(node: Any, before: set[str]) -> bool:
    turns = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
    if turns:
        return CHANNELS_FIRST in turns or (CHANNELS_LAST not in turns and node.input[0] in before)
    return node.op_type.startswith("Conv") or any(name in before for name in node.input)


def _work(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:
    made = prod(shapes[node.output[0]]) // BATCH
    if node.op_type == "Conv":
        return made * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return prod(shapes[node.input[0]]) // BATCH * prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "Gemm"):
        return made * shapes[node.input[0]][-1]
    return 0
