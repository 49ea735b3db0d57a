"""Cameras: FFmpeg's test device and fakes in place of a real one, and folders that look like Linux's devices."""

from __future__ import annotations

import os
import sys
import threading
import time

import av
import numpy as np
import pytest

from mien.errors import VideoError
from mien.media import camera as camera_module
from mien.media.camera import Camera, CameraSource, cameras

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says which cameras there are")


@pytest.fixture
def devices(tmp_path):
    """A folder of devices with one camera."""
    (tmp_path / "video0").touch()
    return tmp_path


def test_device(description):
    """Opens FFmpeg's device of filters in place of a camera."""
    return lambda number, size: av.open(description.format(*size), format="lavfi")


test_device.__test__ = False


class Fake:
    """A camera of given frames; then it is lost, or gives no more."""

    def __init__(self, frames, *, hangs=False):
        self.frames, self.hangs, self.go, self.closed = frames, hangs, threading.Event(), False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def decode(self, video):
        yield from self.frames
        if self.hangs:
            self.go.wait(20)
        raise av.error.OSError(19, "No such device")


def flat(value):
    return av.VideoFrame.from_ndarray(np.full((4, 6, 3), value, np.uint8), format="rgb24")


def test_a_camera_gives_frames_as_rgb_of_the_size_asked_for(devices):
    red = test_device("color=red:size={}x{}:rate=50,realtime")
    camera = CameraSource(0, (64, 48), red, devices)
    first, second = camera.read(), camera.read()
    camera.close()
    assert (first.index, first.seconds, second.index) == (0, 0.0, 1)
    assert second.seconds > 0
    assert (first.image.shape, first.image.dtype) == ((48, 64, 3), np.uint8)
    assert np.abs(first.image.astype(int) - (255, 0, 0)).max() < 4


def test_a_camera_that_is_lost_is_named(devices):
    camera = CameraSource(0, open_device=lambda *_: Fake([flat(9)]), devices=devices)
    assert camera.read().image[0, 0].tolist() == [9, 9, 9]
    with pytest.raises(VideoError, match="camera 1 stopped giving images"):
        camera.read()
    camera.close()


def test_a_damaged_frame_does_not_end_a_camera(devices):
    class Damaged(Fake):
        def decode(self, video):
            if self.frames:
                frame = self.frames.pop(0)
                yield frame
                raise av.InvalidDataError(1094995529, "Invalid data found when processing input")
            yield from super().decode(video)

    fake = Damaged([flat(9), flat(90)])
    camera = CameraSource(0, open_device=lambda *_: fake, devices=devices)
    values = {int(camera.read().image[0, 0, 0])}
    while max(values) < 90:
        values.add(int(camera.read().image[0, 0, 0]))
    camera.close()
    assert fake.closed


def test_images_that_can_t_be_shown_are_an_error_of_the_camera(devices):
    empty = av.VideoFrame(0, 0, "rgb24")
    camera = CameraSource(0, open_device=lambda *_: Fake([empty]), devices=devices)
    with pytest.raises(VideoError, match="camera 1 gives images that can't be shown"):
        camera.read()
    camera.close()


def test_the_newest_frame_is_read_and_older_ones_are_dropped(devices):
    fake = Fake([flat(number) for number in range(100)], hangs=True)
    camera = CameraSource(0, open_device=lambda *_: fake, devices=devices)
    end = time.monotonic() + 10
    while camera._capture._newest is None or camera._capture._newest[0] is not fake.frames[-1]:
        assert time.monotonic() < end
        time.sleep(0.001)
    frame = camera.read()
    assert (frame.index, frame.image[0, 0, 0]) == (0, 99)
    fake.go.set()
    camera.close()
    assert fake.closed


def test_a_camera_that_hangs_holds_up_neither_reading_nor_closing(devices, monkeypatch):
    monkeypatch.setattr(camera_module, "READ_SECONDS", 0.05)
    monkeypatch.setattr(camera_module, "CLOSE_SECONDS", 0.05)
    fake = Fake([], hangs=True)
    camera = CameraSource(0, open_device=lambda *_: fake, devices=devices)
    with pytest.raises(VideoError, match="stopped giving images"):
        camera.read()
    camera.close()
    assert not fake.closed
    fake.go.set()


def test_a_camera_that_never_opens_is_given_up_and_closed_when_it_does(devices, monkeypatch):
    monkeypatch.setattr(camera_module, "OPEN_SECONDS", 0.05)
    monkeypatch.setattr(camera_module, "CLOSE_SECONDS", 0.05)
    fake, go = Fake([flat(1)]), threading.Event()

    def slow(*_):
        go.wait(20)
        return fake

    with pytest.raises(VideoError, match="another program may be using it"):
        CameraSource(0, open_device=slow, devices=devices)
    go.set()
    for thread in threading.enumerate():
        if thread.name == "mien camera":
            thread.join(10)
    assert fake.closed


def test_a_camera_in_use_is_named(devices):
    def busy(*_):
        raise av.error.OSError(16, "Device or resource busy")

    with pytest.raises(VideoError, match="another program may be using it"):
        CameraSource(0, open_device=busy, devices=devices)


def test_what_is_no_camera_is_refused_by_the_real_device(devices, monkeypatch):
    monkeypatch.setattr(camera_module, "DEVICES", devices)
    with pytest.raises(VideoError, match="another program may be using it"):
        CameraSource(0, devices=devices)


@LINUX
def test_a_camera_that_is_not_there_is_not_opened(devices):
    with pytest.raises(VideoError, match="there is no camera 4: plug one in"):
        CameraSource(3, open_device=lambda *_: pytest.fail("opened"), devices=devices)


@LINUX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is closed to root")
def test_a_camera_that_may_not_be_used_names_the_group(devices):
    (devices / "video0").chmod(0)
    with pytest.raises(VideoError, match="usermod -aG video"):
        CameraSource(0, open_device=lambda *_: pytest.fail("opened"), devices=devices)


@LINUX
def test_cameras_are_listed_without_opening_one(tmp_path):
    for number, index, name in ((0, 0, "Front"), (1, 1, "Front"), (10, 0, "Second"), (2, 0, "Third")):
        device = tmp_path / f"video{number}"
        device.mkdir()
        (device / "index").write_text(f"{index}\n")
        (device / "name").write_text(f"{name}\n")
    (tmp_path / "video3").mkdir()
    assert cameras(tmp_path) == (Camera(0, "Front"), Camera(2, "Third"), Camera(10, "Second"))
    assert cameras(tmp_path / "gone") == ()


class Device:
    def __init__(self, name, description, media_types=("video",)):
        self.name, self.description, self.media_types = name, description, list(media_types)


@pytest.mark.parametrize(
    ("system", "listed", "expected"),
    [
        ("darwin", [Device("0", "FaceTime"), Device("1", "Capture screen 0"), Device("0", "Mic", ["audio"])],
         [Camera(0, "FaceTime")]),
        ("win32", [Device("@pnp", "Integrated"), Device("@mic", "Mic", ["audio"]), Device("@usb", "USB")],
         [Camera(0, "Integrated"), Camera(1, "USB")]),
        ("win32", [], [Camera(0, "Camera 1"), Camera(1, "Camera 2")]),
    ],
)  # fmt: skip
def test_other_systems_list_their_cameras_through_pyav(monkeypatch, system, listed, expected):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(av, "enumerate_input_devices", lambda kind: listed, raising=False)
    assert list(cameras()) == expected
