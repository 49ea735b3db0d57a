"""Frames, times, geometry and colours of 200 videos equal those of ``ffmpeg`` and ``ffprobe``, the programs.

A sample runs with every change, all of them by ``make long``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from ffmpeg_videos import VIDEOS
from PIL import Image
from skimage.data import astronaut

from mien.detection import MienDetector
from mien.media.video import FileSource, Sampling
from mien.models.store import ModelStore

SAMPLE = {
    "1-frames-h264.mp4", "altref.webm", "aspect-8to9.mkv", "aspect-container.mp4", "av1.mp4", "colour-10-bit.mkv",
    "cut-both.mp4", "cut-late.mkv", "dv-ntsc.mov", "ffv1-bff.mkv", "fragmented.mp4", "h264-tff.mp4", "h264.avi",
    "h264.mp4", "h264.ts", "hevc.mkv", "longer-sound.mp4", "matrix-bt709-pc.mp4", "mpeg2-bff.ts", "mpeg2.vob",
    "open-gop.ts", "packed.avi", "prores-tff.mov", "theora.ogv", "turned-270-mpeg4.mp4", "turned-90-h264.mp4",
    "uneven-h264.mkv", "vp9.webm", "wmv2.wmv",
}  # fmt: skip

BY_CONTAINER = "huffyuv-"
"""Videos whose fields only the container states; ffmpeg's filter gets it as an option."""

ROUGH = ("turned-90-prores", "turned-270-prores", "turned-aspect", "huffyuv-")
"""Videos whose colours ffmpeg resamples in another order: it turns them before it converts them."""


@pytest.fixture(scope="module", autouse=True)
def ffmpeg():
    """Whether ffmpeg and ffprobe are there."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {' and '.join(missing)}: apt-get install ffmpeg")
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install ffmpeg")


def test_there_are_two_hundred_videos_and_the_sample_is_of_them():
    assert len(VIDEOS) >= 200
    assert {made.name for made in VIDEOS} >= SAMPLE


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(made, id=made.name, marks=() if made.name in SAMPLE else (pytest.mark.long,))
        for made in VIDEOS
    ],
)  # fmt: skip
def test_a_video_is_read_as_ffmpeg_reads_it(made, tmp_path):
    path = made.write(tmp_path)
    frames = read_all(path)
    times, interlaced = probed(path)
    assert len(frames) == len(times)
    for frame, seconds in zip(frames, times, strict=True):
        if seconds is not None and times[0] is not None:  # raw streams and the end of some state none
            assert frame.seconds == pytest.approx(seconds - times[0], abs=1e-3)
    shown = ffmpeg_images(path, frames[0].image.shape, interlaced=interlaced)
    assert len(shown) == len(frames)
    difference = np.abs(shown.astype(int) - [frame.image for frame in frames]).mean(axis=(1, 2, 3))
    most = 6 if path.name.startswith(ROUGH) else 1
    # older versions of the deinterlacer treat the first frame, which has none before it, in another way
    assert difference[0] < (6 if interlaced else most)
    assert difference[1:].max(initial=0) < most


def read_all(path):
    source = FileSource(path)
    frames = list(source.frames(Sampling()))
    source.close()
    return frames


def run(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=60).stdout


def probed(path):
    """The seconds of each frame, None where it has none, and whether there are fields."""
    entries = "frame=best_effort_timestamp_time,interlaced_frame"
    command = ("ffprobe", "-v", "error", "-select_streams", "V:0", "-show_entries", entries, "-of", "json", path)
    frames = json.loads(run(*command))["frames"]
    times = [frame.get("best_effort_timestamp_time") for frame in frames]
    interlaced = path.name.startswith(BY_CONTAINER) or any(frame["interlaced_frame"] for frame in frames)
    return [None if time is None else float(time) for time in times], interlaced


def ffmpeg_images(path, shape, *, interlaced):
    """The frames as ffmpeg shows them; an error where their size is another."""
    filters = "scale=iw:round(ih/sar)" if path.name.startswith("turned-aspect") else "scale=round(iw*sar):ih"
    if interlaced:
        chosen = "all" if path.name.startswith(BY_CONTAINER) else "interlaced"
        parity = "bff" if "bff" in path.name else "tff" if "tff" in path.name else "auto"
        filters = f"bwdif=mode=send_frame:parity={parity}:deint={chosen},{filters}"
    output = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    pixels = run("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:V:0", "-vf", filters, *output)
    return np.frombuffer(pixels, np.uint8).reshape(-1, *shape)


@pytest.fixture(scope="module")
def detector():
    return MienDetector(ModelStore().load("faces"), threads=1)


FACES = {
    "plain.mp4": ("", "-c:v libx264"),
    "squeezed.mp4": ("scale=256:512,setsar=2", "-c:v libx264"),
    "narrow.mpg": ("scale=352:480,setsar=15/11", "-c:v mpeg2video -q 2"),
    "fields.ts": ("setfield=tff", "-c:v libx264 -flags +ildct+ilme -x264-params tff=1"),
    "fields.mov": ("scale=720:576,setsar=4/5", "-c:v prores_ks -flags +ildct -field_order tt"),
}


@pytest.mark.parametrize("name", FACES)
def test_faces_are_where_ffmpeg_shows_them(name, detector, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "face.png")
    filters, options = FACES[name]
    path = tmp_path / name
    source = ("ffmpeg", "-nostdin", "-v", "error", "-loop", "1", "-i", tmp_path / "face.png", "-t", "0.2")
    run(*source, *(("-vf", filters) if filters else ()), *options.split(), path)
    frames = read_all(path)
    shown = ffmpeg_images(path, frames[0].image.shape, interlaced="fields" in name)
    ours, theirs = (
        max(detector.detect(image), key=lambda face: face.box.right - face.box.left)
        for image in (frames[1].image, shown[1])
    )
    assert (ours.box.left, ours.box.top, ours.box.right, ours.box.bottom) == pytest.approx(
        (theirs.box.left, theirs.box.top, theirs.box.right, theirs.box.bottom), abs=2
    )
    stretched = (ours.box.right - ours.box.left) / (ours.box.bottom - ours.box.top)
    assert stretched == pytest.approx(0.8, abs=0.12)
