"""Recognizer: a picture in, the faces and the expression each shows out. Every front end holds one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.classification import Classifier
from mien.cropping import crop_faces
from mien.detection import Detector, HaarDetector, OwnDetector, WholeDetector, YuNetDetector, rule_for
from mien.errors import PictureError, UsageError
from mien.faces import Box, Face, FrameResult, Prediction
from mien.images import read
from mien.model_card import ANSWER
from mien.model_store import ModelStore
from mien.quality import flaws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mien.arrays import Frame

    Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | Frame

DEFAULT_MODEL = "compact"
SHIPPED_DETECTOR = "faces"


class Recognizer:
    """Finds faces, crops them as the model's card says, and names the expression each shows.

    Args:
        detector: anything with ``detect(frame) -> list[Face]``.
        classifier: a loaded model.
        labels: "answer", what users are told; or the name of one head, "fer2013" or "ferplus".

    Raises:
        ModelError: the model has no such label set.
    """

    def __init__(self, detector: Detector, classifier: Classifier, labels: str = ANSWER) -> None:
        self.detector = detector
        self.classifier = classifier
        self.reading = classifier.card.reading(labels)
        self.label_set = labels

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        detector: str = "auto",
        labels: str = ANSWER,
        store: ModelStore | None = None,
        threads: int | None = 1,
    ) -> Recognizer:
        """The usual recognizer, offline straight after install.

        Args:
            model: a name in the model store, or the path of an .onnx file that mien wrote.
            detector: "auto", "yunet", "haar", "whole" (each picture is a face), or the .onnx of one that you taught.
            labels: "answer", or the name of one head.
            store: where models are found; the default one if None.
            threads: that the classifier may use; None leaves it to ONNX Runtime. More than one gains only where many
                faces are read at once.

        Raises:
            ModelError: the model is missing, changed, or none of mien's.
            UsageError: the detector is unknown.
        """
        store = store or ModelStore()
        return cls(find_detector(detector, store), Classifier(store.load(model), threads), labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the expressions, in the order of every prediction's probabilities."""
        return tuple(map(str, self.reading.labels))

    def predict(self, picture: Picture, boxes: Sequence[Box | Face] | None = None) -> FrameResult:
        """The expressions shown in one picture.

        Args:
            picture: a path, the bytes of an encoded picture, or a uint8 (height, width, 3) RGB array.
            boxes: the faces, where you know them already; None: the detector finds them.

        Raises:
            PictureError: the picture can't be read.
        """
        frame = read(picture)
        faces = self.detector.detect(frame) if boxes is None else [_as_face(box) for box in boxes]
        return FrameResult(_name(picture), predictions=self.classify(frame, faces, detected=boxes is None))

    def predict_many(self, pictures: Iterable[Picture]) -> Iterator[FrameResult]:
        """The expressions shown in each picture, in order; one that can't be read has its ``error`` set."""
        for picture in pictures:
            try:
                yield self.predict(picture)
            except PictureError as error:
                yield FrameResult(_name(picture), error=str(error))

    def classify(self, frame: Frame, faces: Sequence[Face], *, detected: bool = True) -> tuple[Prediction, ...]:
        """The expression of each face of a frame, in the order of the faces.

        Args:
            frame: uint8 (height, width, 3), RGB.
            faces: where they are.
            detected: whether this recognizer's detector framed them (one that frames whole pictures has a crop
                rule of its own); False: they are tight around the face.
        """
        card = self.classifier.card
        rule = rule_for(self.detector, card.crop) if detected else card.crop
        chips = crop_faces(frame, faces, rule, card.size, card.channels)
        rows = self.classifier.predict(chips, self.label_set)
        return tuple(
            Prediction(face, self.labels, tuple(map(float, row)), self.reading.unsure_below, flaws=flaws(face, chip))
            for face, row, chip in zip(faces, rows, chips, strict=True)
        )


def find_detector(name: str, store: ModelStore, threads: int = 1) -> Detector:
    """A detector by name, with its model from the store.

    Args:
        name: "auto" or "faces" (mien's own), "yunet", "haar", "whole" (each picture is a face), or the path of a
            detector that mien train wrote.
        store: where models are.
        threads: of ONNX Runtime within one call; 0: one a core.

    Raises:
        UsageError: the name is unknown.
        ModelError: its model is missing, changed, or no detector.
    """
    if name.lower().endswith(".onnx"):
        return OwnDetector(store.load(Path(name)), threads=threads)
    name = "auto" if name == SHIPPED_DETECTOR else name
    makers: dict[str, Callable[[], Detector]] = {
        "auto": lambda: OwnDetector(store.load(SHIPPED_DETECTOR), threads=threads),
        "yunet": lambda: YuNetDetector(store.load("yunet"), threads=threads),
        "haar": HaarDetector,
        "whole": WholeDetector,
    }
    if name not in makers:
        raise UsageError(f"expected a detector of {', '.join(makers)}, or an .onnx file; received {name!r}")
    return makers[name]()


def _as_face(box: Any) -> Face:
    if isinstance(box, Face):
        return box
    if isinstance(box, Box):
        return Face(box)
    raise UsageError(f"expected boxes as mien.Box(left, top, right, bottom) or mien.Face; received {box!r}")


def _name(picture: Picture) -> str:
    if isinstance(picture, str | os.PathLike):
        return os.fspath(picture)
    return "<bytes>" if isinstance(picture, bytes | bytearray | memoryview) else "<array>"
