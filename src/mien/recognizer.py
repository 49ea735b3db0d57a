"""Recognizer: an image in, the faces and the expression each shows out. Every front end holds one."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop_faces
from mien.classification.quality import quality_issues
from mien.detection import Detector, HaarDetector, MienDetector, WholeImageDetector, YuNetDetector, crop_rule_for
from mien.errors import ImageError, UsageError
from mien.media.image import read
from mien.media.prefetch import cores, parallel_map, prefetch
from mien.media.video import FileSource, Sampling
from mien.models.card import FUSED
from mien.models.legacy import head_named
from mien.models.store import ModelStore
from mien.structures import Box, Face, FrameResult, Prediction
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from mien.media.video import VideoFrame
    from mien.structures import Crops, Frame, Probabilities

    Image = str | os.PathLike[str] | bytes | bytearray | memoryview | Frame

DEFAULT_MODEL = "compact"
SHIPPED_DETECTOR = "faces"

DECODED, FOUND = 4, 4
"""Frames of a video that wait, decoded, and with their faces found: they bound its memory."""


class _Cut(NamedTuple):
    """The faces of a frame and their face crops."""

    faces: tuple[Face, ...]
    crops: Crops


class _Found(NamedTuple):
    """A frame of a video and the faces in it."""

    frame: VideoFrame
    cut: _Cut


class Recognizer:
    """Finds faces, crops them as the model's card says, and names the expression each shows.

    Args:
        detector: anything with ``detect(frame) -> list[Face]``.
        classifier: a loaded model.
        head: "fused", the default output, or one head of the model, "fer2013" or "ferplus".

    Raises:
        ModelError: the model has no such head.
    """

    def __init__(self, detector: Detector, classifier: Classifier, head: str = FUSED) -> None:
        self.detector = detector
        self.classifier = classifier
        self.output = classifier.card.output(head)
        self.head = head_named(head)

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        detector: str = "auto",
        head: str = FUSED,
        store: ModelStore | None = None,
        threads: int | None = 1,
    ) -> Recognizer:
        """The usual recognizer, offline straight after install.

        Args:
            model: a name in the model store, or the path of an .onnx file that mien wrote.
            detector: "auto", "yunet", "haar", "whole" (each image is a face), or the .onnx of one that you taught.
            head: "fused", or the name of one head.
            store: where models are found; the default one if None.
            threads: that the classifier may use; None leaves it to ONNX Runtime. More than one gains only where many
                faces are read at once.

        Raises:
            ModelError: the model is missing, changed, or none of mien's.
            UsageError: the detector is unknown.
        """
        store = store or ModelStore()
        return cls(find_detector(detector, store), Classifier(store.load(model), threads), head)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the expressions, in the order of every prediction's probabilities."""
        return tuple(map(str, self.output.labels))

    def predict(self, image: Image, boxes: Sequence[Box | Face] | None = None) -> FrameResult:
        """The expressions shown in one image.

        Args:
            image: a path, the bytes of an encoded image, or a uint8 (height, width, 3) RGB array.
            boxes: the faces, where you know them already; None: the detector finds them.

        Raises:
            ImageError: the image can't be read.
        """
        frame = read(image)
        faces = self.detector.detect(frame) if boxes is None else [_as_face(box) for box in boxes]
        return FrameResult(_name(image), predictions=self.classify(frame, faces, detected=boxes is None))

    def predict_many(self, images: Iterable[Image]) -> Iterator[FrameResult]:
        """The expressions shown in each image, in order; one that can't be read has its ``error`` set."""
        for image in images:
            try:
                yield self.predict(image)
            except ImageError as error:
                yield FrameResult(_name(image), error=str(error))

    def stream(
        self, video: str | os.PathLike[str], sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[FrameResult]:
        """The expressions shown in a video, frame by frame, each face with the same number throughout.

        Args:
            video: the path of a file.
            sampling: which frames; all if None.
            tracker: follows the faces; one with the usual tracker config if None.

        Raises:
            VideoError: the file is no video that can be read.
        """
        for _, result in self.watch(FileSource(Path(video)), os.fspath(video), sampling, tracker):
            yield result

    def watch(
        self, source: FileSource, name: str, sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[tuple[VideoFrame, FrameResult]]:
        """Each frame of a video that is wanted, and what was found in it; see ``stream``.

        Frames are decoded in a thread ahead of those that find faces, one a core, and they ahead of the one that names
        expressions, which takes those of several frames in one go.

        Args:
            source: read to its end, and closed.
            name: told as the source of each result.
            sampling: which frames.
            tracker: follows the faces.
        """
        tracker = tracker or Tracker()
        found = self._found_ahead(source, sampling or Sampling())
        try:
            while some := list(islice(found, FOUND)):
                named = self._classify_all([cut for _, cut in some])
                for (frame, _), predictions in zip(some, named, strict=True):
                    told = tracker.follow(predictions, frame.seconds)
                    yield frame, FrameResult(name, frame.index, frame.seconds, told)
        finally:
            found.close()
            source.close()

    def _found_ahead(self, source: FileSource, sampling: Sampling) -> Generator[_Found]:
        frames = prefetch(source.frames(sampling), DECODED)

        def find(frame: VideoFrame) -> _Found:
            faces = self.detector.detect(frame.image)
            return _Found(frame, self._cut(frame.image, faces, detected=True))

        def found() -> Iterator[_Found]:
            try:
                yield from parallel_map(find, frames, cores())
            finally:
                frames.close()

        return prefetch(found(), FOUND)

    def classify(self, frame: Frame, faces: Sequence[Face], *, detected: bool = True) -> tuple[Prediction, ...]:
        """The expression of each face of a frame, in the order of the faces.

        Args:
            frame: uint8 (height, width, 3), RGB.
            faces: where they are.
            detected: whether this recognizer's detector framed them (one that frames whole images has a crop
                rule of its own); False: they are tight around the face.
        """
        return self._classify_all([self._cut(frame, faces, detected=detected)])[0]

    def _cut(self, frame: Frame, faces: Sequence[Face], *, detected: bool) -> _Cut:
        card = self.classifier.card
        rule = crop_rule_for(self.detector, card.crop) if detected else card.crop
        return _Cut(tuple(faces), crop_faces(frame, faces, rule, card.size, card.channels))

    def _classify_all(self, cuts: Sequence[_Cut]) -> list[tuple[Prediction, ...]]:
        """The expressions of the faces of several frames, frame by frame."""
        rows = iter(self.classifier.predict(np.concatenate([cut.crops for cut in cuts]), self.head))
        return [tuple(self._predicted(*pair, next(rows)) for pair in zip(*cut, strict=True)) for cut in cuts]

    def _predicted(self, face: Face, face_crop: Crops, row: Probabilities) -> Prediction:
        return Prediction(
            face,
            self.labels,
            tuple(map(float, row)),
            self.output.unsure_below,
            quality_issues=quality_issues(face, face_crop),
        )


def detectors_here(store: ModelStore) -> tuple[str, ...]:
    """The names of the detectors that need nothing fetched any more, the default one first."""
    return ("auto", *(["yunet"] if store.has("yunet") else []), "haar")


def find_detector(name: str, store: ModelStore, threads: int = 1) -> Detector:
    """A detector by name, with its model from the store.

    Args:
        name: "auto" or "faces" (mien's own), "yunet", "haar", "whole" (each image is a face), or the path of a
            detector that mien train wrote.
        store: where models are.
        threads: of ONNX Runtime within one call; 0: one a core.

    Raises:
        UsageError: the name is unknown.
        ModelError: its model is missing, changed, or no detector.
    """
    if name.lower().endswith(".onnx"):
        return MienDetector(store.load(Path(name)), threads=threads)
    name = "auto" if name == SHIPPED_DETECTOR else name
    makers: dict[str, Callable[[], Detector]] = {
        "auto": lambda: MienDetector(store.load(SHIPPED_DETECTOR), threads=threads),
        "yunet": lambda: YuNetDetector(store.load("yunet"), threads=threads),
        "haar": HaarDetector,
        "whole": WholeImageDetector,
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


def _name(image: Image) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return "<bytes>" if isinstance(image, bytes | bytearray | memoryview) else "<array>"
