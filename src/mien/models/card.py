"""The card inside every model file: how it is used, where it came from, what it scores.

The card travels in the .onnx file's own metadata, so training and use can't drift apart. A seal beside
it, the SHA-256 of the whole file with the seal's digits set to zero, shows whether a byte was changed
since ``mien export`` wrote it; onnxruntime itself loads many damaged files without a word.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mien.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

CardT = TypeVar("CardT")

CARD_KEY = "mien.card"
DETECTOR_KEY = "mien.detector"
SEAL_KEY = "mien.sha256"
UNSEALED = "0" * 64
CARD_FORMAT = 1
ANSWER = "answer"
# protobuf: the value field (number 2, a string) of 64 bytes that follows the key in a metadata entry
SEAL_MARK = SEAL_KEY.encode() + b"\x12\x40"


@dataclass(frozen=True)
class CropRule:
    """How a chip is cut around a face box; the same in training, evaluation and use.

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
    """One output of the graph: a row of logits, the labels it stands for, and its calibration.

    Attributes:
        name: what the head is called: the label set it was taught.
        labels: the names of its outputs, in order.
        temperature: divides the logits; fitted on validation data so that probabilities mean what they say.
        unsure_below: a best probability under it is "unsure".
        offsets: added to the logits where the head itself is asked, one a label; () adds none. An ``Answer`` has its
            own.
        scales: by which each label's logit lies farther from the mean of all where the head itself is asked, before;
            () leaves them. Fitted with the offsets beside the temperature: labels are not all as much to be believed.
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
        if self.name == ANSWER:
            raise ModelError(f"expected a head by another name than {ANSWER!r}, which is the blend of all")
        _check_calibration(self)
        _check_each("a scale", self.scales, self.labels)


@dataclass(frozen=True)
class Answer:
    """What users are told: a weighted geometric mean of the heads over the labels they share.

    Attributes:
        labels: the labels answered, in order; every head with a weight knows them all.
        weights: the head's name and its weight, which sum to 1.
        temperature: divides the log of the mean; fitted on validation data.
        unsure_below: a best probability under it is "unsure".
        offsets: added to the log of the mean, one a label; () adds none. They take out some of how common each label
            was in the data taught, since users' pictures have other shares.
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
        network: name in the zoo.
        data: name of the data set and the SHA-256 of each file it was read from.
        recipe: the whole recipe, as the TOML text saved beside the weights.
        made_with: versions of mien, Keras and its backend, and the date.
        licence: of the weights.
        notes: terms and limits of the data that a user should know.
    """

    network: str = ""
    data: str = ""
    recipe: str = ""
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
    """All that using a model needs, and all that judging it starts from.

    Attributes:
        name: what the model is called, "compact".
        size: side of the square chip in pixels.
        channels: 1 (grey) or 3 (RGB).
        crop: how chips are cut.
        heads: the graph's outputs, in the graph's order (outputs are read by position).
        answer: what users are told.
        mirrored: whether a chip is read in its mirror image too, and the mean of both outputs taken: for networks that
            were taught that both show the same. Scores are of single views.
    """

    name: str
    size: int
    channels: int
    crop: CropRule
    heads: tuple[Head, ...]
    answer: Answer
    origin: Origin = field(default_factory=Origin)
    scores: tuple[Score, ...] = ()
    mirrored: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024 or self.channels not in (1, 3):
            raise ModelError(
                f"expected chips of 8 to 1024 pixels and 1 or 3 channels; received {self.size} and {self.channels}"
            )
        if len({head.name for head in self.heads}) != len(self.heads) or not self.heads:
            raise ModelError("expected heads with distinct names")
        for name, _ in self.answer.weights:
            missing = sorted(map(str, set(self.answer.labels) - set(self.head(name).labels)))
            if missing:
                raise ModelError(f"the answer names {missing}, which the head {name!r} does not know")

    def head(self, name: str) -> Head:
        """A head by name.

        Raises:
            ModelError: there is none of that name.
        """
        for head in self.heads:
            if head.name == name:
                return head
        names = [ANSWER, *(head.name for head in self.heads)]
        raise ModelError(f"expected one of the label sets {names} of the model {self.name!r}; received {name!r}")

    def reading(self, labels: str) -> Head | Answer:
        """How to read the outputs under a label set: ``ANSWER``, or the name of a head.

        Raises:
            ModelError: the model has no such label set.
        """
        return self.answer if labels == ANSWER else self.head(labels)

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
        scores: figures on held-out pictures; ``head`` names what was asked for.
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
        if written != CARD_FORMAT:
            raise ModelError(
                f"expected a model card of format {CARD_FORMAT}; received {written}: a newer mien wrote it, "
                "so update with: pip install -U mien"
            )
        return make(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"expected a model card as mien export writes it; received something else ({error})"
        ) from error


def _check_calibration(reading: Head | Answer) -> None:
    if not 0.0 < reading.temperature < 1e6:
        raise ModelError(f"expected a temperature above 0; received {reading.temperature}")
    if not 0.0 <= reading.unsure_below <= 1.0:
        raise ModelError(f"expected a threshold from 0 to 1; received {reading.unsure_below}")
    _check_each("an offset", reading.offsets, reading.labels)


def _check_each(what: str, values: tuple[float, ...], labels: tuple[str, ...]) -> None:
    """Nothing, where there is a finite value a label, or none at all."""
    if values and not (len(values) == len(labels) and all(map(math.isfinite, values))):
        raise ModelError(f"expected {what} for each of {len(labels)} labels; received {values}")


def _card(values: dict[str, Any]) -> ModelCard:
    answer = values.pop("answer")
    return ModelCard(
        crop=CropRule(**values.pop("crop")),
        heads=tuple(
            Head(scales=tuple(map(float, head.pop("scales", ()))), **_tuples(head), **head)
            for head in values.pop("heads")
        ),
        answer=Answer(
            weights=tuple((str(name), float(weight)) for name, weight in answer.pop("weights")),
            **_tuples(answer),
            **answer,
        ),
        origin=Origin(**values.pop("origin")),
        scores=tuple(Score(**score) for score in values.pop("scores")),
        **values,
    )


def _tuples(reading: dict[str, Any]) -> dict[str, Any]:
    """What JSON has as lists of a head or an answer, taken out of it."""
    return {"labels": tuple(reading.pop("labels")), "offsets": tuple(map(float, reading.pop("offsets", ())))}


def _detector_card(values: dict[str, Any]) -> DetectorCard:
    return DetectorCard(
        origin=Origin(**values.pop("origin")),
        scores=tuple(Score(**score) for score in values.pop("scores")),
        **values,
    )


def seal(model: bytes) -> bytes:
    """The model file with its seal set; it must hold the seal's metadata entry (key and 64 zeros) once.

    Raises:
        ModelError: there is no such entry.
    """
    at = _seal_at(model)
    digest = hashlib.sha256(model[:at] + UNSEALED.encode() + model[at + 64 :]).hexdigest()
    return model[:at] + digest.encode() + model[at + 64 :]


def check_seal(model: bytes) -> None:
    """Nothing, where the file's bytes are those that mien wrote.

    Raises:
        ModelError: the file carries no seal, or was changed since.
    """
    if seal(model) != model:
        raise ModelError(
            "the model file was changed or damaged since it was written (its SHA-256 does not match): "
            "fetch or export it again"
        )


def _seal_at(model: bytes) -> int:
    at = model.rfind(SEAL_MARK)
    if at < 0 or len(model) < at + len(SEAL_MARK) + 64:
        raise ModelError(
            "expected an .onnx file written by mien (mien export, mien train); received a file without mien's card "
            "and seal. Keras, pickle and other .onnx files are never loaded"
        )
    return at + len(SEAL_MARK)
