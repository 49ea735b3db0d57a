"""What a network is made of, layer by layer: one value, whether it came from Keras or from a model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Layer:
    """One row of a summary.

    Attributes:
        name: what the layer is called in its network.
        kind: what it does: "Conv2D", "Dense"; of a graph, its operator.
        output: shape of its output without the batch: height, width, channels; None where it is not fixed.
        parameters: numbers it learnt, and those it keeps beside them (the statistics of batch normalisation).
        multiply_adds: products summed for one face crop; those of a network are of convolutions and dense layers.
        depth: 0 for a layer of the network itself, 1 for one of a network inside it, whose row comes before and
            counts it already.
    """

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    multiply_adds: int
    depth: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        figures = {"parameters": self.parameters, "multiply_adds": self.multiply_adds, "depth": self.depth}
        return {"name": self.name, "kind": self.kind, "output": list(self.output), **figures}


@dataclass(frozen=True)
class Summary:
    """A network as a list of its layers.

    Attributes:
        name: of the network.
        layers: in the order that a face crop passes them.
        trainable: parameters that training changes; None where the source does not tell.
    """

    name: str
    layers: tuple[Layer, ...]
    trainable: int | None = None

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(layer.parameters for layer in self._own())

    @property
    def multiply_adds(self) -> int:
        """Of all layers, for one face crop."""
        return sum(layer.multiply_adds for layer in self._own())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "multiply_adds": self.multiply_adds,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def _own(self) -> Iterable[Layer]:
        return (layer for layer in self.layers if layer.depth == 0)
