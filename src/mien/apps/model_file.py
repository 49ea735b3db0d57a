"""What a model file is: its card, its layers, and what goes in and out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtraError
from mien.models.card import CARD_KEY, DETECTOR_KEY
from mien.models.onnx_file import any_card_of, open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from mien.models.card import DetectorCard, ModelCard
    from mien.training.export.model_summary import ModelSummary


@dataclass(frozen=True)
class Described:
    """A model file in words.

    Attributes:
        card: of mien's; None: it has none.
        ends: what goes in and out of the graph: "inputs" and "outputs", each with name, type and shape.
        summary: its layers; None where they can't be listed.
        reason: why they can't; "" where they can.
    """

    card: ModelCard | DetectorCard | None
    ends: dict[str, list[dict[str, Any]]]
    summary: ModelSummary | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        listed = self.summary.to_dict() if self.summary else {}
        return {**listed, **self.ends, "card": json.loads(self.card.to_json()) if self.card else None}


def described(model: bytes) -> Described:
    """What a model file is.

    Args:
        model: the whole file, checked.

    Raises:
        ModelError: onnxruntime can't load it.
    """
    from mien.training.export.model_summary import onnx_summary

    session = open_session(model, optimise=False)
    keys, ends = session.get_modelmeta().custom_metadata_map, _ends(session)
    if CARD_KEY not in keys and DETECTOR_KEY not in keys:
        return Described(None, ends, None, "only graphs with a card of mien's are listed by layers")
    card = any_card_of(model)
    try:
        return Described(card, ends, onnx_summary(model))
    except MissingExtraError as error:
        return Described(card, ends, None, str(error))


def _ends(session: InferenceSession) -> dict[str, list[dict[str, Any]]]:
    """What goes in and out of a graph, as onnxruntime tells."""
    both = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
    return {
        kind: [{"name": value.name, "type": value.type, "shape": list(value.shape)} for value in values]
        for kind, values in both.items()
    }
