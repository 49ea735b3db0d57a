"""The schema of results: plain types, a line of JSON, and rows with typed columns."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError
from mien.structures import QUALITY_ISSUES, Box, Face, FrameResult, Landmarks, Point, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA_VERSION = 2
"""Raised whenever a field is added or changes its name, type or meaning; 2 added ``unsure_below`` and
``quality_issues`` of each face, and ``warnings``."""

FACE_COLUMNS = {
    "source": "string",
    "index": "int64",
    "seconds": "float64",
    "face": "int32",
    "left": "int64",
    "top": "int64",
    "right": "int64",
    "bottom": "int64",
    "confidence": "float64",
    "emotion": "string",
    "probability": "float64",
    "unsure": "bool",
    "unsure_below": "float64",
    "turned_away": "bool",
    "reasons": "string",
    "quality_issues": "string",
    "track": "int64",
}
"""Columns of a face in CSV and Parquet, and the Arrow type of each; ``columns`` adds those of the labels.

``source``, ``index`` and ``seconds`` (null for a photo) name the frame; ``face`` numbers its faces from 0. The edges
are pixels, right and bottom exclusive. ``unsure_below`` is the model's threshold on ``probability``. ``reasons`` and
``quality_issues`` are joined with "; ". ``track`` is null for photos.
"""


def to_dict(result: FrameResult) -> dict[str, Any]:
    """A result in plain types, ready for JSON. Probabilities are never rounded; edges of boxes are, to whole pixels."""
    return {
        "schema": SCHEMA_VERSION,
        "source": result.source,
        "index": result.index,
        "seconds": finite(result.seconds),
        "error": result.error,
        "warnings": list(result.warnings),
        "faces": [_face_to_dict(prediction) for prediction in result.predictions],
    }


def from_dict(values: dict[str, Any]) -> FrameResult:
    """Rebuild a result from the dictionary that ``to_dict`` made.

    Boxes come back in whole pixels and landmarks in hundredths. Schema 1 had no thresholds and no quality issues of
    confident predictions: its ``unsure`` becomes a threshold of 1.0 or 0.0.

    Raises:
        UsageError: the dictionary is no such result, or has a newer version of the schema.
    """
    version = values.get("schema", 1) if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UsageError(
            f"expected schema {SCHEMA_VERSION} or older; received {version}, of a newer mien: update this one"
        )
    try:
        return FrameResult(
            source=values["source"],
            index=values["index"],
            seconds=values["seconds"],
            predictions=tuple(_face_from_dict(face, version) for face in values["faces"]),
            error=values["error"],
            warnings=_texts(values.get("warnings", []), "warnings"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            "expected a result as mien predict --json writes it; "
            f"received something else ({type(error).__name__}: {error}). Read one line at a time with json.loads"
        ) from error


def to_json_line(result: FrameResult) -> str:
    """A result as one line of JSON without the line break; always encodable as UTF-8."""
    line = json.dumps(to_dict(result), ensure_ascii=False, allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda lone: f"\\u{ord(lone[0]):04x}", line)


def columns(labels: Sequence[str]) -> dict[str, str]:
    """Columns of CSV and Parquet for a model with these labels, in order, and the Arrow type of each."""
    return {
        **FACE_COLUMNS,
        **{f"p_{_utf8(label)}": "float64" for label in labels},
        "error": "string",
        "schema": "int32",
    }


def rows(result: FrameResult, labels: Sequence[str]) -> list[tuple[Any, ...]]:
    """A row per face; one row without a face if none was found or the image could not be read.

    Args:
        result: one image or frame.
        labels: of the model, which fix the columns.

    Raises:
        UsageError: a prediction has other labels than these.
    """
    start = (_utf8(result.source), result.index, finite(result.seconds))
    error = None if result.error is None else _utf8(result.error)
    if not result.predictions:
        return [(*start, *[None] * (len(FACE_COLUMNS) - len(start) + len(labels)), error, SCHEMA_VERSION)]
    return [
        (*start, number, *_face_row(prediction, labels), error, SCHEMA_VERSION)
        for number, prediction in enumerate(result.predictions)
    ]


def _face_to_dict(prediction: Prediction) -> dict[str, Any]:
    prediction = _rounded(prediction)
    landmarks = prediction.face.landmarks
    return {
        "box": list(_edges(prediction.face.box)),
        "landmarks": [list(point) for point in points_of(landmarks)] if landmarks else None,
        "confidence": float(prediction.face.confidence),
        "emotion": str(prediction.emotion),
        "probability": float(prediction.probability),
        "unsure": bool(prediction.unsure),
        "unsure_below": float(prediction.unsure_below),
        "turned_away": prediction.face.turned_away,
        "reasons": list(prediction.reasons),
        "quality_issues": list(prediction.quality_issues),
        "track": prediction.track,
        "probabilities": {
            str(label): float(value) for label, value in zip(prediction.labels, prediction.probabilities, strict=True)
        },
    }


def _face_from_dict(face: dict[str, Any], version: int | None) -> Prediction:
    unsure_below, quality_issues = _quality_from_schema_1(face) if version == 1 else _quality_from_dict(face)
    most_probable = max(face["probabilities"], key=face["probabilities"].__getitem__)
    return Prediction(
        face=Face(
            Box(*face["box"]),
            Landmarks(*(Point(float(x), float(y)) for x, y in face["landmarks"])) if face["landmarks"] else None,
            face["confidence"],
        ),
        labels=tuple(face["probabilities"]),
        probabilities=tuple(face["probabilities"].values()),
        unsure_below=unsure_below,
        track=face["track"],
        quality_issues=quality_issues,
        stable_label=None if face["emotion"] == most_probable else face["emotion"],
    )


def _quality_from_dict(face: dict[str, Any]) -> tuple[float, tuple[str, ...]]:
    """The threshold and the quality issues of a face."""
    return float(face["unsure_below"]), _texts(face["quality_issues"], "quality_issues")


def _quality_from_schema_1(face: dict[str, Any]) -> tuple[float, tuple[str, ...]]:
    """The same of schema 1, which wrote neither: a threshold with the same outcome; the issues among the reasons."""
    return 1.0 if face["unsure"] else 0.0, tuple(reason for reason in face["reasons"] if reason in QUALITY_ISSUES)


def _texts(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} is {values!r}, no list of strings")
    return tuple(values)


def _face_row(prediction: Prediction, labels: Sequence[str]) -> tuple[Any, ...]:
    if set(prediction.labels) != set(labels):
        raise UsageError(
            f"expected predictions with the labels {list(labels)}, which fix the columns; "
            f"received {list(prediction.labels)}. Write the results of each model to a file of its own"
        )
    prediction = _rounded(prediction)
    return (
        *_edges(prediction.face.box),
        float(prediction.face.confidence),
        _utf8(prediction.emotion),
        float(prediction.probability),
        bool(prediction.unsure),
        float(prediction.unsure_below),
        prediction.face.turned_away,
        "; ".join(prediction.reasons),
        "; ".join(prediction.quality_issues),
        prediction.track,
        *(float(prediction.probability_of(label)) for label in labels),
    )


def _edges(box: Box) -> tuple[int, int, int, int]:
    left, top = round(box.left), round(box.top)
    return left, top, max(round(box.right), left + 1), max(round(box.bottom), top + 1)


def points_of(landmarks: Landmarks) -> tuple[Point, ...]:
    """The five points, in order."""
    return tuple(getattr(landmarks, field.name) for field in dataclasses.fields(landmarks))


def _rounded(prediction: Prediction) -> Prediction:
    """With landmarks in hundredths of a pixel, so that ``turned_away`` agrees with the landmarks written."""
    if prediction.face.landmarks is None:
        return prediction
    points = (Point(round(float(x), 2), round(float(y), 2)) for x, y in points_of(prediction.face.landmarks))
    return dataclasses.replace(prediction, face=dataclasses.replace(prediction.face, landmarks=Landmarks(*points)))


def finite(seconds: float | None) -> float | None:
    """The time, or None if it is not finite: JSON has no NaN."""
    return None if seconds is None or not math.isfinite(seconds) else float(seconds)


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
