"""Recognizer: images and videos in; faces, expressions and their probabilities out. Every front end holds one."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop_faces
from mien.classification.quality import quality_issues
from mien.detection import Detector, HaarDetector, MienDetector, WholeImageDetector, YuNetDetector, crop_rule_for
from mien.errors import ImageError, UsageError
from mien.media.image import encode, from_pillow, read
from mien.media.prefetch import batches, cores, parallel_map, prefetch
from mien.media.video import FileSource, Sampling
from mien.models.card import FUSED
from mien.models.legacy import head_named
from mien.models.store import ModelStore
from mien.structures import Box, Face, Frame, FrameResult, Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from mien.media.video import VideoFrame
    from mien.structures import Crops, Probabilities
    from mien.tracking.tracker import Tracker

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Frame | Image.Image
"""An image to predict on: a path, the bytes of an image file, a uint8 (height, width, 3) RGB array, or Pillow's."""

DEFAULT_MODEL = "compact"
SHIPPED_DETECTOR = "faces"

DECODED_QUEUE, DETECTED_QUEUE = 4, 4
"""Frames of a video that wait, decoded, and with their faces detected: they bound its memory."""


class Analysis(NamedTuple):
    """A result together with its image, from ``Recognizer.analyze``. Notebooks show the annotated image.

    Attributes:
        result: the faces found, or the error.
        frame: the decoded image, uint8 (height, width, 3), RGB; None where it could not be read.
    """

    result: FrameResult
    frame: Frame | None

    def _repr_html_(self) -> str:
        """The annotated image and the table of its faces."""
        from mien.visualization.annotate import draw

        table = self.result._repr_html_()
        if self.frame is None:
            return table
        png = base64.b64encode(encode(draw(self.frame, self.result.predictions), "png")).decode()
        return f'<img src="data:image/png;base64,{png}" style="max-width: 100%">{table}'


class _Crops(NamedTuple):
    """The faces of a frame and their face crops."""

    faces: tuple[Face, ...]
    crops: Crops


class _Detected(NamedTuple):
    """A frame of a video and the faces in it."""

    frame: VideoFrame
    cropped: _Crops


