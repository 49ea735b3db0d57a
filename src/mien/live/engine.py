"""The threads behind a live window: one takes frames and keeps the newest, one reads it; nothing waits for both."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from mien.errors import MienError, VideoError
from mien.structures import FrameResult
from mien.tracking.baseline import Baseline
from mien.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.media.video import Source, VideoFrame
    from mien.recognizer import Recognizer
    from mien.structures import Prediction
    from mien.tracking.baseline import Neutral

SILENT = 2.0
"""Seconds without a frame after which a camera counts as silent."""

AGAIN = 1.0
"""Seconds after which a camera that was lost is tried again."""

COUNTED = 2.0
"""Seconds of readings that frame rates are counted over."""

LEFT = 1.0
"""Seconds that closing waits for a source to be let go; one that hangs is left to its thread."""


class State(Enum):
    """What a source is at."""

    IDLE = auto()
    OPENING = auto()
    RUNNING = auto()
    SILENT = auto()
    LOST = auto()
    ENDED = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Status:
    """The state, and what people are told of it.

    Attributes:
        state: what the source is at.
        words: a sentence, or "".
    """

    state: State
    words: str = ""


@dataclass(frozen=True)
class Reading:
    """A frame and what was read in it.

    Attributes:
        frame: as the source gave it.
        result: its faces, largest first, followed over frames and steadied.
        detecting: milliseconds that finding the faces took.
        classifying: milliseconds that naming their expressions took.
        taken: when the frame came, by ``time.monotonic``.
        done: when it was read.
    """

    frame: VideoFrame
    result: FrameResult
    detecting: float
    classifying: float
    taken: float
    done: float

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Of the faces, largest first."""
        return self.result.predictions


