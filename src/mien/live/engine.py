"""The capture and inference threads behind a live window.

The capture thread keeps only the latest frame; the inference thread takes it when it is free. Frames that arrive in
between are dropped, so latency stays that of one inference instead of growing with a queue.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from mien.errors import IncompleteVideoError, MienError, VideoError
from mien.structures import FrameResult
from mien.tracking.baseline import BaselineEstimator
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.media.video import Source, VideoFrame
    from mien.recognizer import Recognizer
    from mien.structures import Prediction
    from mien.tracking.baseline import Baseline

SILENT_SECONDS = 2.0
"""Time without a frame after which a camera counts as silent."""

RETRY_SECONDS = 1.0
"""Time until a lost camera is opened again."""

FPS_WINDOW_SECONDS = 2.0
"""Time over which the frame rate is measured."""

CLOSE_TIMEOUT_SECONDS = 1.0
"""How long stopping waits for a source to close; a source that hangs is left to its thread."""


class State(Enum):
    """The state of a source."""

    IDLE = auto()
    OPENING = auto()
    RUNNING = auto()
    SILENT = auto()
    LOST = auto()
    ENDED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Status:
    """The state of a source, and a message about it.

    Attributes:
        state: of the source.
        message: a sentence to show, or "".
    """

    state: State
    message: str = ""


@dataclass(frozen=True)
class LiveResult:
    """A frame with its predictions and timings.

    Attributes:
        frame: as captured.
        result: its faces, largest first, tracked and smoothed.
        detection_ms: milliseconds of face detection.
        classification_ms: milliseconds of classification, with tracking.
        captured_at: when the frame was captured, by ``time.monotonic``.
        finished_at: when inference was finished.
    """

    frame: VideoFrame
    result: FrameResult
    detection_ms: float
    classification_ms: float
    captured_at: float
    finished_at: float

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Of the faces, largest first."""
        return self.result.predictions