class Recognizer:
    """Detects faces, crops them as the model's card says, and classifies the expression of each.

    Args:
        detector: anything with ``detect(frame) -> list[Face]``.
        classifier: a loaded model.
        head: "fused", the default output, or one head of the model, "fer2013" or "ferplus".

    Raises:
        ModelError: the model has no such head.

    Example:
        >>> from mien.apps.cli.first_steps import PORTRAIT
        >>> (face,) = Recognizer.load().predict(PORTRAIT).predictions
        >>> face.emotion
        'happy'
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
        """Load a recognizer by names; the default one works offline right after installation.

        Args:
            model: a name in the model store, or the path of an .onnx file that mien wrote.
            detector: "auto", "yunet", "haar", "whole" (each image is a face), or the path of a detector that
                ``mien train`` wrote.
            head: "fused", or the name of one head.
            store: the model store; the default store if None.
            threads: for the classifier; None leaves the number to ONNX Runtime. More than one helps only for many
                faces at once.

        Raises:
            ModelError: the model is missing, changed, or not one of mien's.
            UsageError: the detector is unknown.
        """
        store = store or ModelStore()
        return cls(find_detector(detector, store), Classifier(store.load(model), threads), head)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the expressions, in the order of every prediction's probabilities."""
        return tuple(map(str, self.output.labels))

    def predict(self, image: ImageLike, boxes: Sequence[Box | Face] | None = None) -> FrameResult:
        """Predict the expression of each face in one image.

        Args:
            image: a path, the bytes of an image file, a uint8 (height, width, 3) RGB array, or a Pillow image.
            boxes: the faces, if they are known; None runs the detector.

        Raises:
            ImageError: the image can't be read.
            UsageError: a box is neither a ``Box`` nor a ``Face``.
        """
        frame = _decoded(image)
        faces = self.detector.detect(frame) if boxes is None else [_as_face(box) for box in boxes]
        return FrameResult(_name(image), predictions=self.classify(frame, faces, detected=boxes is None))

    def predict_many(self, images: Iterable[ImageLike]) -> Iterator[FrameResult]:
        """Predict each image, in order; the result of one that can't be read has its ``error`` set."""
        for analysis in self.analyze((_name(image), image) for image in images):
            yield analysis.result

    def analyze(self, sources: Iterable[tuple[str, ImageLike | Callable[[], ImageLike]]]) -> Iterator[Analysis]:
        """Analyze images one by one: the loop that ``predict_many``, the command line, batch runs and the server use.

        An image that can't be read gives a result with its ``error`` set, so one bad file ends no run.

        Args:
            sources: pairs of a name and an image. The name becomes ``FrameResult.source``. A callable in place of an
                image loads it when its turn comes; an ``ImageError`` that it raises counts as that image's error.

        Yields:
            The result of each source, in order, with its decoded frame.
        """
        for name, image in sources:
            try:
                frame = _decoded(image() if callable(image) else image)
                predictions = self.classify(frame, self.detector.detect(frame))
            except ImageError as error:
                yield Analysis(FrameResult(name, error=str(error)), None)
            else:
                yield Analysis(FrameResult(name, predictions=predictions), frame)

    def analyze_video(
        self,
        source: FileSource,
        name: str,
        sampling: Sampling | None = None,
        consumers: Iterable[Callable[[VideoFrame, FrameResult], None]] = (),
    ) -> Iterator[float]:
        """Analyze a video and pass each frame with its result to consumers: file writers, a timeline, its curves.

        Args:
            source: read to its end, and closed.
            name: becomes ``FrameResult.source``.
            sampling: which frames; all if None.
            consumers: called in this order for each frame.

        Yields:
            The completed share of the video, 0 to 1, after each frame; no values if its length is unknown.

        Raises:
            VideoError: the file is not a video that can be read.
            IncompleteVideoError: after the last frame: others are missing or damaged.
        """
        sampling, consumers = sampling or Sampling(), tuple(consumers)
        for frame, result in self.watch(source, name, sampling):
            for consume in consumers:
                consume(frame, result)
            share = source.progress(frame.seconds, sampling)
            if share is not None:
                yield share

    def stream(
        self, video: str | os.PathLike[str], sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[FrameResult]:
        """Predict a video frame by frame; a tracker gives each face a number and smooths its probabilities.

        Args:
            video: the path of a file.
            sampling: which frames; all if None.
            tracker: one with the default config if None.

        Raises:
            VideoError: the file is not a video that can be read.
            IncompleteVideoError: after the last frame: others are missing or damaged.
        """
        for _, result in self.watch(FileSource(Path(video)), os.fspath(video), sampling, tracker):
            yield result

    def watch(
        self, source: FileSource, name: str, sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[tuple[VideoFrame, FrameResult]]:
        """Like ``stream``, with the frame of each result; see ``analyze_video`` for a loop with consumers.

        A pipeline of threads: one decodes frames, one per core detects faces, and the caller's classifies the faces of
        several frames in one batch.

        Args:
            source: read to its end, and closed.
            name: becomes ``FrameResult.source``.
            sampling: which frames; all if None.
            tracker: one with the default config if None.

        Raises:
            VideoError: the file is not a video that can be read.
            IncompleteVideoError: after the last frame: others are missing or damaged.
        """
        from mien.tracking.tracker import Tracker

        tracker = tracker or Tracker()
        detected = self._detected(source, sampling or Sampling())
        try:
            for batch in batches(detected, DETECTED_QUEUE):
                classified = self._classify_all([cropped for _, cropped in batch])
                for (frame, _), predictions in zip(batch, classified, strict=True):
                    tracked = tracker.follow(predictions, frame.seconds)
                    yield frame, FrameResult(name, frame.index, frame.seconds, tracked)
        finally:
            detected.close()
            source.close()

    def _detected(self, source: FileSource, sampling: Sampling) -> Generator[_Detected]:
        """The frames with their faces, prefetched."""
        frames = prefetch(source.frames(sampling), DECODED_QUEUE)

        def detect(frame: VideoFrame) -> _Detected:
            faces = self.detector.detect(frame.image)
            return _Detected(frame, self._crop(frame.image, faces, detected=True))

        def detected() -> Iterator[_Detected]:
            try:
                yield from parallel_map(detect, frames, cores())
            finally:
                frames.close()

        return prefetch(detected(), DETECTED_QUEUE)

    def classify(self, frame: Frame, faces: Sequence[Face], *, detected: bool = True) -> tuple[Prediction, ...]:
        """Predict the expression of given faces of a frame, in their order.

        Args:
            frame: uint8 (height, width, 3), RGB.
            faces: with boxes in pixels of the frame.
            detected: whether this recognizer's detector framed them (one that frames whole images has a crop rule of
                its own); False: boxes are tight around the face.
        """
        return self._classify_all([self._crop(frame, faces, detected=detected)])[0]

    def _crop(self, frame: Frame, faces: Sequence[Face], *, detected: bool) -> _Crops:
        card = self.classifier.card
        rule = crop_rule_for(self.detector, card.crop) if detected else card.crop
        return _Crops(tuple(faces), crop_faces(frame, faces, rule, card.size, card.channels))

    def _classify_all(self, cropped: Sequence[_Crops]) -> list[tuple[Prediction, ...]]:
        """The predictions of the faces of several frames, frame by frame, from one batch."""
        rows = iter(self.classifier.predict(np.concatenate([crops for _, crops in cropped]), self.head))
        return [tuple(self._predicted(*pair, next(rows)) for pair in zip(*frame, strict=True)) for frame in cropped]

    def _predicted(self, face: Face, face_crop: Crops, row: Probabilities) -> Prediction:
        return Prediction(
            face,
            self.labels,
            tuple(map(float, row)),
            self.output.unsure_below,
            quality_issues=quality_issues(face, face_crop),
        )


def detectors_here(store: ModelStore) -> tuple[str, ...]:
    """The names of the detectors that are installed, the default one first."""
    return ("auto", *(["yunet"] if store.has("yunet") else []), "haar")


def find_detector(name: str, store: ModelStore, threads: int = 1) -> Detector:
    """Load a detector by name, with its model from the store.

    Args:
        name: "auto" or "faces" (mien's own), "yunet", "haar", "whole" (each image is a face), or the path of a
            detector that ``mien train`` wrote.
        store: where models are.
        threads: of ONNX Runtime within one call; 0: one per core.

    Raises:
        UsageError: the name is unknown.
        ModelError: its model is missing, changed, or not a detector.
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


def _decoded(image: ImageLike) -> Frame:
    return from_pillow(image) if isinstance(image, Image.Image) else read(image)


def _name(image: ImageLike) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, Image.Image):
        return getattr(image, "filename", "") or "<image>"
    return "<bytes>" if isinstance(image, bytes | bytearray | memoryview) else "<array>"
