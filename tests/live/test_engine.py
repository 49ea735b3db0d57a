"""The capture and inference threads, with fake sources and recognizers: results, states, and how they end."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from mien.errors import IncompleteVideoError, ModelError, VideoError
from mien.live import Engine, State
from mien.live import engine as engine_module
from mien.media.video import VideoFrame
from mien.structures import Box, Face, Prediction

LABELS = ("happy", "neutral")
PATIENCE = 5.0


class Frames:
    """A source of numbered frames that ends, is lost, or goes on; as fast as they are taken."""

    def __init__(self, count=5, live=False, lost=False, every=0.0):
        self.count, self.live, self.lost, self.every = count, live, lost, every
        self.given, self.closed = 0, False

    def read(self):
        if self.given == self.count:
            if self.lost:
                raise VideoError("camera 1 stopped giving images")
            return None
        self.given += 1
        if self.live:
            time.sleep(self.every)
        number = self.given - 1
        return VideoFrame(number, number * self.every, np.full((8, 8, 3), number % 256, np.uint8))

    def close(self):
        self.closed = True


class Damaged(Frames):
    """A source that says at its end what is missing."""

    def read(self):
        frame = super().read()
        if frame is None:
            raise IncompleteVideoError("frames are missing from 0.7 s to 2.0 s of 2.0 s")
        return frame


class Hanging(Frames):
    """A source that blocks until it is released."""

    def __init__(self):
        super().__init__(live=True)
        self.go = threading.Event()

    def read(self):
        self.go.wait(PATIENCE * 4)


class FakeRecognizer:
    """A recognizer that finds one face in every frame, as happy as the frame is bright, in its own time."""

    def __init__(self, takes=0.0, error=None):
        self.takes, self.error, self.frames = takes, error, []
        self.detector = self

    def detect(self, frame):
        self.frames.append(int(frame[0, 0, 0]))
        time.sleep(self.takes)
        if self.error:
            raise self.error
        return [Face(Box(1, 1, 6, 6))]

    def classify(self, frame, faces):
        happy = 0.1 + 0.8 * frame[0, 0, 0] / 255
        return tuple(Prediction(face, LABELS, (happy, 1 - happy)) for face in faces)


def until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.005)


def run(recognizer, source, **options):
    engine = Engine(lambda: recognizer, lambda: source, **options)
    engine.start()
    return engine


def test_every_frame_of_a_slow_source_is_analysed_in_order_and_tracked():
    source, recognizer = Frames(6, every=0.03), FakeRecognizer()
    engine = run(recognizer, source)
    until(lambda: engine.status.state is State.ENDED and len(recognizer.frames) == 6)
    until(lambda: engine.latest().frame.index == 5)
    assert recognizer.frames == list(range(6))
    result = engine.latest()
    assert [one.track for one in result.predictions] == [1]
    assert result.finished_at >= result.captured_at
    assert source.closed
    assert engine.stop()


def test_of_a_fast_source_the_latest_frame_is_analysed_next():
    source, recognizer = Frames(60, every=0.01), FakeRecognizer(takes=0.08)
    engine = run(recognizer, source)
    until(lambda: engine.status.state is State.ENDED)
    until(lambda: engine.latest().frame.index == 59)
    assert len(recognizer.frames) < 20
    assert recognizer.frames == sorted(set(recognizer.frames))
    engine.stop()


def test_a_source_that_cannot_be_opened_reports_why():
    def refuse():
        raise VideoError("there is no camera 1: plug one in")

    engine = Engine(FakeRecognizer, refuse)
    engine.start()
    until(lambda: engine.status.state is State.FAILED)
    assert engine.status.message == "there is no camera 1: plug one in"
    assert engine.stop()


def test_an_incomplete_file_ends_and_says_what_is_missing():
    engine = run(FakeRecognizer(), Damaged(2), retry_seconds=0.01)
    until(lambda: engine.status.state is State.ENDED)
    assert engine.status.message == "frames are missing from 0.7 s to 2.0 s of 2.0 s"
    assert engine.stop()


def test_a_file_that_breaks_off_is_not_tried_again():
    engine = run(FakeRecognizer(), Frames(2, lost=True), retry_seconds=0.01)
    until(lambda: engine.status.state is State.FAILED)
    engine.stop()


def test_a_camera_that_was_lost_is_found_again():
    sources = [Frames(9, live=True, lost=True, every=0.02), None, None, Frames(4, live=True, every=0.02)]
    opened = []

    def open_next():
        source = sources[min(len(opened), 3)]
        opened.append(source)
        if source is None:
            raise VideoError("there is no camera 1")
        return source

    engine = Engine(FakeRecognizer, open_next, retry_seconds=0.15)
    engine.start()
    until(lambda: engine.status.state is State.LOST)
    assert engine.status.message == "camera 1 stopped giving images. Trying again"
    until(lambda: engine.status.state is State.ENDED)
    until(lambda: engine.latest().frame.index == 3)
    assert len(opened) == 4
    assert engine.latest().predictions[0].track == 2  # another camera, perhaps: nobody is the same face as before
    engine.stop()


def test_a_silent_camera_is_reported(monkeypatch):
    monkeypatch.setattr(engine_module, "SILENT_SECONDS", 0.1)
    source = Frames(2, live=True, every=0.01)
    source.count = 1
    hanging = Hanging()
    source.read = lambda first=source.read: first() if source.given == 0 else hanging.read()
    engine = run(FakeRecognizer(), source)
    until(lambda: engine.status.state is State.SILENT)
    assert "No image for" in engine.status.message
    hanging.go.set()
    engine.stop()


def test_a_source_that_hangs_does_not_hold_the_window():
    source = Hanging()
    engine = run(FakeRecognizer(), source)
    until(lambda: engine.status.state is State.OPENING)
    begun = time.monotonic()
    assert not engine.stop()
    assert time.monotonic() - begun < 3 * engine_module.CLOSE_TIMEOUT_SECONDS
    source.go.set()
    until(lambda: source.closed)


def test_stopping_lets_the_camera_go():
    source = Frames(10_000, live=True, every=0.01)
    engine = run(FakeRecognizer(), source)
    until(lambda: engine.latest() is not None)
    assert engine.stop()
    assert source.closed
    assert engine.status.state is State.IDLE
    given = source.given
    time.sleep(0.05)
    assert source.given == given


@pytest.mark.parametrize("where", ["loading", "inference"])
def test_a_model_that_fails_is_reported_and_ends_it(where):
    error, source = ModelError("the model file was changed"), Frames(10_000, live=True, every=0.01)

    def load():
        if where == "loading":
            raise error
        return FakeRecognizer(error=error)

    engine = Engine(load, lambda: source)
    engine.start()
    until(lambda: engine.status.state is State.FAILED)
    assert engine.status.message == "the model file was changed"
    until(lambda: source.closed)
    engine.stop()
    assert engine.status.state is State.FAILED


def test_frames_per_second_are_counted():
    engine = run(FakeRecognizer(), Frames(10_000, live=True, every=0.02))
    assert engine.fps == 0.0
    until(lambda: engine.latest() is not None and engine.latest().frame.index > 20)
    assert 10 < engine.fps < 60
    engine.stop()


def test_a_baseline_makes_predictions_relative_until_it_is_ended():
    source = Frames(10_000, live=True, every=0.01)
    source.read = lambda: (time.sleep(0.01), VideoFrame(0, time.monotonic(), np.full((8, 8, 3), 200, np.uint8)))[1]
    engine = run(FakeRecognizer(), source)
    until(lambda: engine.latest() is not None)
    assert engine.latest().predictions[0].emotion == "happy"
    assert engine.baseline_progress is None
    engine.begin_baseline(seconds=0.2)
    until(lambda: engine.baseline_progress == 1.0 and engine.latest().predictions[0].emotion == "neutral")
    engine.end_baseline()
    until(lambda: engine.latest().predictions[0].emotion == "happy")
    engine.stop()
