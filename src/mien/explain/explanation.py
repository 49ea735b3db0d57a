"""Explanations of predictions: attribution maps of each face in an image, with their faithfulness, also as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mien.classification.face_crop import crop
from mien.detection import crop_rule_for
from mien.errors import UsageError
from mien.explain.face_parts import FacePart, part_shares
from mien.explain.faithfulness import Curve, Faithfulness, deletion_insertion, rank_correlation
from mien.outputs import to_json_line
from mien.structures import FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.recognizer import Recognizer
    from mien.structures import Crops, Frame, Prediction

    Plane = npt.NDArray[np.float32]

VIEW_PX = 336
"""Side in pixels of the face as reports show it."""

RANDOMIZED_SHARES = (0.1, 0.5, 1.0)
"""Shares of a network's layers that the randomisation test randomises, counted from the output."""


class Explainer(Protocol):
    """One attribution method, set up for one model and one head."""

    @property
    def method(self) -> str:
        """Its name, such as "occlusion"."""
        ...

    def attribute(self, crop: Crops, label: int) -> Plane:
        """The contribution of each pixel of a face crop (size, size, channels) to a label: float32 (size, size)."""
        ...

    def randomized(self, share: float) -> Explainer:
        """The same method for a copy of the network with a share of its last layers randomised."""
        ...


@dataclass(frozen=True)
class AttributionMap:
    """The attribution of a prediction to the pixels of a face crop, by one method.

    Attributes:
        method: its name.
        values: float32 (size, size): positive supports the label, negative opposes it; comparable within one map only.
        parts: shares by face part; empty without landmarks.
        faithfulness: its test results; None if not requested.
    """

    method: str
    values: Plane
    parts: tuple[FacePart, ...]
    faithfulness: Faithfulness | None = None


@dataclass(frozen=True)
class Explanation:
    """The explanation of one face's prediction.

    Attributes:
        prediction: of the face.
        label: the explained expression: the predicted one, unless another was requested.
        view: the face cut like the face crop, but in colour and larger: uint8 (336, 336, 3), RGB.
        face_crop: the input of the network: uint8 (size, size, channels).
        maps: one per method.
    """

    prediction: Prediction
    label: str
    view: Frame
    face_crop: Crops
    maps: tuple[AttributionMap, ...]


def explain(
    recognizer: Recognizer,
    frame: Frame,
    explainers: Sequence[Explainer],
    label: str | None = None,
    *,
    check: bool = False,
) -> tuple[Explanation, ...]:
    """Explain the prediction of each face in a frame, largest face first.

    Args:
        recognizer: detects and classifies the faces; its model and head are those of the explainers.
        frame: uint8 (height, width, 3), RGB.
        explainers: the attribution methods.
        label: the expression to explain; None explains the predicted one.
        check: also tests the faithfulness of each map, which takes about ten times as long.

    Raises:
        UsageError: the model has no such label.

    Example:
        >>> import numpy as np
        >>> from mien import Recognizer
        >>> from mien.models.store import ModelStore
        >>> from mien.explain import Occlusion
        >>> recognizer, occlusion = Recognizer.load(), Occlusion(ModelStore().load("compact"))
        >>> explain(recognizer, np.zeros((64, 64, 3), np.uint8), [occlusion])
        ()
    """
    if label is not None and label not in recognizer.labels:
        raise UsageError(f"expected an expression of {', '.join(recognizer.labels)} to explain; received {label!r}")
    return tuple(_explanations(recognizer, frame, explainers, label, check=check))


def _explanations(
    recognizer: Recognizer, frame: Frame, explainers: Sequence[Explainer], label: str | None, *, check: bool
) -> Iterator[Explanation]:
    card = recognizer.classifier.card
    rule = crop_rule_for(recognizer.detector, card.crop)
    for prediction in recognizer.predict(frame).predictions:
        face_crop = crop(frame, prediction.face, rule, card.size, card.channels)
        view = crop(frame, prediction.face, rule, VIEW_PX, 3)
        explained = label or prediction.emotion
        index = recognizer.labels.index(explained)
        maps = []
        for explainer in explainers:
            values = explainer.attribute(face_crop, index)
            parts = part_shares(values, prediction.face, rule)
            faithfulness = check_map(recognizer, explainer, face_crop, index, values) if check else None
            maps.append(AttributionMap(explainer.method, values, parts, faithfulness))
        yield Explanation(prediction, explained, view, face_crop, tuple(maps))


def check_map(
    recognizer: Recognizer, explainer: Explainer, face_crop: Crops, label: int, attribution: Plane
) -> Faithfulness:
    """Test one map by randomisation, deletion and insertion.

    Args:
        recognizer: whose probabilities the curves show.
        explainer: the method that made the map.
        face_crop: uint8 (size, size, channels).
        label: index of the explained label.
        attribution: the map, float32 (size, size).
    """
    correlations = tuple(
        (share, rank_correlation(attribution, explainer.randomized(share).attribute(face_crop, label)))
        for share in RANDOMIZED_SHARES
    )
    predict = recognizer.classifier.predict
    curves = deletion_insertion(lambda crops: predict(crops, recognizer.head), face_crop, label, attribution)
    return Faithfulness(correlations, curves)


def explanation_json(source: str, explanations: Sequence[Explanation], error: str | None = None) -> str:
    """The JSON line of ``mien predict --json`` for an image, with the explanation added to each face."""
    result = FrameResult(source, predictions=tuple(explanation.prediction for explanation in explanations), error=error)
    line = json.loads(to_json_line(result))
    for face, explanation in zip(line["faces"], explanations, strict=True):
        face["explained"] = explanation.label
        face["maps"] = [_map_values(attribution) for attribution in explanation.maps]
    return json.dumps(line, ensure_ascii=False)


def _map_values(attribution: AttributionMap) -> dict[str, Any]:
    parts = {part.name: {"share": part.share, "area": part.area} for part in attribution.parts}
    values: dict[str, Any] = {"method": attribution.method, "parts": parts}
    if attribution.faithfulness is None:
        return values
    return {**values, "check": _faithfulness_values(attribution.faithfulness)}


def _faithfulness_values(faithfulness: Faithfulness) -> dict[str, Any]:
    names = ("deletion", "insertion", "random", "centre")
    curves: dict[str, Curve] = {name: getattr(faithfulness.curves, name) for name in names}
    return {
        "randomization": [
            {"layers": share, "rank_correlation": correlation} for share, correlation in faithfulness.rank_correlations
        ],
        "curves": {
            name: {"area": curve.area, "shares": curve.shares, "probabilities": curve.probabilities}
            for name, curve in curves.items()
        },
    }
