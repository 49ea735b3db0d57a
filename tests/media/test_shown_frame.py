"""Frames are shown as a player shows them: fields, pixel aspect, rotation, colours, changes in the middle."""

from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import VideoError
from mien.media import shown_frame
from mien.media.shown_frame import UPRIGHT, Converter, DecodedFrame, Deinterlacer
from mien.media.video import FileSource, Sampling
from videos import write_frames

INTERLACED = "+ildct+ilme"


def read_all(path):
    source = FileSource(path)
    frames = list(source.frames(Sampling()))
    source.close()
    return frames


def moving_bar(count, width=96, height=64):
    """Interlaced frames of a bright bar that moves four pixels a field, the top field first."""
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 40, np.uint8)
        for field in (0, 1):
            left = 8 * number + 4 * field
            frame[field::2, left : left + 24] = 220
        frames.append(frame)
    return frames


def combing(image):
    """How much the even rows differ from the odd ones between them."""
    grey = image[..., 1].astype(int)
    return np.abs(grey[1:-1:2] - (grey[:-2:2] + grey[2::2]) / 2).mean()


FIELDS = {
    "h264.mp4": ("libx264", "yuv420p", {"flags": INTERLACED, "x264-params": "tff=1", "crf": "10"}),
    "h264.ts": ("libx264", "yuv420p", {"flags": INTERLACED, "x264-params": "bff=1", "crf": "10"}),
    "h264.mkv": ("libx264", "yuv420p", {"flags": INTERLACED, "x264-params": "tff=1", "crf": "10"}),
    "mpeg2.mpg": ("mpeg2video", "yuv420p", {"flags": INTERLACED, "qmin": "2", "qmax": "2"}),
    "mpeg2.ts": ("mpeg2video", "yuv420p", {"flags": INTERLACED, "qmin": "2", "qmax": "2"}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"flags": INTERLACED, "qmin": "2", "qmax": "2"}),
    "dv.avi": ("dvvideo", "yuv420p", {}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_interlaced_frames_become_whole_images(tmp_path, name):
    codec, pixels, options = FIELDS[name]
    frames = moving_bar(8, 720, 576) if codec == "dvvideo" else moving_bar(8)
    read = read_all(write_frames(tmp_path / name, frames, 25, codec, pixels, **options))
    assert len(read) == 8
    assert [frame.seconds for frame in read] == pytest.approx([number / 25 for number in range(8)], abs=1e-3)
    for frame, coded in zip(read, frames, strict=True):
        assert frame.image.shape == ((576, 768, 3) if codec == "dvvideo" else coded.shape)
        assert combing(frame.image) < combing(coded) / 3


@pytest.mark.parametrize("name", ["progressive.mp4", "progressive.ts"])
def test_progressive_frames_pass_as_they_are(tmp_path, name):
    frames = moving_bar(6)  # combed, but not marked as interlaced
    read = read_all(write_frames(tmp_path / name, frames, 25, "libx264", "yuv420p", crf="5"))
    assert all(combing(frame.image) > combing(coded) * 0.8 for frame, coded in zip(read, frames, strict=True))


def test_fields_that_only_the_container_states_become_whole_images(tmp_path):
    if not hasattr(av.VideoCodecContext, "field_order"):
        pytest.skip("needs PyAV 18.1")
    frames = moving_bar(6)
    for order, most in ((1, 1.2), (2, 0.3)):
        with av.open(str(tmp_path / "fields.mov"), "w") as target:
            stream = target.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj422p"
            stream.codec_context.field_order = order
            for frame in frames:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        assert combing(read_all(tmp_path / "fields.mov")[3].image) < combing(frames[3]) * most
        assert order == 2 or combing(read_all(tmp_path / "fields.mov")[3].image) > combing(frames[3]) * 0.8


@pytest.mark.parametrize("count", [1, 2])
def test_short_interlaced_videos_lose_no_frame(tmp_path, count):
    codec, pixels, options = FIELDS["h264.mp4"]
    read = read_all(write_frames(tmp_path / "short.mp4", moving_bar(count), 25, codec, pixels, **options))
    assert [frame.index for frame in read] == list(range(count))


def test_an_interlaced_video_never_shows_another_one(tmp_path):
    """OpenCV 4.13 and later handed out memory that was never written, with the faces of another video in it."""
    codec, pixels, options = FIELDS["h264.mp4"]
    noise = [np.random.default_rng(number).integers(0, 255, (64, 96, 3), np.uint8) for number in range(8)]
    write_frames(tmp_path / "noise.mp4", noise, 25, codec, pixels, **options)
    write_frames(
        tmp_path / "green.mp4", [np.full((64, 96, 3), (0, 200, 0), np.uint8)] * 8, 25, codec, pixels, **options
    )
    for _ in range(3):
        assert len(read_all(tmp_path / "noise.mp4")) == 8
        for frame in read_all(tmp_path / "green.mp4"):
            assert np.abs(frame.image.astype(int) - (0, 200, 0)).max() < 8


def test_the_images_of_frames_share_no_memory(tmp_path):
    frames = [np.full((48, 64, 3), 20 * number, np.uint8) for number in range(6)]
    read = read_all(write_frames(tmp_path / "grey.avi", frames))
    before = [frame.image.copy() for frame in read]
    read[0].image[:] = 255
    assert all(frame.image.flags.owndata and frame.image.flags.c_contiguous for frame in read)
    assert all(np.array_equal(frame.image, image) for frame, image in zip(read[1:], before[1:], strict=True))


def flat(width, height, value=(200, 40, 60), pixels="yuv420p"):
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), value, np.uint8), format="rgb24")
    return frame.reformat(format=pixels)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 50),
    pixels=st.sampled_from(
        [
            "yuv420p",
            "yuv422p10le",
            "yuv444p",
            "yuvj420p",
            "nv12",
            "yuyv422",
            "rgb24",
            "bgra",
            "gray",
            "gray10le",
            "gbrp",
        ]
    ),
    aspect=st.fractions(Fraction(1, 4), 4, max_denominator=12),
    angle=st.sampled_from([0, 90, 180, 270]),
)
def test_any_size_pixel_format_aspect_and_angle_gives_a_whole_image(width, height, pixels, aspect, angle):
    frame = flat(width, height, (90, 90, 90), pixels)
    image = Converter().rgb(DecodedFrame(0, 0.0, frame, aspect, turned_by(angle)))
    shown = (height, max(round(width * aspect), 1))
    assert image.shape == (*(shown if angle % 180 == 0 else shown[::-1]), 3)
    assert np.abs(image.astype(int) - 90).max() < 6


