"""The card inside every model file: how it is used, where it came from, what it scores.

The card travels in the .onnx file's own metadata, so training and inference can't drift apart.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mien.errors import ModelError
from mien.models.legacy import CARD_FIELDS, METRICS, ORIGIN_FIELDS, head_named, renamed

if TYPE_CHECKING:
    from collections.abc import Callable

CardT = TypeVar("CardT")

CARD_KEY = "mien.card"
DETECTOR_KEY = "mien.detector"
CARD_FORMAT = 2
"""Written; 1 is read too: ``models.legacy`` has its names."""

FUSED = "fused"


@dataclass(frozen=True)
class CropRule:
    """How a face crop is cut around a face box; the same in training, evaluation and use.

    Attributes:
        factor: side of the square over max(width, height) of the face box.
        align_beyond: roll in degrees from which the face is turned upright; None: never.
    """

    factor: float = 1.0
    align_beyond: float | None = None

    def __post_init__(self) -> None:
        if not 0.2 <= self.factor <= 5.0:
            raise ModelError(f"expected a crop factor from 0.2 to 5; received {self.factor}")
        if self.align_beyond is not None and not 0.0 <= self.align_beyond <= 90.0:
            raise ModelError(f"expected align_beyond from 0 to 90 degrees; received {self.align_beyond}")


@dataclass(frozen=True)
class Head:
    """One output of the graph: a row of logits, its labels and its calibration.

    Attributes:
        name: the label set that the head was trained on.
        labels: the names of its outputs, in order.
        temperature: divides the logits; fitted on validation data (Guo et al. 2017, arXiv:1706.04599).
        unsure_below: a best probability under it is "unsure".
        offsets: added to the logits when this head is the output, one a label; () adds none. The fused output has its
            own.
        scales: factor a label on the distance of its logit from the mean, applied before the offsets when this head is
            the output; () leaves the logits. Fitted together with the offsets (vector scaling).
    """

    name: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    unsure_below: float = 0.0
    offsets: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ModelError(f"expected distinct labels for the head {self.name!r}; received {list(self.labels)}")
        if head_named(self.name) == FUSED:
            raise ModelError(f"expected a head by another name than {self.name!r}, which is the fusion of all heads")
        _check_calibration(self)
        _check_each("a scale", self.scales, self.labels)


@dataclass(frozen=True)
class FusedOutput:
    """The default output: a weighted geometric mean of the heads over the labels they share.

    Attributes:
        labels: the names of its outputs, in order; every head with a weight has them all.
        weights: the head's name and its weight, which sum to 1.
        temperature: divides the log of the mean; fitted on validation data.
        unsure_below: a best probability under it is "unsure".
        offsets: added to the log of the mean, one a label; () adds none. They remove part of the label frequencies of
            the training data, since users' images have other frequencies.
    """

    labels: tuple[str, ...]
    weights: tuple[tuple[str, float], ...]
    temperature: float = 1.0
    unsure_below: float = 0.0
    offsets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        weights = [weight for _, weight in self.weights]
        if not (all(weight >= 0 for weight in weights) and abs(sum(weights) - 1.0) <= 1e-6):
            raise ModelError(f"expected weights of 0 or more that sum to 1; received {weights}")
        _check_calibration(self)


@dataclass(frozen=True)
class Origin:
    """Where a model came from: enough to make it again.

    Attributes:
        network: name in the architectures.
        data: name of the data set and the SHA-256 of each file it was read from.
        config: the whole config, as the TOML text saved beside the weights.
        made_with: versions of mien, Keras and its backend, and the date.
        licence: of the weights.
        notes: terms and limits of the data that a user should know.
    """

    network: str = ""
    data: str = ""
    config: str = ""
    made_with: str = ""
    licence: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Score:
    """One figure measured on one split: ``Score("fer2013", "PublicTest", "accuracy", 0.70, 3589)``."""

    head: str
    split: str
    metric: str
    value: float
    count: int


@dataclass(frozen=True)
class ModelCard:
    """All that inference and evaluation need to know of a model.

    Attributes:
        name: what the model is called, "compact".
        size: side of the square face crop in pixels.
        channels: 1 (grey) or 3 (RGB).
        crop: how face crops are cut.
        heads: the graph's outputs, in the graph's order (outputs are read by position).
        fused: the default output.
        mirrored: whether inference also runs on the mirror image and averages both outputs (test-time augmentation);
            for networks trained to treat both alike. Scores are of single views.
    """

    name: str
    size: int
    channels: int
    crop: CropRule
    heads: tuple[Head, ...]
    fused: FusedOutput
    origin: Origin = field(default_factory=Origin)
    scores: tuple[Score, ...] = ()
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024 or self.channels not in (1, 3):
            raise ModelError(
                f"expected face crops of 8 to 1024 pixels and 1 or 3 channels; received {self.size} and {self.channels}"
            )
        if len({head.name for head in self.heads}) != len(self.heads) or not self.heads:
            raise ModelError("expected heads with distinct names")
        for name, _ in self.fused.weights:
            missing = sorted(map(str, set(self.fused.labels) - set(self.head(name).labels)))
            if missing:
                raise ModelError(f"the fused output has the labels {missing}, which the head {name!r} lacks")

    def head(self, name: str) -> Head:
        """A head by name.

        Raises:
            ModelError: there is none of that name.
        """
        for head in self.heads:
            if head.name == name:
                return head
        names = [FUSED, *(head.name for head in self.heads)]
        raise ModelError(f"expected one of the output heads {names} of the model {self.name!r}; received {name!r}")

    def output(self, head: str) -> Head | FusedOutput:
        """An output by name: ``FUSED`` (or its old name "answer"), or a head.

        Raises:
            ModelError: the model has no output of that name.
        """
        return self.fused if head_named(head) == FUSED else self.head(head)

    def to_json(self) -> str:
        """The card as one JSON object, as it stands in the model file."""
        return _written(self)

    @staticmethod
    def from_json(text: str) -> ModelCard:
        """The card that ``to_json`` wrote.

        Raises:
            ModelError: the text is no card, or one of a newer mien.
        """
        return _read(text, _card)


@dataclass(frozen=True)
class DetectorCard:
    """All that using a face detector needs, and where it came from.

    Attributes:
        name: what the detector is called.
        score: from which a candidate is a face.
        overlap: intersection over union above which the lesser of two candidates goes.
        framing: the sides of its boxes times this are those that crop rules mean.
        origin: where it came from.
        scores: figures on held-out images; ``head`` names what was asked for.
    """

    name: str
    score: float
    overlap: float
    framing: float = 1.0
    origin: Origin = field(default_factory=Origin)
    scores: tuple[Score, ...] = ()

    def __post_init__(self) -> None:
        if not (0.0 < self.score < 1.0 and 0.0 < self.overlap < 1.0 and 0.5 <= self.framing <= 2.0):
            raise ModelError(
                "expected a score and an overlap between 0 and 1 and a framing from 0.5 to 2; "
                f"received {self.score}, {self.overlap}, {self.framing}"
            )

    def to_json(self) -> str:
        """The card as one JSON object, as it stands in the model file."""
        return _written(self)

    @staticmethod
    def from_json(text: str) -> DetectorCard:
        """The card that ``to_json`` wrote.

        Raises:
            ModelError: the text is no card of a detector, or one of a newer mien.
        """
        return _read(text, _detector_card)


def _written(card: ModelCard | DetectorCard) -> str:
    return json.dumps({"format": CARD_FORMAT, **dataclasses.asdict(card)}, ensure_ascii=False)


def _read(text: str, make: Callable[[dict[str, Any]], CardT]) -> CardT:
    try:
        values = json.loads(text)
        written = values.pop("format")
        if written not in range(1, CARD_FORMAT + 1):
            raise ModelError(
                f"expected a model card of format {CARD_FORMAT} or older; received {written}: a newer mien wrote it, "
                "so update with: pip install -U mien"
            )
        return make(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"expected a model card as mien export writes it; received something else ({error})"
        ) from error


def _check_calibration(output: Head | FusedOutput) -> None:
    if not 0.0 < output.temperature < 1e6:
        raise ModelError(f"expected a temperature above 0; received {output.temperature}")
    if not 0.0 <= output.unsure_below <= 1.0:
        raise ModelError(f"expected a threshold from 0 to 1; received {output.unsure_below}")
    _check_each("an offset", output.offsets, output.labels)


def _check_each(what: str, values: tuple[float, ...], labels: tuple[str, ...]) -> None:
    """Nothing, where there is a finite value a label, or none at all."""
    if values and not (len(values) == len(labels) and all(map(math.isfinite, values))):
        raise ModelError(f"expected {what} for each of {len(labels)} labels; received {values}")


def _card(values: dict[str, Any]) -> ModelCard:
    values = renamed(values, CARD_FIELDS)
    fused = values.pop("fused")
    return ModelCard(
        crop=CropRule(**values.pop("crop")),
        heads=tuple(
            Head(scales=tuple(map(float, head.pop("scales", ()))), **_tuples(head), **head)
            for head in values.pop("heads")
        ),
        fused=FusedOutput(
            weights=tuple((str(name), float(weight)) for name, weight in fused.pop("weights")),
            **_tuples(fused),
            **fused,
        ),
        origin=_origin(values.pop("origin")),
        scores=_scores(values.pop("scores")),
        **values,
    )


def _tuples(output: dict[str, Any]) -> dict[str, Any]:
    """The fields of an output that JSON has as lists, taken out of it."""
    return {"labels": tuple(output.pop("labels")), "offsets": tuple(map(float, output.pop("offsets", ())))}


def _detector_card(values: dict[str, Any]) -> DetectorCard:
    return DetectorCard(origin=_origin(values.pop("origin")), scores=_scores(values.pop("scores")), **values)


def _origin(values: dict[str, Any]) -> Origin:
    return Origin(**renamed(values, ORIGIN_FIELDS))


def _scores(values: list[dict[str, Any]]) -> tuple[Score, ...]:
    return tuple(
        Score(**{**score, "head": head_named(score["head"]), "metric": METRICS.get(score["metric"], score["metric"])})
        for score in values
    )
