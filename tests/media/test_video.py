"""Frames, times and sampling of videos and images, and what is refused; how frames are shown: test_shown_frame.py."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from mien.errors import UsageError, VideoError
from mien.media import decoder
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


@pytest.mark.parametrize("read_before", [0, 3])
def test_a_file_that_is_closed_gives_an_error(tmp_path, read_before):
    source = FileSource(write_clip(tmp_path / "clip.mp4"))
    frames = source.frames(Sampling())
    for _ in range(read_before):
        next(frames)
    source.close()
    source.close()
    assert (source.length, source.fps) == (pytest.approx(1.2), 10)
    with pytest.raises(VideoError, match="closed before its end"):
        list(frames)


def test_another_thread_may_close_a_file_that_is_read(tmp_path):
    for frames_before in range(10):
        source = FileSource(write_clip(tmp_path / "clip.mp4"))
        begun = threading.Barrier(2)
        ends = []

        def reading(source=source, begun=begun, ends=ends, frames_before=frames_before):
            try:
                for frame in source.frames(Sampling()):
                    if frame.index == frames_before:
                        begun.wait()
                ends.append("whole")
            except VideoError:
                ends.append("closed")

        thread = threading.Thread(target=reading)
        thread.start()
        begun.wait()
        source.close()
        thread.join()
        assert ends[0] in {"whole", "closed"}


def test_streams_that_appear_in_the_middle_are_left_out(tmp_path):
    path = tmp_path / "live.flv"
    with av.open(str(path), "w") as target:
        images = target.add_stream("flv", rate=10)
        images.height, images.width, images.pix_fmt = 48, 64, "yuv420p"
        sound = target.add_stream("pcm_s16le", rate=11_025, layout="mono")
        for number in range(60):
            image = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1102), np.int16), format="s16", layout="mono")
            tone.sample_rate, tone.pts, tone.time_base = 11_025, 1102 * number, Fraction(1, 11_025)
            target.mux([*images.encode(image), *sound.encode(tone)])
        target.mux([*images.encode(None), *sound.encode(None)])
    content, at, sounds = bytearray(path.read_bytes()), 13, []
    while at + 11 < len(content):
        if content[at] == 8:
            sounds.append(at + 11)
        at += 11 + int.from_bytes(content[at + 1 : at + 4], "big") + 4
    content[sounds[-1]] = 2 << 4 | content[sounds[-1]] & 15  # the last packet of sound is in another codec
    path.write_bytes(content)
    assert len(times_of(path)) == 60


def times_of(path):
    source = FileSource(path)
    times = [frame.seconds for frame in source.frames(Sampling())]
    source.close()
    return times


UNEVEN = [0, 40, 80, 500, 517, 1250, 1251, 3000]
"""Milliseconds."""


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "nut"])
@pytest.mark.parametrize("first", [0, 700, 60_000])
@pytest.mark.parametrize("reordered", [0, 2])
def test_times_are_right_to_a_millisecond(tmp_path, suffix, first, reordered):
    path = tmp_path / f"uneven.{suffix}"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", options={"bf": str(reordered)})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, milliseconds in enumerate(UNEVEN):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = first + milliseconds, Fraction(1, 1000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    assert times_of(path) == pytest.approx([milliseconds / 1000 for milliseconds in UNEVEN], abs=1e-3)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "h264"), ("mpeg4", "m4v"), ("libx264", "avi")])
def test_times_that_a_file_does_not_state_follow_its_rate(tmp_path, codec, suffix):
    frames = [np.full((48, 64, 3), 20 * number, np.uint8) for number in range(9)]
    path = write_frames(tmp_path / f"untimed.{suffix}", frames, 25, codec, "yuv420p")
    assert times_of(path) == pytest.approx([number / 25 for number in range(9)], abs=1e-3)


def test_timestamps_that_begin_anew_go_on(tmp_path):
    part = write_frames(tmp_path / "part.ts", [np.zeros((48, 64, 3), np.uint8)] * 50, 25, "mpeg2video", "yuv420p")
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 3)
    times = times_of(tmp_path / "joined.ts")
    assert len(times) == 150
    assert np.diff(times) == pytest.approx([0.04] * 149, abs=1e-3)


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{video}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{video}'\n",
    "list.avi": "ffconcat version 1.0\nfile '{video}'\n",
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{video}</BaseURL>'
    "</Period></MPD>",
    "script.avs": 'Version()\nDirectShowSource("{video}")\n',
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_files_that_name_other_files_are_refused(tmp_path, name):
    video = write_clip(tmp_path / "clip.avi")
    (tmp_path / name).write_text(PLAYLISTS[name].format(video=video))
    with pytest.raises(VideoError, match="holds none"):
        FileSource(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "http:clip.avi",
        "tcp:host:80",
        "concat:clip.avi|clip.avi",
        "pipe:0",
        "data:x,y",
        "%03d.avi",
        "-i.avi",
        "a*b?.avi",
    ],
)
def test_a_name_is_never_taken_for_an_address_or_a_pattern(tmp_path, monkeypatch, name):
    write_clip(tmp_path / "clip.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    source = FileSource(Path(name))
    assert len(list(source.frames(Sampling()))) == 12
    source.close()


def test_sound_alone_is_refused_and_cover_art_is_not_the_video(tmp_path):
    frames = [np.full((48, 64, 3), 200, np.uint8)] * 5
    cover = av.CodecContext.create("png", "w")
    cover.width, cover.height, cover.pix_fmt, cover.time_base = 640, 480, "rgb24", Fraction(1, 25)
    art = cover.encode(av.VideoFrame.from_ndarray(np.zeros((480, 640, 3), np.uint8), format="rgb24"))[0]
    for name, count in (("talk.m4a", 0), ("film.mp4", 5)):
        with av.open(str(tmp_path / name), "w", format="mp4") as target:
            cover = target.add_stream("png", rate=25)
            cover.width, cover.height, cover.pix_fmt = 640, 480, "rgb24"
            cover.disposition = Disposition.attached_pic
            sound = target.add_stream("aac", rate=8000, layout="mono")
            video = target.add_stream("libx264", rate=25) if count else None
            if video:
                video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            tone.sample_rate = 8000
            for packet in [*sound.encode(tone), *sound.encode()]:
                target.mux(packet)
            for frame in [*frames[:count], None] if video else ():
                target.mux(video.encode(frame if frame is None else av.VideoFrame.from_ndarray(frame, format="rgb24")))
            art.stream, art.pts, art.dts = cover, 0, 0
            target.mux(art)
    with pytest.raises(VideoError, match="received sound without a video"):
        FileSource(tmp_path / "talk.m4a")
    source = FileSource(tmp_path / "film.mp4")
    assert [frame.image.shape for frame in source.frames(Sampling())] == [(48, 64, 3)] * 5
    source.close()


def test_frames_that_would_fill_the_memory_are_refused_before_one_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "MAX_PIXELS", 1000)
    images = [np.zeros((48, 64, 3), np.uint8)] * 3
    with pytest.raises(VideoError, match=r"expected frames of at most 1,000 pixels .* received 64x48"):
        FileSource(write_frames(tmp_path / "clip.mp4", images, 25, "libx264", "yuv420p"))
    with pytest.raises(VideoError, match="more than 1,000 pixels"):
        FileSource(write_frames(tmp_path / "clip.avi", images)).read()


def test_a_video_without_frames_is_refused(tmp_path):
    path = write_frames(tmp_path / "clip.avi", [np.zeros((48, 64, 3), np.uint8)])
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 4])
    with pytest.raises(VideoError, match=r"without a frame|holds none"):
        FileSource(path).read()


def test_nothing_is_written_to_the_terminal(tmp_path, capfd):
    path = write_clip(tmp_path / "clip.avi")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(VideoError):
        list(FileSource(path).frames(Sampling()))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["anim.gif", "anim.apng"])
def test_animations_are_read_as_videos(tmp_path, name):
    images = [Image.new("RGB", (32, 24), (40 * number, 0, 0)) for number in range(5)]
    form = "PNG" if name.endswith("apng") else "GIF"
    images[0].save(tmp_path / name, form, save_all=True, append_images=images[1:], duration=100, loop=0)
    assert times_of(tmp_path / name) == pytest.approx([number / 10 for number in range(5)], abs=1e-3)


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.long)])
def test_mutated_videos_neither_hang_nor_crash(count):
    command = [sys.executable, "-m", "fuzz.videos", str(count)]
    done = subprocess.run(
        command, check=False, cwd=Path(__file__).parents[1], capture_output=True, encoding="latin-1", timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    sure = {"all frames", "incomplete", "refused"}
    assert sure <= set(told["ends"]) <= {*sure, "some frames"}, told
    assert told["slowest"] < 10
    assert told["memory"] < (150 if count < 1000 else 300)  # one of 20,000 has a forged size just below the limit


def test_memory_does_not_grow_with_the_frames(tmp_path):
    """PyAV's frames hold themselves in a circle once their side data is read, until Python's collector comes by."""

    def frames_held():
        return sum(type(held) is av.VideoFrame for held in gc.get_objects())  # isinstance wakes lazy objects of torch

    path = write_frames(tmp_path / "long.mp4", [np.zeros((48, 64, 3), np.uint8)] * 60, 25, "libx264", "yuv420p")
    source = FileSource(path)
    gc.collect()
    gc.disable()
    try:
        before = frames_held()
        held = [frames_held() - before for _ in source.frames(Sampling(stride=10))]
    finally:
        gc.enable()
        source.close()
    assert len(held) == 6
    assert max(held) < 8
