"""Damaged and incomplete videos say what is missing, after all other frames; whole ones never do."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from mien.errors import IncompleteVideoError, VideoError
from mien.media.damage import Stretch, sentence
from mien.media.video import FileSource, Sampling
from videos import write_frames

FRAMES = 50
X264 = ("libx264", "yuv420p", {"g": "25", "crf": "18"})
MPEG = {"g": "12", "qmin": "3", "qmax": "3"}
KINDS = {
    "h264.mp4": X264,
    "h264.mkv": X264,
    "h264.ts": X264,
    "h264.flv": X264,
    "mpeg2.mpg": ("mpeg2video", "yuv420p", MPEG),
    "mpeg2.ts": ("mpeg2video", "yuv420p", MPEG),
    "mpeg4.avi": ("mpeg4", "yuv420p", MPEG),
    "mpeg4.mov": ("mpeg4", "yuv420p", MPEG),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "prores.mov": ("prores_ks", "yuv422p10le", {}),
    "ffv1.mkv": ("ffv1", "yuv420p", {"level": "3", "slicecrc": "1"}),
    "png.mov": ("png", "rgb24", {}),
}
INDEX_FIRST = {"h264.mp4": {"movflags": "faststart"}}
DAMAGE_MESSAGE = re.compile(r"frames are (?:missing|damaged) from ([\d.]+) s to ([\d.]+) s.* of ([\d.]+) s\.")


def textured(count=FRAMES):
    """Frames of a pattern that moves, so that each holds many bytes."""
    noise = np.random.default_rng(3).integers(0, 255, (40, 90, 3)).astype(np.uint8).repeat(3, 0).repeat(3, 1)
    return [noise[:, number : number + 160] for number in range(count)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two seconds of each kind, by name."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        name: write_frames(folder / name, textured(), 25, codec, pixels, muxer=INDEX_FIRST.get(name), **options)
        for name, (codec, pixels, options) in KINDS.items()
    }


def read(path, sampling=None):
    """The frames of a video, and what it says at the end."""
    source, frames = FileSource(path), []
    try:
        for frame in source.frames(sampling or Sampling()):
            frames.append(frame)  # noqa: PERF402  those before an error count
    except IncompleteVideoError as error:
        return frames, str(error)
    finally:
        source.close()
    return frames, None


@pytest.mark.parametrize("name", KINDS)
def test_a_whole_video_is_never_called_damaged(whole, name):
    frames, error = read(whole[name])
    assert (len(frames), error) == (FRAMES, None)


@pytest.mark.parametrize("name", KINDS)
def test_an_overwritten_stretch_is_named_and_the_rest_is_read(whole, tmp_path, name):
    content = bytearray(whole[name].read_bytes())
    start, size = len(content) * 45 // 100, len(content) // 12
    content[start : start + size] = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8).tobytes()
    path = tmp_path / name
    path.write_bytes(content)
    frames, error = read(path)
    begin, end, length = map(float, DAMAGE_MESSAGE.search(error).groups())
    assert 0.2 <= begin <= 1.1
    assert begin < end <= length == pytest.approx(2, abs=0.05)
    assert 15 <= len(frames) <= FRAMES
    assert all(one.seconds < other.seconds for one, other in pairwise(frames))
    assert str(path) in error


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("mpeg4.mov", "prores.mov", "png.mov")])
@pytest.mark.parametrize("share", [0.4, 0.77])
def test_a_video_that_is_cut_short_is_told(whole, tmp_path, name, share):
    content = whole[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    frames, error = read(path)
    begin, end, length = map(float, DAMAGE_MESSAGE.search(error).groups())
    assert frames[-1].seconds - 0.3 <= begin
    assert end == pytest.approx(length, abs=0.06)
    # a transport or program stream states no length: only its last frame shows that it was cut
    assert length == pytest.approx(2, abs=0.05) or name.endswith((".ts", ".mpg"))


@pytest.mark.parametrize("name", ["mpeg4.mov", "prores.mov"])
def test_a_video_cut_before_its_index_is_refused(whole, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(whole[name].read_bytes()[:-2000])
    with pytest.raises(VideoError, match="is cut short"):
        FileSource(path)


@pytest.fixture(scope="module")
def torn(whole, tmp_path_factory):
    """A video with damage from about 0.9 s to 1.0 s, where the next key frame is."""
    content = bytearray(whole["h264.mp4"].read_bytes())
    at = len(content) * 47 // 100
    content[at : at + 1500] = bytes(1500)
    path = tmp_path_factory.mktemp("torn") / "torn.mp4"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("sampling", "damaged"),
    [
        (Sampling(), True),
        (Sampling(every=0.5), True),
        (Sampling(stride=10), True),
        (Sampling(start=0.5, end=1.5), True),
        (Sampling(end=0.5), False),
        (Sampling(start=1.2), False),
    ],
)
def test_only_the_sampled_part_is_judged(torn, sampling, damaged):
    frames, error = read(torn, sampling)
    assert (error is not None) == damaged
    assert frames
    if error:
        begin, end, _ = map(float, DAMAGE_MESSAGE.search(error).groups())
        assert 0.5 <= begin < end <= 1.0


def test_reading_frame_by_frame_tells_at_the_end_once(torn):
    source, count = FileSource(torn), 0
    with pytest.raises(IncompleteVideoError, match="frames are"):  # noqa: PT012  what raises is the last read
        while source.read() is not None:
            count += 1
    assert count > 40
    assert source.read() is None
    source.close()


@pytest.mark.shared
def test_the_case_of_the_bug_report(shared):
    frames, error = read(shared / "cases" / "corrupt.mp4")
    assert len(frames) == 49
    assert "frames are missing from 0.7 s to 2.0 s" in error
    assert "of 2.0 s" in error


@pytest.mark.parametrize(
    ("stretches", "words"),
    [
        ([Stretch(0.68, 2, True)], "frames are missing from 0.7 s to 2.0 s of 3.0 s"),
        ([Stretch(0, 1, False)], "frames are damaged from 0.0 s to 1.0 s of 3.0 s"),
        (
            [Stretch(0, 1, False), Stretch(1, 2, True)],
            "frames are missing from 1.0 s to 2.0 s and damaged from 0.0 s to 1.0 s of 3.0 s",
        ),
        (
            [Stretch(at / 2, at / 2 + 0.1, True) for at in range(6)],
            (
                "frames are missing from 0.0 s to 0.1 s, from 0.5 s to 0.6 s, from 1.0 s to 1.1 s, "
                "from 1.5 s to 1.6 s, in "
                "2 more stretches of 3.0 s"
            ),
        ),
    ],
)
def test_the_stretches_in_words(stretches, words):
    assert sentence(stretches, 3.0) == words
