"""Videos are written with their times and sound, and read again: constant and variable rates, turned ones."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import av
import numpy as np
import pytest

from mien.errors import IncompleteVideoError, UsageError, VideoError
from mien.media.video import FileSource, Sampling
from mien.media.video_writer import open_video

TIMES = [0.0, 0.04, 0.08, 0.5, 0.517, 1.25, 3.0]


def grey(number, size=(48, 64)):
    return np.full((*size, 3), 30 * number, np.uint8)


def read_all(path):
    source = FileSource(path)
    frames = list(source.frames(Sampling()))
    source.close()
    return frames


@pytest.fixture
def sounding(tmp_path):
    """A second of video with a second of a tone."""
    path = tmp_path / "sounding.mp4"
    with av.open(str(path), "w") as target:
        images, sound = target.add_stream("libx264", rate=10), target.add_stream("aac", rate=8000, layout="mono")
        images.height, images.width, images.pix_fmt = 48, 64, "yuv420p"
        for number in range(10):
            target.mux(images.encode(av.VideoFrame.from_ndarray(grey(number % 8), format="rgb24")))
        tone = (8000 * np.sin(np.arange(8000) * 0.3)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        for packet in [*sound.encode(frame), *sound.encode(None), *images.encode(None)]:
            target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_of_any_rhythm_keep_their_times_to_a_millisecond(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    with open_video(path) as writer:
        for number, seconds in enumerate(TIMES):
            writer.write(grey(number), seconds)
    frames = read_all(path)
    assert [frame.seconds for frame in frames] == pytest.approx(TIMES, abs=1e-3)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (48, 64, 3)
        assert abs(frame.image.mean() - 30 * number) < 6


@pytest.mark.parametrize(("turned", "shape"), [(0, (48, 64)), (90, (64, 48)), (180, (48, 64)), (270, (64, 48))])
def test_a_turned_video_is_read_upright_at_its_times(tmp_path, turned, shape):
    plain, path = tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 220
    with open_video(plain) as writer:
        for seconds in TIMES:
            writer.write(image, seconds)
    turn(plain, path, turned)
    frames = read_all(path)
    assert [frame.seconds for frame in frames] == pytest.approx(TIMES, abs=1e-3)
    assert {frame.image.shape[:2] for frame in frames} == {shape}
    upright = np.rot90(image, -turned // 90)
    assert np.abs(frames[0].image.astype(int) - upright).mean() < 12


def turn(source, target, degrees):
    """The same video with a matrix in its head that says how it is to be turned, as telephones write it."""
    content = bytearray(source.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version 0: flags, times, number, lengths, layers come before the matrix
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    for place, value in ((0, cosine), (1, sine), (3, -sine), (4, cosine)):
        content[at + 4 * place : at + 4 * place + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    target.write_bytes(content)


def test_the_sound_is_kept_as_it_is(tmp_path, sounding):
    path = tmp_path / "drawn.mp4"
    source = FileSource(sounding)
    with open_video(path, sounding) as writer:
        for frame in source.frames(Sampling()):
            writer.write(255 - frame.image, frame.seconds)
    source.close()

    def sound_of(video):
        with av.open(str(video)) as opened:
            return [bytes(packet) for packet in opened.demux(opened.streams.audio[0]) if packet.dts is not None]

    assert sound_of(path) == sound_of(sounding)
    assert len(sound_of(path)) > 5
    assert len(read_all(path)) == 10


@pytest.mark.parametrize(
    ("size", "written"), [((49, 65), (50, 66)), ((1, 1), (2, 2)), ((1, 64), (2, 64)), ((48, 3), (48, 4))]
)
def test_odd_edges_are_repeated(tmp_path, size, written):
    with open_video(tmp_path / "odd.mp4") as writer:
        writer.write(grey(3, size), 0.0)
    (frame,) = read_all(tmp_path / "odd.mp4")
    assert frame.image.shape == (*written, 3)
    assert abs(frame.image.astype(int) - 90).max() < 6


def test_frames_of_another_size_are_resized_to_that_of_the_first(tmp_path):
    with open_video(tmp_path / "sizes.mp4") as writer:
        for number, size in enumerate([(48, 64), (96, 32), (480, 640)]):
            writer.write(grey(3, size), number / 10)
    assert [frame.image.shape for frame in read_all(tmp_path / "sizes.mp4")] == [(48, 64, 3)] * 3


def test_times_that_a_container_can_t_hold_are_refused(tmp_path):
    path = tmp_path / "far.mp4"
    with pytest.raises(VideoError, match=r"fit into far\.mp4"), open_video(path) as writer:  # noqa: PT012  as above
        for number in range(10):
            writer.write(grey(number % 8), number * 1e8)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_no_file(tmp_path):
    path = tmp_path / "torn.mp4"
    with pytest.raises(ValueError, match="torn"), open_video(path) as writer:  # noqa: PT012 - what is asked is the block
        writer.write(grey(1), 0.0)
        raise ValueError("torn")
    with pytest.raises(VideoError, match="received none"), open_video(path):
        pass
    assert list(tmp_path.iterdir()) == []


def with_sound(path, codec, seconds=1):
    """A video with a tone in an audio codec."""
    with av.open(str(path), "w") as target:
        images = target.add_stream("mpeg4", rate=10)
        images.height, images.width, images.pix_fmt = 48, 64, "yuv420p"
        sound = target.add_stream(codec, rate=48_000, layout="mono")
        tone = (8000 * np.sin(np.arange(48_000 * seconds) * 0.05)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for number in range(10 * seconds):
            target.mux(images.encode(av.VideoFrame.from_ndarray(grey(number % 8), format="rgb24")))
        for packet in [*sound.encode(frame), *sound.encode(None), *images.encode(None)]:
            target.mux(packet)
    return path


def redrawn(source, target):
    """Writes the frames of a video, as far as they can be read, with its sound."""
    frames = FileSource(source)
    with open_video(target, source) as writer, contextlib.suppress(IncompleteVideoError):
        for frame in frames.frames(Sampling()):
            writer.write(frame.image, frame.seconds)
    frames.close()
    return target


def seconds_of_sound(path):
    with av.open(str(path)) as opened:
        times = [float(packet.pts * packet.time_base) for packet in opened.demux(audio=0) if packet.pts is not None]
    assert times == sorted(times)
    return times[-1] - times[0]


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_the_sound_of_joined_recordings_goes_on(tmp_path, suffix, target):
    part = with_sound(tmp_path / f"part{suffix}", "mp2", seconds=2)
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(part.read_bytes() * 3)
    assert seconds_of_sound(redrawn(joined, tmp_path / f"drawn{target}")) == pytest.approx(6, abs=0.3)


@pytest.mark.parametrize("codec", ["libopus", "flac", "ac3"])
@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_sound_of_any_codec_is_kept_in_any_container(tmp_path, codec, target):
    source = with_sound(tmp_path / "talk.mkv", codec)
    assert seconds_of_sound(redrawn(source, tmp_path / f"drawn{target}")) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".ts", "aac"), (".avi", "adpcm_ms"), (".mkv", "libopus"), (".mpg", "mp2")]
)
@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_damaged_sound_costs_no_frame(tmp_path, suffix, codec, target):
    source = with_sound(tmp_path / f"talk{suffix}", codec)
    frames, whole = read_all(source), source.read_bytes()
    random = np.random.default_rng(3)
    for _ in range(12):
        content = np.frombuffer(whole, np.uint8).copy()
        content[random.integers(len(content) // 2, len(content), 30)] = random.integers(0, 256, 30)
        source.write_bytes(content.tobytes())
        with open_video(tmp_path / f"drawn{target}", source) as writer:
            for frame in frames:
                writer.write(frame.image, frame.seconds)
        assert len(read_all(tmp_path / f"drawn{target}")) == len(frames)


def test_other_kinds_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"received clip\.gif"), open_video(tmp_path / "clip.gif"):
        pass


def test_the_sound_stays_right_to_the_frames_of_a_recording_that_starts_late(tmp_path, sounding):
    late = tmp_path / "late.ts"
    with av.open(str(sounding)) as source, av.open(str(late), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.pts += round(5 / packet.time_base)
                packet.dts += round(5 / packet.time_base)
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    with open_video(tmp_path / "drawn.mp4", late) as writer:
        for frame in read_all(late):
            writer.write(frame.image, frame.seconds)
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        starts = [float((stream.start_time or 0) * stream.time_base) for stream in drawn.streams]
        assert starts == pytest.approx([0, 0], abs=0.1)


def test_sound_that_the_container_can_t_hold_is_encoded_anew(tmp_path):
    path = tmp_path / "talk.wmv"
    with av.open(str(path), "w") as target:
        images, sound = target.add_stream("wmv2", rate=10), target.add_stream("wmav2", rate=16000, layout="mono")
        images.height, images.width, images.pix_fmt, sound.bit_rate = 48, 64, "yuv420p", 32000
        for number in range(10):
            target.mux(images.encode(av.VideoFrame.from_ndarray(grey(number % 8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.sin(np.arange(16000)[None] * 0.2).astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        for packet in [*images.encode(None), *sound.encode(frame), *sound.encode(None)]:
            target.mux(packet)
    with open_video(tmp_path / "drawn.mp4", path) as writer:
        for frame in read_all(path):
            writer.write(frame.image, frame.seconds)
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        (stream,) = drawn.streams.audio
        assert stream.codec_context.name == "aac"
        assert float(stream.duration * stream.time_base) == pytest.approx(1, abs=0.15)
