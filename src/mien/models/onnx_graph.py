"""Checks the graph in an .onnx file before onnxruntime sees it: whether loading and running it come to an end.

onnxruntime can't be interrupted. So the file is searched here, without a library that would have to be installed: for
operators that hold graphs of their own (Loop, Scan, If and their kin), and for functions that grow out of proportion
when they are inlined. Networks need neither; Keras' exporters, torch's, and mien's quantization write none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from mien.errors import ModelError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NODES = 5_000
"""Operators of a graph, each function counted wherever it is called; the largest shipped graph has 517."""

MAX_FUNCTIONS = 1_000
MAX_FIELDS = 200_000
"""Fields of protobuf that are searched; the largest shipped model has 5,700."""

# numbers of fields in onnx.proto
MODEL_GRAPH, MODEL_FUNCTION = 7, 25
GRAPH_NODE, GRAPH_SPARSE = 1, 15
FUNCTION_NAME, FUNCTION_NODE, FUNCTION_DOMAIN, FUNCTION_ATTRIBUTE, FUNCTION_OVERLOAD = 1, 7, 10, 11, 13
NODE_KIND, NODE_ATTRIBUTE, NODE_DOMAIN, NODE_OVERLOAD = 4, 5, 7, 8
ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (6, 11), (22, 23)

Name = tuple[str, str, str]
"""Domain, name and overload of an operator or a function."""


@dataclass
class _Search:
    """A search through the fields of a model; ``left`` counts down how many it may still visit."""

    left: int = MAX_FIELDS

    def parts(self, content: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The fields of a message that have a length, by number; numbers and fixed fields are passed over."""
        at, end = 0, len(content)
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise ModelError(f"expected a graph of at most {MAX_FIELDS} fields; received a larger one")
            key, at = _varint(content, at)
            wire = key & 7
            if wire == 2:
                length, at = _varint(content, at)
                if length > end - at:
                    raise _damaged()
                yield (key & 0xFFFFFFFF) >> 3, content[at : at + length]
                at += length
            elif wire == 0:
                _, at = _varint(content, at)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise _damaged()
        if at > end:
            raise _damaged()


def check_graph(model: bytes) -> None:
    """Check that loading and running a model ends, without loading it.

    Args:
        model: the whole file.

    Raises:
        ModelError: an operator holds a graph, functions call each other in a circle, or there are too many operators.
    """
    search, calls = _Search(), Counter[Name]()
    functions: dict[Name, Counter[Name]] = {}
    for number, part in search.parts(memoryview(model)):
        if number == MODEL_GRAPH:
            for inner, node in search.parts(part):
                if inner == GRAPH_SPARSE:
                    raise _sparse()
                if inner == GRAPH_NODE:
                    calls[_node(search, node)] += 1
        elif number == MODEL_FUNCTION:
            name, body = _function(search, part)
            functions[name] = functions.get(name, Counter()) + body
    _check_count(calls, functions)


def _check_count(calls: Counter[Name], functions: dict[Name, Counter[Name]]) -> None:
    """Count the operators that the functions and the graph come to once every function is inlined."""
    if len(functions) > MAX_FUNCTIONS:
        raise ModelError(f"expected a model of at most {MAX_FUNCTIONS} functions; received {len(functions)}")
    order = TopologicalSorter({name: [one for one in body if one in functions] for name, body in functions.items()})
    sizes: dict[Name, int] = {}
    try:
        for name in order.static_order():
            sizes[name] = sum(count * sizes.get(one, 1) for one, count in functions[name].items())
    except CycleError as error:
        raise ModelError("expected functions that end; received some that call themselves or each other") from error
    total = sum(count * sizes.get(one, 1) for one, count in calls.items())
    if total > MAX_NODES:
        raise ModelError(
            f"expected a graph of at most {MAX_NODES} operators, with its functions inlined; received more"
        )


def _function(search: _Search, content: memoryview) -> tuple[Name, Counter[Name]]:
    """The name of a function, and what it calls."""
    texts: dict[int, str] = {}
    calls = Counter[Name]()
    for number, part in search.parts(content):
        if number in (FUNCTION_NAME, FUNCTION_DOMAIN, FUNCTION_OVERLOAD):
            texts[number] = _text(part)
        elif number == FUNCTION_NODE:
            calls[_node(search, part)] += 1
        elif number == FUNCTION_ATTRIBUTE:
            _check_attribute(search, part, "the attributes of a function")
    return _name(texts, FUNCTION_DOMAIN, FUNCTION_NAME, FUNCTION_OVERLOAD), calls


def _node(search: _Search, content: memoryview) -> Name:
    """What a node calls, once its attributes are checked."""
    texts: dict[int, str] = {}
    attributes = []
    for number, part in search.parts(content):
        if number in (NODE_KIND, NODE_DOMAIN, NODE_OVERLOAD):
            texts[number] = _text(part)
        elif number == NODE_ATTRIBUTE:
            attributes.append(part)
    name = _name(texts, NODE_DOMAIN, NODE_KIND, NODE_OVERLOAD)
    for attribute in attributes:
        _check_attribute(search, attribute, f"the operator {printable(name[1][:40], keep='')}")
    return name


def _check_attribute(search: _Search, content: memoryview, owner: str) -> None:
    for number, _ in search.parts(content):
        if number in ATTRIBUTE_GRAPHS:
            raise ModelError(
                f"expected a network; received a graph with loops or branches ({owner} holds a graph), which may never "
                "end: export the network without them"
            )
        if number in ATTRIBUTE_SPARSE:
            raise _sparse()


def _name(texts: dict[int, str], domain: int, name: int, overload: int) -> Name:
    found = texts.get(domain, "")
    return "" if found == "ai.onnx" else found, texts.get(name, ""), texts.get(overload, "")


def _text(content: memoryview) -> str:
    return bytes(content).decode(errors="backslashreplace")


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """An unsigned number of 7 bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _damaged()


def _damaged() -> ModelError:
    return ModelError("expected a model that onnxruntime can load; onnxruntime can't load this one (it is damaged)")


def _sparse() -> ModelError:
    return ModelError("expected an .onnx model with plain weights; received sparse ones, whose size can't be bounded")
