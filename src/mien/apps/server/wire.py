"""Predictions between two processes, with all that following faces needs; the schema of results leaves some out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mien.structures import Box, Face, Landmarks, Point, Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable


def to_wire(predictions: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Predictions of single images in plain types, ready for JSON."""
    return [
        {
            "box": list(map(float, dataclasses.astuple(one.face.box))),
            "landmarks": [list(map(float, point)) for point in dataclasses.astuple(one.face.landmarks)]
            if one.face.landmarks
            else None,
            "confidence": float(one.face.confidence),
            "labels": list(one.labels),
            "probabilities": list(one.probabilities),
            "unsure_below": one.unsure_below,
            "quality_issues": list(one.quality_issues),
        }
        for one in predictions
    ]


def from_wire(values: Iterable[dict[str, Any]]) -> tuple[Prediction, ...]:
    """The predictions that ``to_wire`` took apart."""
    return tuple(
        Prediction(
            Face(
                Box(*value["box"]),
                Landmarks(*(Point(*point) for point in value["landmarks"])) if value["landmarks"] else None,
                value["confidence"],
            ),
            tuple(value["labels"]),
            tuple(value["probabilities"]),
            value["unsure_below"],
            quality_issues=tuple(value["quality_issues"]),
        )
        for value in values
    )