def turned_by(angle):
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    return (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)


MIRRORED = {
    "as stored": (UPRIGHT, lambda image: image),
    "clockwise": (turned_by(90), lambda image: np.rot90(image, -1)),
    "half": (turned_by(180), lambda image: np.rot90(image, 2)),
    "counterclockwise": (turned_by(270), lambda image: np.rot90(image, 1)),
    "upside down in a mirror": ((1 << 16, 0, 0, 0, -1 << 16, 0, 0, 0, 1 << 30), lambda image: image[::-1]),
    "in a mirror": ((-1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), lambda image: image[:, ::-1]),
    "transposed": ((0, 1 << 16, 0, 1 << 16, 0, 0, 0, 0, 1 << 30), lambda image: image.transpose(1, 0, 2)),
    "nothing": ((0,) * 9, lambda image: image),
}


@pytest.mark.parametrize("name", MIRRORED)
def test_rotated_and_mirrored_frames_are_shown_upright(name):
    matrix, upright = MIRRORED[name]
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    assert np.array_equal(Converter().rgb(DecodedFrame(0, 0.0, frame, Fraction(1), matrix)), upright(image))


@pytest.mark.parametrize(
    ("aspect", "width"),
    [("4/3", 128), ("8/9", 85), ("64/45", 137), ("2/1", 192), ("1/2", 48), ("1/1", 96), ("100/1", 96)],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pixels_are_made_square_unless_a_header_is_absurd(tmp_path, aspect, width, suffix):
    path = tmp_path / f"aspect.{suffix}"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for frame in [*(flat(96, 64) for _ in range(8)), None]:
            target.mux(stream.encode(frame))
    assert {frame.image.shape for frame in read_all(path)} == {(64, width, 3)}


@pytest.mark.parametrize(("matrix", "standard"), [(1, "ITU709"), (6, "ITU601")])
@pytest.mark.parametrize(("span", "name"), [(1, "MPEG"), (2, "JPEG")])
def test_colours_follow_the_matrix_and_range_that_a_frame_states(matrix, standard, span, name):
    image = np.zeros((32, 40, 3), np.uint8)
    image[:, :20], image[:, 20:] = (200, 40, 60), (250, 250, 250)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format="yuv444p", dst_colorspace=standard, dst_color_range=name
    )
    frame.colorspace, frame.color_range = matrix, span
    assert np.abs(Converter().rgb(DecodedFrame(0, 0.0, frame)).astype(int) - image).max() < 4


@pytest.mark.parametrize("matrix", [3, 8, 10, 14, 17, 200])
def test_colours_of_a_matrix_that_no_filter_takes_are_read_as_if_none_were_stated(matrix):
    frame = flat(96, 64, (90, 90, 90))
    frame.colorspace, frame.color_trc, frame.color_primaries = matrix, 243, 255
    assert np.abs(Converter().rgb(DecodedFrame(0, 0.0, frame)).astype(int) - 90).max() < 6


def test_the_size_may_change_in_the_middle(tmp_path):
    parts = []
    for number, (width, height) in enumerate(((96, 64), (64, 48), (128, 96))):
        frames = [np.full((height, width, 3), 60 * (number + 1), np.uint8)] * 5
        parts.append(write_frames(tmp_path / f"{number}.h264", frames, 25, "libx264", "yuv420p").read_bytes())
    (tmp_path / "joined.h264").write_bytes(b"".join(parts))
    read = read_all(tmp_path / "joined.h264")
    assert [frame.image.shape[:2] for frame in read] == [(64, 96)] * 5 + [(48, 64)] * 5 + [(96, 128)] * 5
    assert [round(frame.image.mean() / 60) for frame in read] == [1] * 5 + [2] * 5 + [3] * 5


def test_fields_and_sizes_may_both_change_in_the_middle():
    deinterlacer, shown = Deinterlacer("tff"), []
    sizes = [(32, 24), (32, 24), (40, 24), (2, 2), (40, 24), (40, 24)]
    for number, size in enumerate(sizes):
        shown += deinterlacer.push(DecodedFrame(number, number / 25, flat(*size)))
    shown += deinterlacer.flush()
    assert [(one.index, one.frame.width, one.frame.height) for one in shown] == [
        (number, *size) for number, size in enumerate(sizes)
    ]


def test_an_aspect_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(shown_frame, "MAX_PIXELS", 5000)
    with pytest.raises(VideoError, match=re.escape("at most 5,000 pixels; received 192x64")):
        Converter().rgb(DecodedFrame(0, 0.0, flat(96, 64), Fraction(2)))
