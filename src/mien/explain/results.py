"""An explanation as plain values, one JSON object an image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mien.outputs import to_json_line
from mien.structures import FrameResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.explain.deletion import Curve
    from mien.explain.explanation import Check, Explanation, HeatMap


def explanation_line(source: str, explanations: Sequence[Explanation], error: str | None = None) -> str:
    """What ``mien predict --json`` prints of an image, and in each face what its answer hung on."""
    result = FrameResult(source, predictions=tuple(one.prediction for one in explanations), error=error)
    line = json.loads(to_json_line(result))
    for face, one in zip(line["faces"], explanations, strict=True):
        face["explained"] = one.label
        face["maps"] = [_map(shown) for shown in one.maps]
    return json.dumps(line, ensure_ascii=False)


def _map(shown: HeatMap) -> dict[str, Any]:
    parts = {part.name: {"share": part.share, "area": part.area} for part in shown.parts}
    told: dict[str, Any] = {"method": shown.method, "parts": parts}
    return told if shown.check is None else {**told, "check": _check(shown.check)}


def _check(check: Check) -> dict[str, Any]:
    named = ("deletion", "insertion", "random", "centre")
    curves: dict[str, Curve] = {name: getattr(check.erasing, name) for name in named}
    return {
        "likeness": [{"shuffled": share, "correlation": likeness} for share, likeness in check.likeness],
        "curves": {
            name: {"area": curve.area, "shares": curve.shares, "probabilities": curve.probabilities}
            for name, curve in curves.items()
        },
    }