@dataclass
class _Shared:
    """State that the threads share, under one lock."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    latest_frame: tuple[VideoFrame, float] | None = None
    latest_result: LiveResult | None = None
    status: Status = Status(State.IDLE)
    last_frame_at: float = 0.0
    stopping: bool = False
    ended: bool = False


class Engine:
    """Captures a source and analyses its latest frame, in two threads, until it is stopped.

    Files are played in real time, at the timestamps of their frames.

    Args:
        load: makes the recognizer, in the inference thread, so that a window does not wait for models.
        open_source: opens the camera or file, in the capture thread.
        tracker: tracks the faces; a new one by default.
        retry_seconds: time until a lost camera is opened again.
    """

    def __init__(
        self,
        load: Callable[[], Recognizer],
        open_source: Callable[[], Source],
        tracker: Tracker | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._load = load
        self._open = open_source
        self._tracker = tracker or Tracker()
        self._retry_seconds = retry_seconds
        self._shared = _Shared()
        self._finish_times: deque[float] = deque()
        self._estimator: BaselineEstimator | None = None
        self._baseline: Baseline | None = None
        self._capture_thread = threading.Thread(target=self._capture, name="mien capture", daemon=True)
        self._inference_thread = threading.Thread(target=self._infer, name="mien inference", daemon=True)

    def start(self) -> None:
        """Start both threads; the capture thread opens the source."""
        self._set(Status(State.OPENING, "Opening"))
        self._capture_thread.start()
        self._inference_thread.start()

    def stop(self) -> bool:
        """Stop both threads and close the source.

        Returns:
            Whether the source was closed within a second; one that hangs is left to its thread.
        """
        with self._shared.lock:
            self._shared.stopping = True
            self._shared.lock.notify_all()
        for thread in (self._capture_thread, self._inference_thread):
            if thread.is_alive():
                thread.join(CLOSE_TIMEOUT_SECONDS)
        with self._shared.lock:
            if self._shared.status.state is not State.FAILED:
                self._shared.status = Status(State.IDLE)
        return not self._capture_thread.is_alive()

    @property
    def status(self) -> Status:
        """The current state of the source."""
        shared = self._shared
        with shared.lock:
            silent = time.monotonic() - shared.last_frame_at
            if shared.status.state is State.RUNNING and silent > SILENT_SECONDS:
                return Status(State.SILENT, f"No image for {silent:.0f} s: the camera may be busy or asleep")
            return shared.status

    def latest(self) -> LiveResult | None:
        """The latest result; None before the first."""
        with self._shared.lock:
            return self._shared.latest_result

    @property
    def fps(self) -> float:
        """Frames analysed per second, over the last two seconds."""
        with self._shared.lock:
            times = [at for at in self._finish_times if at > time.monotonic() - FPS_WINDOW_SECONDS]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def begin_baseline(self, seconds: float = 5.0) -> None:
        """Estimate a baseline from the largest face for some seconds; later predictions are relative to it."""
        self._baseline, self._estimator = None, BaselineEstimator(seconds)

    def end_baseline(self) -> None:
        """Remove the baseline."""
        self._baseline = self._estimator = None
        self._tracker.reset()

    @property
    def baseline_progress(self) -> float | None:
        """Progress of the baseline, 0 to 1; None without one."""
        if self._baseline is not None:
            return 1.0
        estimator, latest = self._estimator, self.latest()
        return None if estimator is None or latest is None else estimator.progress(latest.frame.seconds)

    def _set(self, status: Status) -> None:
        with self._shared.lock:
            if not self._shared.stopping:
                self._shared.status = status

    def _capture(self) -> None:
        """The capture thread."""
        while self._capture_source() and self._wait_until(time.monotonic() + self._retry_seconds):
            pass
        with self._shared.lock:
            self._shared.ended = True
            self._shared.lock.notify_all()

    def _capture_source(self) -> bool:
        """Open the source and capture it to its end; return whether it was lost and should be reopened."""
        lost = self.status.state is State.LOST
        try:
            source = self._open()
        except VideoError as error:
            if not lost:
                self._set(Status(State.FAILED, str(error)))
            return lost
        try:
            self._capture_frames(source)
            self._set(Status(State.ENDED, "The end"))
        except IncompleteVideoError as error:
            self._set(Status(State.ENDED, str(error)))
        except VideoError as error:
            message = f"{error}. Trying again" if source.live else str(error)
            self._set(Status(State.LOST if source.live else State.FAILED, message))
            return source.live
        finally:
            source.close()
        return False

    def _capture_frames(self, source: Source) -> None:
        start: float | None = None
        while True:
            frame = source.read()
            if frame is None:
                return
            start = time.monotonic() - frame.seconds if start is None else start
            if not source.live and not self._wait_until(start + frame.seconds):
                return
            now = time.monotonic()
            with self._shared.lock:
                if self._shared.stopping:
                    return
                self._shared.latest_frame = frame, now
                self._shared.last_frame_at = now
                self._shared.status = Status(State.RUNNING)
                self._shared.lock.notify_all()

    def _wait_until(self, deadline: float) -> bool:
        """Wait; False if the engine is stopped meanwhile."""
        with self._shared.lock:
            timeout = max(deadline - time.monotonic(), 0.0)
            return not self._shared.lock.wait_for(lambda: self._shared.stopping, timeout)

    def _infer(self) -> None:
        """The inference thread."""
        try:
            recognizer = self._load()
            while (latest := self._next_frame()) is not None:
                self._publish(self._analyze(recognizer, *latest))
        except MienError as error:
            with self._shared.lock:
                self._shared.stopping = True
                self._shared.status = Status(State.FAILED, str(error))
                self._shared.lock.notify_all()

    def _next_frame(self) -> tuple[VideoFrame, float] | None:
        """Wait for the latest frame; return it and its capture time, or None at the end."""
        shared = self._shared
        with shared.lock:
            shared.lock.wait_for(lambda: shared.latest_frame or shared.stopping or shared.ended)
            latest, shared.latest_frame = shared.latest_frame, None
            return None if shared.stopping else latest

    def _publish(self, result: LiveResult) -> None:
        with self._shared.lock:
            self._shared.latest_result = result
            self._finish_times.append(result.finished_at)
            while self._finish_times[0] < result.finished_at - FPS_WINDOW_SECONDS:
                self._finish_times.popleft()

    def _analyze(self, recognizer: Recognizer, frame: VideoFrame, captured_at: float) -> LiveResult:
        start = time.monotonic()
        faces = recognizer.detector.detect(frame.image)
        detected = time.monotonic()
        predictions = self._relative(recognizer.classify(frame.image, faces), frame.seconds)
        result = FrameResult("live", frame.index, frame.seconds, self._tracker.follow(predictions, frame.seconds))
        end = time.monotonic()
        return LiveResult(frame, result, 1000 * (detected - start), 1000 * (end - detected), captured_at, end)

    def _relative(self, predictions: tuple[Prediction, ...], seconds: float) -> tuple[Prediction, ...]:
        """The predictions relative to the baseline; without one, they are collected for it if requested."""
        estimator = self._estimator
        if estimator is not None and self._baseline is None and predictions:
            self._baseline = estimator.add(predictions[0], seconds)
            if self._baseline is not None:
                self._tracker.reset()
        baseline = self._baseline
        return predictions if baseline is None else tuple(map(baseline.apply, predictions))
