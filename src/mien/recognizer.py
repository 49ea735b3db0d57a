"""Recognizer: images and videos in; faces, expressions and their probabilities out. Every front end holds one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop_faces
from mien.classification.quality import quality_issues
from mien.detection import Detector, crop_rule_for, find_detector
from mien.errors import ImageError, UsageError
from mien.media.image import LoadedImage, encode
from mien.media.image_input import ImageLike, check_images, load_image, name_of
from mien.media.prefetch import batches, cores, parallel_map, prefetch
from mien.media.video import FileSource, Sampling
from mien.models.card import FUSED
from mien.models.legacy import head_named
from mien.models.store import ModelStore
from mien.structures import Box, Face, Frame, FrameResult, Prediction

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from mien.media.video import Source, VideoFrame
    from mien.structures import Crops, Probabilities
    from mien.tracking.tracker import Tracker

DEFAULT_MODEL = "compact"

DECODED_QUEUE, DETECTED_QUEUE = 4, 4
"""Frames of a video that wait, decoded, and with their faces detected: they bound its memory."""

MAX_FRAME_BYTES = 1 << 29
"""Memory for the frames of a video whose faces are being detected, on any number of cores."""


class Analysis(NamedTuple):
    """A result together with its image, from ``Recognizer.analyze``. Notebooks show the annotated image.

    Attributes:
        result: the faces found, or the error.
        frame: the decoded image, uint8 (height, width, 3), RGB; None where it could not be read.
        scale: the image of the file is this many times as wide and high as ``frame``: 1 unless it is very large.
    """

    result: FrameResult
    frame: Frame | None
    scale: int = 1

    @property
    def on_frame(self) -> FrameResult:
        """The result with boxes in pixels of ``frame``, for drawing; those of ``result`` are in pixels of the file."""
        return self.result.scaled(1 / self.scale)

    def _repr_html_(self) -> str:
        """The annotated image and the table of its faces."""
        from mien.visualization.annotate import draw

        table = self.result._repr_html_()
        if self.frame is None:
            return table
        png = base64.b64encode(encode(draw(self.frame, self.on_frame.predictions), "png")).decode()
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
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        detector: str | os.PathLike[str] = "auto",
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
            image: a path, the bytes of an image file, an open file, a Pillow image, or a uint8 array or tensor:
                (height, width, 3) in RGB order, or (height, width) in grey. OpenCV's arrays are in BGR order, which no
                program can see: pass ``x[..., ::-1]``, or the path in place of ``cv2.imread(path)``.
            boxes: the faces, if they are known; None runs the detector.

        Raises:
            ImageError: the image can't be read; the message says how to convert an array that is another kind of image.
            UsageError: a box is neither a ``Box`` nor a ``Face``.
        """
        faces = None if boxes is None else [_as_face(box) for box in boxes]
        return self._result(name_of(image), load_image(image), faces)

    def predict_many(self, images: Iterable[ImageLike]) -> Iterator[FrameResult]:
        """Predict each image, in order; the result of one that can't be read has its ``error`` set.

        Args:
            images: as ``predict`` takes them: a list, a generator, or a batch, uint8 (count, height, width, 3).

        Raises:
            UsageError: it is one image or one path, or a folder.
        """
        check_images(images)
        return (analysis.result for analysis in self.analyze((name_of(image), image) for image in images))

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
                loaded = load_image(image() if callable(image) else image)
                result = self._result(name, loaded)
            except ImageError as error:
                yield Analysis(FrameResult(name, error=str(error)), None)
            else:
                yield Analysis(result, loaded.frame, loaded.scale)

    def _result(self, name: str, image: LoadedImage, faces: Sequence[Face] | None = None) -> FrameResult:
        """The result of an image, its faces detected or given; boxes are in pixels of the file."""
        scale = image.scale
        here = self.detector.detect(image.frame) if faces is None else [face.scaled(1 / scale) for face in faces]
        predictions = self.classify(image.frame, here, detected=faces is None)
        return FrameResult(name, predictions=predictions, warnings=image.warnings).scaled(scale)

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
        self, video: str | os.PathLike[str] | int, sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[FrameResult]:
        """Predict a video frame by frame; a tracker gives each face a number and smooths its probabilities.

        Args:
            video: the path of a file, or the number of a camera, from 0. A camera is on until the iterator is closed;
                each result is that of its newest frame, so frames are skipped if they arrive faster than results.
            sampling: which frames; all if None.
            tracker: one with the default config if None.

        Raises:
            VideoError: the file is not a video that can be read, or there is no such camera.
            IncompleteVideoError: after the last frame: others are missing or damaged.
            UsageError: neither a path nor a number.
        """
        from mien.media.camera import open_stream

        source, name = open_stream(video)
        for _, result in self.watch(source, name, sampling, tracker):
            yield result

    def watch(
        self, source: FileSource | Source, name: str, sampling: Sampling | None = None, tracker: Tracker | None = None
    ) -> Iterator[tuple[VideoFrame, FrameResult]]:
        """Like ``stream``, with the frame of each result; see ``analyze_video`` for a loop with consumers.

        A file has a pipeline of threads: one decodes frames, one per core detects faces, and the caller's classifies
        the faces of several frames in one batch. Frames of a camera are processed one by one, so that none is old.

        Args:
            source: a file or a camera, read to its end, and closed.
            name: becomes ``FrameResult.source``.
            sampling: which frames; all if None.
            tracker: one with the default config if None.

        Raises:
            VideoError: the file is not a video that can be read.
            IncompleteVideoError: after the last frame: others are missing or damaged.
        """
        from mien.tracking.tracker import Tracker

        tracker, sampling = tracker or Tracker(), sampling or Sampling()
        frames: Callable[[Sampling], Iterator[VideoFrame]] | None = getattr(source, "frames", None)
        if frames is not None:
            detected, count = self._detected(frames(sampling)), DETECTED_QUEUE
        else:
            detected, count = self._detected_live(source, sampling), 1
        try:
            for batch in batches(detected, count):
                classified = self._classify_all([cropped for _, cropped in batch])
                for (frame, _), predictions in zip(batch, classified, strict=True):
                    tracked = tracker.follow(predictions, frame.seconds)
                    yield frame, FrameResult(name, frame.index, frame.seconds, tracked)
        finally:
            detected.close()
            source.close()

    def _detected(self, decoded: Iterator[VideoFrame]) -> Generator[_Detected]:
        """The frames of a file with their faces, prefetched."""
        frames = prefetch(decoded, DECODED_QUEUE)

        def detect(frame: VideoFrame) -> _Detected:
            faces = self.detector.detect(frame.image)
            return _Detected(frame, self._crop(frame.image, faces, detected=True))

        def max_ahead(frame: VideoFrame) -> int:
            return min(2 * cores(), MAX_FRAME_BYTES // frame.image.nbytes)

        def detected() -> Iterator[_Detected]:
            try:
                yield from parallel_map(detect, frames, cores(), max_ahead)
            finally:
                frames.close()

        return prefetch(detected(), DETECTED_QUEUE)

    def _detected_live(self, source: Source, sampling: Sampling) -> Generator[_Detected]:
        """The frames of a camera with their faces, each read when the one before is processed."""
        due = sampling.start
        while (frame := source.read()) is not None and (sampling.end is None or frame.seconds <= sampling.end):
            if frame.seconds >= due and frame.index % sampling.stride == 0:
                due = frame.seconds + (sampling.every or 0.0)
                faces = self.detector.detect(frame.image)
                yield _Detected(frame, self._crop(frame.image, faces, detected=True))

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


def _as_face(box: Any) -> Face:
    if isinstance(box, Face):
        return box
    if isinstance(box, Box):
        return Face(box)
    raise UsageError(f"expected boxes as mien.Box(left, top, right, bottom) or mien.Face; received {box!r}")
