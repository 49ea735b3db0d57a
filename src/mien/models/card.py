"""Model cards: how a model is used, its origin, and its scores.

The card is part of the .onnx file's metadata, so training and inference can't drift apart.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mien.errors import ModelError
from mien.models.legacy import CARD_FIELDS, METRICS, ORIGIN_FIELDS, head_named, renamed
from mien.models.typed_json import fields_of, parse_json, structured

if TYPE_CHECKING:
    from collections.abc import Callable

CardT = TypeVar("CardT", "ModelCard", "DetectorCard")

CARD_KEY = "mien.card"
DETECTOR_KEY = "mien.detector"
CARD_FORMAT = 2
"""Format of written cards. Format 1 is read too; ``mien.models.legacy`` maps its names."""

FUSED = "fused"

MAX_NAME = 200
"""Characters of a name or a label: they are shown in tables, drawn on images and put into file names."""

MAX_LABELS = 1000
MAX_CALIBRATION = 1e6
"""Bound of temperatures, offsets and scales: with it, no finite logit becomes infinite."""


@dataclass(frozen=True)
class CropRule:
    """How a face is cropped around its box; the same in training, evaluation and inference.

    Attributes:
        factor: side of the square over max(width, height) of the face box.
        align_beyond: roll in degrees above which the face is rotated upright; None: 30.
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
        name: of the label set that the head was trained on.
        labels: of its logits, in order.
        temperature: divides the logits; fitted on validation data (Guo et al. 2017, arXiv:1706.04599).
        unsure_below: a prediction whose best probability is lower is "unsure".
        offsets: added to the logits when this head alone is the output, one per label; () adds none. The fused output
            has its own.
        scales: per label, factor of the distance of its logit from the mean, applied before the offsets when this head
            alone is the output; () for none. Fitted together with the offsets (vector scaling).
    """

    name: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    unsure_below: float = 0.0
    offsets: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_name("head", self.name)
        _check_labels(f"the head {self.name!r}", self.labels)
        if head_named(self.name) == FUSED:
            raise ModelError(f"expected a head by another name than {self.name!r}, which names the fusion of all heads")
        _check_calibration(self)
        _check_each("a scale", self.scales, self.labels)


@dataclass(frozen=True)
class FusedOutput:
    """The default output: a weighted geometric mean of the heads over the labels they share.

    Attributes:
        labels: in order; every head with a weight has them all.
        weights: pairs of a head's name and its weight; the weights sum to 1.
        temperature: divides the log of the mean; fitted on validation data.
        unsure_below: a prediction whose best probability is lower is "unsure".
        offsets: added to the log of the mean, one per label; () adds none. They remove part of the label frequencies
            of the training data, since users' images have other frequencies.
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
        for name, _ in self.weights:
            _check_name("head", name)
        _check_labels("the fused output", self.labels)
        _check_calibration(self)


@dataclass(frozen=True)
class Origin:
    """The origin of a model: enough to train it again.

    Attributes:
        network: name of the architecture.
        data: name of the data set, and the SHA-256 of each of its files.
        config: the whole training config, as TOML text.
        made_with: versions of mien, Keras and its backend, and the date.
        licence: of the weights.
        notes: terms of the data, and limits that users should know.
    """

    network: str = ""
    data: str = ""
    config: str = ""
    made_with: str = ""
    licence: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Score:
    """A metric of one head on one split: ``Score("fer2013", "PublicTest", "accuracy", 0.70, 3589)``."""

    head: str
    split: str
    metric: str
    value: float
    count: int

    def __post_init__(self) -> None:
        if math.isinf(self.value):
            raise ModelError(f"expected a finite score; received {self.value} for {self.metric!r}")


