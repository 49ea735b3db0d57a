"""Cameras: fakes of OpenCV's capture, and folders that look like Linux's devices."""

from __future__ import annotations

import os
import sys

import pytest

from mien.errors import VideoError
from mien.media.camera import Camera, CameraSource, cameras
from videos import Capture

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says which cameras there are")


@pytest.fixture
def devices(tmp_path):
    """A folder of devices with one camera."""
    (tmp_path / "video0").touch()
    return tmp_path


def test_a_camera_gives_frames_as_rgb_until_it_is_lost(devices):
    capture = Capture(frames=2)
    camera = CameraSource(0, open_capture=capture, devices=devices)
    first, second = camera.read(), camera.read()
    assert capture.source == 0
    assert (first.index, first.seconds, second.index) == (0, 0.0, 1)
    assert second.seconds >= 0
    assert first.image[0, 0].tolist() == [3, 2, 1]
    with pytest.raises(VideoError, match="camera 1 stopped giving images"):
        camera.read()
    camera.close()
    assert capture.released


def test_a_camera_in_use_is_named_and_let_go(devices):
    capture = Capture(opens=False)
    with pytest.raises(VideoError, match="another program may be using it"):
        CameraSource(0, open_capture=capture, devices=devices)
    assert capture.released


@LINUX
def test_a_camera_that_is_not_there_is_not_opened(devices):
    with pytest.raises(VideoError, match="there is no camera 4: plug one in"):
        CameraSource(3, open_capture=lambda _: pytest.fail("opened"), devices=devices)


@LINUX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is closed to root")
def test_a_camera_that_may_not_be_used_names_the_group(devices):
    (devices / "video0").chmod(0)
    with pytest.raises(VideoError, match="usermod -aG video"):
        CameraSource(0, open_capture=lambda _: pytest.fail("opened"), devices=devices)


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