@dataclass
class _Shared:
    """What the threads hand to each other, under one lock."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    newest: tuple[VideoFrame, float] | None = None
    reading: Reading | None = None
    status: Status = Status(State.IDLE)
    came: float = 0.0
    stopping: bool = False
    ended: bool = False


class Engine:
    """Reads the faces of a source as its frames come, until it is stopped.

    The newest frame is always the one read next; those that came meanwhile are left out, so that what is shown is
    never older than one reading. Frames of files come at their own times.

    Args:
        load: gives the recognizer, in the thread that reads, so that a window does not wait for models.
        open_source: opens the camera or file, in the thread that takes frames.
        tracker: follows the faces.
        again: seconds after which a live source that was lost is tried again.
    """

    def __init__(
        self,
        load: Callable[[], Recognizer],
        open_source: Callable[[], Source],
        tracker: Tracker | None = None,
        again: float = AGAIN,
    ) -> None:
        self._load = load
        self._open = open_source
        self._tracker = tracker or Tracker()
        self._again = again
        self._shared = _Shared()
        self._times: deque[float] = deque()
        self._baseline: Baseline | None = None
        self._neutral: Neutral | None = None
        self._taking = threading.Thread(target=self._take, name="mien frames", daemon=True)
        self._reading = threading.Thread(target=self._read, name="mien faces", daemon=True)

    def start(self) -> None:
        """Starts both threads; the source is opened in the first."""
        self._set(Status(State.OPENING, "Opening"))
        self._taking.start()
        self._reading.start()

    def stop(self) -> bool:
        """Stops, and lets go of the source.

        Returns:
            Whether the source was let go within a second; one that hangs is left to its thread.
        """
        with self._shared.lock:
            self._shared.stopping = True
            self._shared.lock.notify_all()
        if self._taking.is_alive():
            self._taking.join(LEFT)
        if self._reading.is_alive():
            self._reading.join(LEFT)
        with self._shared.lock:
            if self._shared.status.state is not State.FAILED:
                self._shared.status = Status(State.IDLE)
        return not self._taking.is_alive()

    @property
    def status(self) -> Status:
        """What the source is at now."""
        shared = self._shared
        with shared.lock:
            silent = time.monotonic() - shared.came
            if shared.status.state is State.RUNNING and silent > SILENT:
                return Status(State.SILENT, f"No image for {silent:.0f} s: the camera may be busy or asleep")
            return shared.status

    def newest(self) -> Reading | None:
        """The newest reading; None before the first."""
        with self._shared.lock:
            return self._shared.reading

    @property
    def rate(self) -> float:
        """Readings a second, over the last two seconds."""
        with self._shared.lock:
            times = [at for at in self._times if at > time.monotonic() - COUNTED]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def begin_baseline(self, seconds: float = 5.0) -> None:
        """From now on the largest face is taken as at rest; when there is enough of it, readings become relative."""
        self._neutral, self._baseline = None, Baseline(seconds)

    def end_baseline(self) -> None:
        """Readings are the model's own again."""
        self._neutral = self._baseline = None
        self._tracker.forget()

    @property
    def baseline_share(self) -> float | None:
        """How much of the baseline is taken, 0 to 1; None where none is wanted."""
        if self._neutral is not None:
            return 1.0
        baseline, reading = self._baseline, self.newest()
        return None if baseline is None or reading is None else baseline.share(reading.frame.seconds)

    def _set(self, status: Status) -> None:
        with self._shared.lock:
            if not self._shared.stopping:
                self._shared.status = status

    def _take(self) -> None:
        """The thread that takes frames."""
        while self._take_once() and self._waited(time.monotonic() + self._again):
            pass
        with self._shared.lock:
            self._shared.ended = True
            self._shared.lock.notify_all()

    def _take_once(self) -> bool:
        """Opens the source and takes its frames to the end; whether it was lost and is worth another try."""
        lost = self.status.state is State.LOST
        try:
            source = self._open()
        except VideoError as error:
            if not lost:
                self._set(Status(State.FAILED, str(error)))
            return lost
        try:
            self._take_from(source)
            self._set(Status(State.ENDED, "The end"))
        except VideoError as error:
            words = f"{error}. Trying again" if source.live else str(error)
            self._set(Status(State.LOST if source.live else State.FAILED, words))
            return source.live
        finally:
            source.close()
        return False

    def _take_from(self, source: Source) -> None:
        begun: float | None = None
        while True:
            frame = source.read()
            if frame is None:
                return
            begun = time.monotonic() - frame.seconds if begun is None else begun
            if not source.live and not self._waited(begun + frame.seconds):
                return
            now = time.monotonic()
            with self._shared.lock:
                if self._shared.stopping:
                    return
                self._shared.newest = frame, now
                self._shared.came = now
                self._shared.status = Status(State.RUNNING)
                self._shared.lock.notify_all()

    def _waited(self, until: float) -> bool:
        """Waits for a time; False if it is to stop meanwhile."""
        with self._shared.lock:
            return not self._shared.lock.wait_for(lambda: self._shared.stopping, max(until - time.monotonic(), 0.0))

    def _read(self) -> None:
        """The thread that reads faces."""
        try:
            recognizer = self._load()
            while (newest := self._awaited()) is not None:
                self._publish(self._read_frame(recognizer, *newest))
        except MienError as error:
            with self._shared.lock:
                self._shared.stopping = True
                self._shared.status = Status(State.FAILED, str(error))
                self._shared.lock.notify_all()

    def _awaited(self) -> tuple[VideoFrame, float] | None:
        """The next frame to read and when it came; None when there will be no more."""
        shared = self._shared
        with shared.lock:
            shared.lock.wait_for(lambda: shared.newest or shared.stopping or shared.ended)
            newest, shared.newest = shared.newest, None
            return None if shared.stopping else newest

    def _publish(self, reading: Reading) -> None:
        with self._shared.lock:
            self._shared.reading = reading
            self._times.append(reading.done)
            while self._times[0] < reading.done - COUNTED:
                self._times.popleft()

    def _read_frame(self, recognizer: Recognizer, frame: VideoFrame, taken: float) -> Reading:
        begun = time.monotonic()
        faces = recognizer.detector.detect(frame.image)
        detected = time.monotonic()
        predictions = self._relative(recognizer.classify(frame.image, faces), frame.seconds)
        result = FrameResult("live", frame.index, frame.seconds, self._tracker.follow(predictions, frame.seconds))
        done = time.monotonic()
        return Reading(frame, result, 1000 * (detected - begun), 1000 * (done - detected), taken, done)

    def _relative(self, predictions: tuple[Prediction, ...], seconds: float) -> tuple[Prediction, ...]:
        """The predictions relative to the face at rest, where that is wanted; meanwhile it is taken."""
        baseline = self._baseline
        if baseline is not None and self._neutral is None and predictions:
            self._neutral = baseline.see(predictions[0], seconds)
            if self._neutral is not None:
                self._tracker.forget()
        neutral = self._neutral
        return predictions if neutral is None else tuple(map(neutral.corrected, predictions))