@dataclass(frozen=True)
class ModelCard:
    """All that inference and evaluation need to know about a classifier.

    Attributes:
        name: of the model, such as "compact".
        size: side of the square face crop in pixels.
        channels: 1 (grey) or 3 (RGB).
        crop: how faces are cropped.
        heads: the graph's outputs, in the graph's order (outputs are read by position).
        fused: the default output.
        mirrored: whether inference also runs on the mirror image and averages both logits (test-time augmentation);
            for networks trained on mirrored images. Scores are of single views.
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
        _check_name("model", self.name)
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
        """Return a head by name.

        Raises:
            ModelError: there is none of that name.
        """
        for head in self.heads:
            if head.name == name:
                return head
        names = [FUSED, *(head.name for head in self.heads)]
        raise ModelError(f"expected one of the output heads {names} of the model {self.name!r}; received {name!r}")

    def output(self, head: str) -> Head | FusedOutput:
        """Return an output by name: "fused", or a head.

        Raises:
            ModelError: the model has no output of that name.
        """
        return self.fused if head_named(head) == FUSED else self.head(head)

    def to_json(self) -> str:
        """The card as a JSON object, as stored in the model file."""
        return _to_json(self)

    @staticmethod
    def from_json(text: str) -> ModelCard:
        """Parse what ``to_json`` wrote.

        Raises:
            ModelError: the text is no card, or one of a newer mien.
        """
        return _parse(text, _card)


@dataclass(frozen=True)
class DetectorCard:
    """All that inference needs to know about a face detector, and its origin.

    Attributes:
        name: of the detector.
        score: threshold from which a candidate is a face.
        overlap: IoU above which non-maximum suppression removes the lesser of two candidates.
        framing: factor that turns the sides of its boxes into those that crop rules expect.
        origin: data, config and versions it was trained with.
        scores: metrics on held-out images; their ``head`` names the size of faces.
    """

    name: str
    score: float
    overlap: float
    framing: float = 1.0
    origin: Origin = field(default_factory=Origin)
    scores: tuple[Score, ...] = ()

    def __post_init__(self) -> None:
        _check_name("detector", self.name)
        if not (0.0 < self.score < 1.0 and 0.0 < self.overlap < 1.0 and 0.5 <= self.framing <= 2.0):
            raise ModelError(
                "expected a score and an overlap between 0 and 1 and a framing from 0.5 to 2; "
                f"received {self.score}, {self.overlap}, {self.framing}"
            )

    def to_json(self) -> str:
        """The card as a JSON object, as stored in the model file."""
        return _to_json(self)

    @staticmethod
    def from_json(text: str) -> DetectorCard:
        """Parse what ``to_json`` wrote.

        Raises:
            ModelError: the text is no card of a detector, or one of a newer mien.
        """
        return _parse(text, _detector_card)


def _to_json(card: ModelCard | DetectorCard) -> str:
    return json.dumps({"format": CARD_FORMAT, **dataclasses.asdict(card)}, ensure_ascii=False)


def _parse(text: str, make: Callable[[dict[str, Any]], CardT]) -> CardT:
    try:
        values = dict(fields_of(parse_json(text), "the card"))
        version = structured(int, values.pop("format", None), "format")
        if version not in range(1, CARD_FORMAT + 1):
            raise ModelError(
                f"expected a model card of format {CARD_FORMAT} or older; received {version}: a newer mien wrote it, "
                "so install a newer one"
            )
        return make(values)
    except ValueError as error:
        raise ModelError(
            f"expected a model card as mien export writes it; received something else ({error})"
        ) from error


def _check_name(what: str, name: str) -> None:
    if not 0 < len(name) <= MAX_NAME:
        raise ModelError(f"expected a name of 1 to {MAX_NAME} characters for a {what}; received {len(name)}")


def _check_labels(owner: str, labels: tuple[str, ...]) -> None:
    if not labels or len(set(labels)) != len(labels):
        raise ModelError(f"expected distinct labels for {owner}; received {str(list(labels))[:MAX_NAME]}")
    if len(labels) > MAX_LABELS or not all(len(label) <= MAX_NAME for label in labels):
        raise ModelError(f"expected at most {MAX_LABELS} labels of at most {MAX_NAME} characters for {owner}")


def _check_calibration(output: Head | FusedOutput) -> None:
    if not 1.0 / MAX_CALIBRATION < output.temperature < MAX_CALIBRATION:
        raise ModelError(f"expected a temperature above 0; received {output.temperature}")
    if not 0.0 <= output.unsure_below <= 1.0:
        raise ModelError(f"expected a threshold from 0 to 1; received {output.unsure_below}")
    _check_each("an offset", output.offsets, output.labels)


def _check_each(what: str, values: tuple[float, ...], labels: tuple[str, ...]) -> None:
    """Check that there is one value of use per label, or none at all."""
    if values and not (len(values) == len(labels) and all(abs(value) <= MAX_CALIBRATION for value in values)):
        raise ModelError(f"expected {what} for each of {len(labels)} labels; received {values}")


def _card(values: dict[str, Any]) -> ModelCard:
    return _with_names_of_today(structured(ModelCard, _renamed_origin(renamed(values, CARD_FIELDS)), "card"))


def _detector_card(values: dict[str, Any]) -> DetectorCard:
    return _with_names_of_today(structured(DetectorCard, _renamed_origin(values), "card"))


def _renamed_origin(values: dict[str, Any]) -> dict[str, Any]:
    origin = fields_of(values.get("origin", {}), "card.origin")
    return {**values, "origin": renamed(origin, ORIGIN_FIELDS)}


def _with_names_of_today(card: CardT) -> CardT:
    """The card with its scores under today's names, without those of no rows, which are not a number."""
    scores = tuple(
        dataclasses.replace(score, head=head_named(score.head), metric=METRICS.get(score.metric, score.metric))
        for score in card.scores
        if not math.isnan(score.value)
    )
    return dataclasses.replace(card, scores=scores)
