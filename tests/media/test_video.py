"""Frames, times and sampling of videos and images, and what is refused; how frames are shown: test_shown_frame.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import UsageError, VideoError
from mien.media.video import FileSource, ImageSource, Sampling, open_file
from videos import write_frames


def write_clip(path):
    """Twelve frames that grow redder, ten a second."""
    return write_frames(path, [np.full((48, 64, 3), (20 * number, 0, 0), np.uint8) for number in range(12)], 10.0)


def test_a_clip_gives_its_frames_in_order_with_their_times(tmp_path):
    source = open_file(write_clip(tmp_path / "clip.avi"))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.seconds for frame in frames] == pytest.approx([number / 10 for number in range(12)], abs=1e-3)
    for number, frame in enumerate(frames):
        assert (frame.image.shape, frame.image.dtype) == ((48, 64, 3), np.uint8)
        red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
        assert abs(red - 20 * number) < 8
        assert green < 8
        assert blue < 8


def test_a_image_is_a_video_of_one_frame(tmp_path):
    Image.new("RGB", (6, 4), (200, 10, 20)).save(tmp_path / "one.png")
    source = open_file(tmp_path / "one.png")
    assert isinstance(source, ImageSource)
    frame = source.read()
    assert (frame.index, frame.seconds, frame.image[0, 0].tolist()) == (0, 0.0, [200, 10, 20])
    assert source.read() is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.mp4", None, "there is none"),
        ("gone.png", None, "gone.png"),
        ("text.mp4", b"no video at all", "holds none"),
        ("empty.mp4", b"", "holds none"),
        ("text.png", b"no image", "text.png"),
    ],
)
def test_what_is_no_video_is_refused_by_name(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=words) as refused:
        open_file(tmp_path / name)
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (Sampling(), list(range(12))),
        (Sampling(stride=5), [0, 5, 10]),
        (Sampling(every=0.25), [0, 3, 5, 8, 10]),
        (Sampling(every=0.05), list(range(12))),
        (Sampling(every=0.3, start=0.2), [2, 5, 8, 11]),
        (Sampling(start=0.5, end=0.7), [5, 6, 7]),
        (Sampling(start=5.0), []),
        (Sampling(every=100.0), [0]),
    ],
)
def test_the_frames_that_are_wanted_are_taken(tmp_path, sampling, wanted):
    source = FileSource(write_clip(tmp_path / "clip.avi"))
    frames = list(source.frames(sampling))
    source.close()
    assert [frame.index for frame in frames] == wanted
    for frame in frames:
        assert frame.seconds == pytest.approx(frame.index / 10, abs=1e-3)
        assert abs(frame.image[..., 0].mean() - 20 * frame.index) < 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"stride": 0},
        {"every": 0.0},
        {"every": -1.0},
        {"every": float("nan")},
        {"start": -1.0},
        {"start": 2.0, "end": 1.0},
    ],
)
def test_a_sampling_that_takes_nothing_is_refused(wrong):
    with pytest.raises(UsageError):
        Sampling(**wrong)


def test_a_file_tells_its_rate_and_length(tmp_path):
    source = FileSource(write_clip(tmp_path / "clip.avi"))
    assert (source.fps, source.length) == (pytest.approx(10), pytest.approx(1.2))
    source.close()


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.long)])
def test_mutated_videos_neither_hang_nor_crash(count):
    command = [sys.executable, "-m", "fuzz.videos", str(count)]
    done = subprocess.run(
        command, check=False, cwd=Path(__file__).parents[1], capture_output=True, encoding="latin-1", timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert set(told["ends"]) == {"all frames", "some frames", "refused"}, told
    assert told["slowest"] < 10
    assert told["memory"] < 150
