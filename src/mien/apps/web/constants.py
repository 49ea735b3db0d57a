"""Constants that the web page's JavaScript shares with Python: poses, colours, thresholds, columns.

The page runs inference and draws avatars itself, so these numbers are written from Python, never by hand:
``python -m mien.apps.web.constants`` (part of ``make docs``). A test compares the file with what this module gives.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import emotions, structures
from mien.classification import face_crop, probabilities, quality
from mien.detection import grid, mien_detector, orientation, windows
from mien.media.files import write_bytes
from mien.outputs import schema
from mien.tracking import tracker
from mien.visualization.avatar import outlines, poses

if TYPE_CHECKING:
    from types import ModuleType

CONSTANTS_FILE = Path(__file__).parent / "inference" / "constants.js"
HEADER = "// Written by python -m mien.apps.web.constants; do not edit.\nexport default "


def web_constants() -> dict[str, Any]:
    """All constants in plain types, under their Python names."""
    return {
        "poses": {str(name): dataclasses.asdict(pose) for name, pose in poses.POSES.items()},
        "outlines": constants_of(outlines),
        "colours": {str(name): list(colour) for name, colour in emotions.COLOURS.items()},
        "emoji": {str(name): sign for name, sign in emotions.EMOJI.items()},
        "synonyms": {word: str(emotion) for word, emotion in emotions.SYNONYMS.items()},
        "labels": [str(label) for label in emotions.FER2013],
        "columns": list(schema.FACE_COLUMNS),
        "schema": schema.SCHEMA_VERSION,
        "faces": constants_of(structures),
        "quality": constants_of(quality),
        "cropping": constants_of(face_crop),
        "probabilities": constants_of(probabilities),
        "tracking": {**constants_of(tracker), "config": dataclasses.asdict(tracker.TrackerConfig())},
        "orientation": constants_of(orientation),
        "windows": constants_of(windows),
        "detection": {
            **constants_of(grid),
            **constants_of(mien_detector),
            "min_face_px": mien_detector.MienDetector.min_face_px,
            "uncertain_scores": mien_detector.MienDetector.uncertain_scores,
            "scales": [_plain_scale(scale) for scale in mien_detector.MienDetector.scales],
            "fallback_scale": _plain_scale(mien_detector.MienDetector.fallback_scale),
        },
    }


def constants_of(module: ModuleType) -> dict[str, Any]:
    """The numbers, strings and tuples among a module's constants."""
    return {name: value for name, value in vars(module).items() if name.isupper() and _is_plain(value)}


def to_javascript() -> str:
    """The constants as a JavaScript module."""
    parts = web_constants().items()
    lines = [f"  {name}: {json.dumps(value, ensure_ascii=False, allow_nan=False)},\n" for name, value in parts]
    return f"{HEADER}{{\n{''.join(lines)}}};\n"


def _is_plain(value: object) -> bool:
    # TYPE_CHECKING and other switches
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float | str) or (isinstance(value, tuple) and all(map(_is_plain, value)))


def _plain_scale(scale: grid.InferenceScale) -> dict[str, Any]:
    # JSON has no infinity, and no face is larger than this many times its image
    return {**scale._asdict(), "max_face_share": min(scale.max_face_share, 1e9)}


if __name__ == "__main__":
    write_bytes(CONSTANTS_FILE, to_javascript().encode())
