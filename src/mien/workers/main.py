"""The worker program: loads a recognizer and serves requests from its stdin until that closes.

Requests: "analyze" (one image in the message), "analyze_files" (a list of files, see ``mien.media.parquet_images``) and
"video" (a file, with progress). See ``mien.workers.protocol`` for the messages.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import IncompleteVideoError, MienError, VideoError
from mien.media.image import load
from mien.media.parquet_images import ImageLoader
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from mien.structures import FrameResult
from mien.workers import protocol
from mien.workers.protocol import Message, WorkerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.media.header import Header
    from mien.media.video import VideoFrame

PROGRESS_SECONDS = 0.2
"""Least time between two reports of progress."""

FULL_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve requests until stdin closes."""
    with protocol.worker_pipes() as pipes:
        requests = protocol.messages(pipes.requests)
        first = next(requests, None)
        if first is None:
            return
        try:
            worker = Worker(WorkerSpec(**first.payload))
        except MienError as error:
            protocol.send(pipes.replies, error_payload("not_ready", str(error)))
            return
        protocol.send(pipes.replies, worker.description())
        for request in requests:
            for reply in worker.handle(request):
                protocol.send(pipes.replies, *reply)


def error_payload(code: str, message: str) -> dict[str, dict[str, str]]:
    """The payload of a reply that is an error."""
    return {"error": {"code": code, "message": message}}


class _TooManyPixelsError(Exception):
    """An image has more pixels than the limit; no error of the image itself, which ``Recognizer`` would record."""


class Worker:
    """Handles requests with one recognizer for each output head of a model.

    Args:
        spec: model, detector and limits.

    Raises:
        MienError: the model or the detector can't be loaded.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        if hasattr(os, "nice"):
            os.nice(spec.niceness)
        self._max_pixels = spec.max_pixels
        self._fused = Recognizer.load(spec.model, spec.detector)
        if spec.opencv_threads is not None and "cv2" in sys.modules:  # only the Haar detector loads it
            sys.modules["cv2"].setNumThreads(spec.opencv_threads)
        self._recognizers = {self._fused.head: self._fused}
        for head in self._fused.classifier.card.heads:
            self._recognizers[head.name] = Recognizer(self._fused.detector, self._fused.classifier, head.name)
        self._loader = ImageLoader()
        self._handlers: dict[str, Callable[[Any, bytes], Iterator[Message]]] = {
            "analyze": self.analyze,
            "analyze_files": self.analyze_files,
            "video": self.video,
        }

    def description(self) -> dict[str, Any]:
        """The model's name, and the labels and threshold of each output head, the fused one first."""
        heads = {
            name: {"labels": list(recognizer.labels), "unsure_below": recognizer.output.unsure_below}
            for name, recognizer in self._recognizers.items()
        }
        return {"name": self._fused.classifier.card.name, "heads": heads}

    def handle(self, request: Message) -> Iterator[Message]:
        """The replies to a request; a bug becomes the error "internal", with its traceback in the log."""
        try:
            yield from self._handlers[request.payload["do"]](request.payload, request.content)
        except Exception:
            logger.exception("a request with %d bytes", len(request.content))
            yield Message(error_payload("internal", "expected a result; received an internal error, see the log"))

    def analyze(self, request: dict[str, Any], image: bytes) -> Iterator[Message]:
        """The result of an encoded image under a head, as a line of JSON."""
        decode: Any = partial(load, image, self._check_pixels)  # a decoded image is as good as an encoded one
        try:
            (analysis,) = self._recognizers[request["head"]].analyze([(request["source"], decode)])
        except _TooManyPixelsError as error:
            yield Message(error_payload("too_many_pixels", str(error)))
            return
        if analysis.result.error is not None:
            yield Message(error_payload("unreadable_image", analysis.result.error))
        else:
            yield Message(None, to_json_line(analysis.result).encode())

    def _check_pixels(self, header: Header) -> None:
        if self._max_pixels is not None and header.width * header.height > self._max_pixels:
            size = f"{header.width} x {header.height}"
            raise _TooManyPixelsError(f"expected at most {self._max_pixels:,} pixels; received {size}. Send it smaller")

    def analyze_files(self, request: dict[str, Any], _: bytes) -> Iterator[Message]:
        """The results of files as JSON Lines, in order; one that can't be read has its error in its line."""
        recognizer = self._recognizers[request["head"]]
        analyses = recognizer.analyze((file, partial(self._loader.load, file)) for file in request["files"])
        yield Message(None, "".join(to_json_line(analysis.result) + "\n" for analysis in analyses).encode())

    def video(self, request: dict[str, Any], _: bytes) -> Iterator[Message]:
        """Write the results of a video as JSON Lines and its timeline as a page; yield progress, 0 to 1."""
        try:
            reported = time.monotonic()
            for progress in _analyze_video(self._fused, request):
                if time.monotonic() - reported > PROGRESS_SECONDS:
                    reported = time.monotonic()
                    yield Message({"progress": progress})
        except MienError as error:
            codes: dict[type[MienError], str] = {
                IncompleteVideoError: "incomplete_video",
                VideoError: "unreadable_video",
            }
            yield Message(error_payload(codes.get(type(error), "internal"), _for_client(error, request)))
        except OSError as error:
            if error.errno not in FULL_DISK_ERRORS:
                raise
            logger.warning("results can't be written: %s", error)
            message = f"expected space for the results of a video; the disk has none ({error.strerror}). Free some"
            yield Message(error_payload("no_space", message))
        else:
            yield Message(None)


def _for_client(error: MienError, request: dict[str, Any]) -> str:
    """The message of an error without the path of the temporary file."""
    return str(error).replace(request["video"], request["name"] or "the body")


def _analyze_video(recognizer: Recognizer, request: dict[str, Any]) -> Iterator[float]:
    """Analyze a video into the files that a request names; yields the share that is done.

    Raises:
        VideoError: the file is not a video that can be read, or has no frame in the part to analyze.
        IncompleteVideoError: frames are missing or damaged; both files hold all others.
    """
    from mien import __version__
    from mien.media.files import atomic_write, write_bytes
    from mien.media.video import FileSource, Sampling
    from mien.tracking import Timeline
    from mien.visualization.report.curves import Curves
    from mien.visualization.report.timeline_page import timeline_page

    sampling, source = Sampling(**request["sampling"]), FileSource(Path(request["video"]))
    name, timeline, curves = request["name"], Timeline(1 / source.fps), Curves()
    results, incomplete = Path(request["results"]), None
    with atomic_write(results) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:

        def consume(frame: VideoFrame, result: FrameResult) -> None:
            file.write(to_json_line(result) + "\n")
            timeline.add(result)
            curves.add(frame.image, result)

        try:
            yield from recognizer.analyze_video(source, name, sampling, [consume])
        except IncompleteVideoError as error:
            incomplete = error
            file.write(to_json_line(FrameResult(name, error=_for_client(error, request))) + "\n")
        if not timeline.frames:
            raise incomplete or VideoError(
                f"expected frames from {sampling.start:g} s on; the video has none there. Choose an earlier start"
            )
    # a page saved next to the video opens it at the moment that is clicked
    page = timeline_page(name or "video", name, timeline.tracks(), curves, f"mien {__version__}")
    write_bytes(Path(request["page"]), page.encode())
    if incomplete is not None:
        raise incomplete
