"""The contents of a model file: its card, its layers, its inputs and outputs."""

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
class ModelFile:
    """The contents of a model file.

    Attributes:
        card: mien's card; None if the file has none.
        ends: "inputs" and "outputs" of the graph, each with name, type and shape.
        summary: its layers; None if they can't be listed.
        reason: why they can't; "" if they can.
    """

    card: ModelCard | DetectorCard | None
    ends: dict[str, list[dict[str, Any]]]
    summary: ModelSummary | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All contents, ready for JSON."""
        listed = self.summary.to_dict() if self.summary else {}
        return {**listed, **self.ends, "card": json.loads(self.card.to_json()) if self.card else None}


def inspect_model(model: bytes) -> ModelFile:
    """Inspect a model file.

    Args:
        model: the checked bytes of the whole file.

    Raises:
        ModelError: onnxruntime can't load it.
    """
    from mien.training.export.model_summary import onnx_summary

    session = open_session(model, optimise=False)
    keys, ends = session.get_modelmeta().custom_metadata_map, _ends(session)
    if CARD_KEY not in keys and DETECTOR_KEY not in keys:
        return ModelFile(None, ends, None, "layers are listed only for models with a card of mien's")
    card = any_card_of(model)
    try:
        return ModelFile(card, ends, onnx_summary(model))
    except MissingExtraError as error:
        return ModelFile(card, ends, None, str(error))


def _ends(session: InferenceSession) -> dict[str, list[dict[str, Any]]]:
    """Inputs and outputs of a graph, from ONNX Runtime."""
    both = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
    return {
        kind: [{"name": value.name, "type": value.type, "shape": list(value.shape)} for value in values]
        for kind, values in both.items()
    }
