"""Why a face was answered as it was: the values, and the one way to make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mien.classification.face_crop import crop
from mien.detection import crop_rule_for
from mien.errors import UsageError
from mien.explain.deletion import Erasing, erase
from mien.explain.face_parts import Part, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mien.recognizer import Recognizer
    from mien.structures import Crops, Frame, Prediction

    Plane = npt.NDArray[np.float32]

VIEW = 336
"""Side in pixels of the face as people are shown it."""

SHUFFLED = (0.1, 0.5, 1.0)
"""Shares of a network's layers that a check makes random, from the answer's end."""


class Explainer(Protocol):
    """One method of explaining, made for one model and one label set."""

    @property
    def method(self) -> str:
        """Its name."""
        ...

    def heat(self, face_crop: Crops, label: int) -> Plane:
        """What each pixel of a face crop (size, size, channels) adds to a label: float32 (size, size)."""
        ...

    def shuffled(self, share: float) -> Explainer:
        """The same for a network of which a share of the layers, from the answer's end, is made random."""
        ...


@dataclass(frozen=True)
class Check:
    """Whether a map can be believed.

    Attributes:
        likeness: share of the layers made random, and Spearman's rank correlation of the maps before and after; one
            that stays near 1 shows the image, not the model (Adebayo et al. 2018, arXiv:1810.03292).
        erasing: deletion and insertion.
    """

    likeness: tuple[tuple[float, float], ...]
    erasing: Erasing


@dataclass(frozen=True)
class HeatMap:
    """Where in a face crop the answer comes from, by one method.

    Attributes:
        method: its name.
        values: float32 (size, size): positive speaks for the label, negative against it; comparable within one map.
        parts: of the face; empty without landmarks.
        check: where it was asked for.
    """

    method: str
    values: Plane
    parts: tuple[Part, ...]
    check: Check | None = None


@dataclass(frozen=True)
class Explanation:
    """Why one face was answered as it was.

    Attributes:
        prediction: what users are told of it.
        label: the expression that is explained: the one named, unless another was asked for.
        view: the face as the face crop is cut, in colour and finer: uint8 (336, 336, 3), RGB.
        crop: what the network is shown: uint8 (size, size, channels).
        maps: one a method.
    """

    prediction: Prediction
    label: str
    view: Frame
    face_crop: Crops
    maps: tuple[HeatMap, ...]


def explain(
    recognizer: Recognizer,
    frame: Frame,
    explainers: Sequence[Explainer],
    label: str | None = None,
    *,
    check: bool = False,
) -> tuple[Explanation, ...]:
    """The explanation of each face in a frame, largest face first.

    Args:
        recognizer: reads the frame as users have it; its classifier's card and label set are those of the explainers.
        frame: uint8 (height, width, 3), RGB.
        explainers: the methods.
        label: the expression to explain; None: the one named.
        check: whether each map is checked too, which takes some ten times as long.

    Raises:
        UsageError: the model does not know the label.
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
        view = crop(frame, prediction.face, rule, VIEW, 3)
        told = label or prediction.emotion
        at = recognizer.labels.index(told)
        maps = []
        for explainer in explainers:
            values = explainer.heat(face_crop, at)
            checked = check_map(recognizer, explainer, face_crop, at, values) if check else None
            maps.append(HeatMap(explainer.method, values, parts_of(values, prediction.face, rule), checked))
        yield Explanation(prediction, told, view, face_crop, tuple(maps))


def check_map(recognizer: Recognizer, explainer: Explainer, crops: Crops, label: int, heat: Plane) -> Check:
    """The check of one map.

    Args:
        recognizer: whose probabilities the curves are of.
        explainer: that made the map.
        crops: uint8 (1, size, size, channels).
        label: place of the explained label.
        heat: the map, (size, size).
    """
    likeness = tuple(
        (share, rank_correlation(heat, explainer.shuffled(share).heat(crops, label))) for share in SHUFFLED
    )
    predict = recognizer.classifier.predict
    return Check(likeness, erase(lambda erased: predict(erased, recognizer.head), crops, label, heat))


def rank_correlation(one: Plane, other: Plane) -> float:
    """Spearman's rank correlation of two maps, -1 to 1; 0 where one of them is flat."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Plane) -> npt.NDArray[np.float64]:
    """The rank of each value, equal ones sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[place.ravel()]
    return ranks
