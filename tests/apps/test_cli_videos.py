"""``mien predict`` on videos: times, numbers of faces, which frames, tables, and what is wrong with a file."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.media.image import read
from mien.media.video import FileSource, Sampling
from videos import swaying_face, write_frames


@pytest.fixture
def clip(tmp_path):
    return write_frames(tmp_path / "face.avi", swaying_face(30), fps=10)


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_video_gives_a_line_a_frame_with_its_time_and_the_faces_number(mien, clip):
    code, out, err = mien("predict", clip, "--json")
    assert code == 0, err
    frames = lines(out)
    assert [frame["index"] for frame in frames] == list(range(30))
    assert [frame["seconds"] for frame in frames] == pytest.approx([number / 10 for number in range(30)], abs=1e-3)
    assert {(face["track"], face["emotion"]) for frame in frames for face in frame["faces"]} == {(1, "happy")}


def test_photos_and_videos_go_together(mien, clip, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    code, out, _ = mien("predict", tmp_path / "one.png", clip, "--json", "--stride", 10)
    assert code == 0
    assert [(frame["index"], frame["seconds"] is None) for frame in lines(out)] == [
        (0, True), (0, False), (10, False), (20, False)
    ]  # fmt: skip


def test_frames_are_taken_every_so_often_between_two_times(mien, clip):
    code, out, _ = mien("predict", clip, "--json", "--every", 0.5, "--from", 0.9, "--to", 2.2)
    assert code == 0
    assert [frame["index"] for frame in lines(out)] == [9, 14, 19]


def test_a_csv_has_a_row_a_face_and_frame(mien, clip, tmp_path):
    assert mien("predict", clip, "--csv", tmp_path / "faces.csv", "--stride", 5).code == 0
    with (tmp_path / "faces.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["index"], row["track"], row["emotion"]) for row in rows] == [
        (str(number), "1", "happy") for number in range(0, 30, 5)
    ]


def test_the_table_has_a_row_per_face(mien, clip):
    code, out, _ = mien("predict", clip)
    assert code == 0
    assert str(clip) in out.replace("\n", "")
    assert "happy 100%" in out
    assert "3.0 s" in out


def test_a_video_without_faces_is_read_to_its_end(mien, tmp_path):
    clip = write_frames(tmp_path / "grey.avi", [np.full((120, 160, 3), 90, np.uint8)] * 5)
    code, out, _ = mien("predict", clip, "--json")
    assert code == 0
    assert [frame["faces"] for frame in lines(out)] == [[]] * 5


def test_a_file_that_holds_no_video_is_one_error_and_the_rest_is_read(mien, clip, tmp_path):
    (tmp_path / "torn.mp4").write_bytes(b"no video")
    code, out, err = mien("predict", tmp_path / "torn.mp4", tmp_path / "gone.mp4", clip, "--json", "--stride", 20)
    assert code == 1, err
    torn, gone, *rest = lines(out)
    assert "holds none" in torn["error"]
    assert "there is none" in gone["error"]
    assert [frame["error"] for frame in rest] == [None, None]


@pytest.mark.parametrize("wrong", [["--every", 0], ["--stride", 0], ["--from", -1], ["--from", 3, "--to", 2]])
def test_a_span_that_holds_nothing_is_refused(mien, clip, wrong):
    code, _, err = mien("predict", clip, *wrong)
    assert (code, "expected" in err) == (2, True), err


def test_subtitles_and_annotations_of_a_video(mien, clip, tmp_path):
    files = {name: tmp_path / f"out.{name}" for name in ("srt", "vtt", "elan", "page")}
    code, _, err = mien("predict", clip, *(part for name, path in files.items() for part in (f"--{name}", path)))
    assert code == 0, err
    assert files["srt"].read_text().startswith("1\n00:00:00,000 --> 00:00:03,000\nhappy ")
    assert files["vtt"].read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nhappy ")
    assert b'TIER_ID="face 1"' in files["elan"].read_bytes()
    page = files["page"].read_text()
    assert 'href="face.avi#t=0.000"' in page
    assert page.count("data:image/png") > 2
    assert mien("predict", clip, "--page", files["page"], "--no-thumbnails").code == 0
    assert "data:image/png" not in files["page"].read_text()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "frames"), [("clip.mp4", 115), pytest.param("woman.mp4", 464, marks=pytest.mark.long)]
)
def test_a_real_video_has_one_track_from_its_first_seconds_to_its_end(mien, shared, tmp_path, name, frames):
    path = shared / "data" / "video" / name
    code, out, err = mien("predict", path, "--json", "--srt", tmp_path / "out.srt", "--page", tmp_path / "out.html")
    assert code == 0, err
    read = lines(out)
    assert len(read) == frames
    assert {face["track"] for frame in read for face in frame["faces"]} - {None} == {1}
    assert sum(any(face["track"] == 1 for face in frame["faces"]) for frame in read) > 0.9 * frames
    assert 'id="face-1"' in (tmp_path / "out.html").read_text()


def test_subtitles_are_of_one_video(mien, clip, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    code, _, err = mien("predict", clip, tmp_path / "one.png", "--srt", tmp_path / "out.srt")
    assert (code, "expected one video for --srt; received 2 files" in err) == (2, True), err


def test_a_video_is_drawn_and_anonymized_with_all_its_frames(mien, clip, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    drawn, anonymized = tmp_path / "drawn", tmp_path / "anonymized"
    code, _, err = mien("predict", clip, tmp_path / "one.png", "--draw", drawn, "--anonymize", anonymized)
    assert code == 0, err
    assert sorted(path.name for path in drawn.iterdir()) == ["face.mp4", "one.png"]
    plain = read_all(clip)
    for folder in (drawn, anonymized):
        frames = read_all(folder / "face.mp4")
        assert [frame.seconds for frame in frames] == pytest.approx([frame.seconds for frame in plain], abs=1e-3)
        changed = [np.abs(one.image.astype(int) - two.image) for one, two in zip(frames, plain, strict=True)]
        assert all((change.max(axis=2) > 40).mean() > 0.02 for change in changed)
    face = (slice(80, 160), slice(185, 262))
    hidden = read(anonymized / "one.png").astype(int)
    assert (np.abs(hidden - astronaut())[face].max(axis=2) > 10).mean() > 0.95


def test_the_avatar_comes_from_a_folder_of_images(mien, tmp_path):
    images = tmp_path / "mine"
    images.mkdir()
    for label in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"):
        Image.new("RGB", (9, 9), (0, 255, 0) if label == "happy" else (255, 0, 0)).save(images / f"{label}.png")
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    assert mien("predict", tmp_path / "one.png", "--anonymize", tmp_path / "out", "--avatar", images).code == 0
    assert read(tmp_path / "out" / "one.png")[120, 224].tolist() == [0, 255, 0]


def test_an_incomplete_video_keeps_its_results_and_is_drawn_to_the_end(mien, tmp_path):
    whole = write_frames(tmp_path / "whole.mkv", swaying_face(30), 10, "libx264", "yuv420p", g="10")
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    code, out, err = mien("predict", cut, tmp_path / "one.png", "--json", "--draw", tmp_path / "drawn")
    assert code == 1, err
    *frames, told, photo = lines(out)
    assert 10 <= len(frames) < 30
    assert {face["emotion"] for frame in frames for face in frame["faces"]} == {"happy"}
    assert "frames are missing from" in told["error"]
    assert "to 3.0 s of 3.0 s" in told["error"]
    assert photo["error"] is None
    assert len(read_all(tmp_path / "drawn" / "cut.mkv")) == len(frames)


def test_drawings_of_a_video_never_take_its_place(mien, clip, tmp_path):
    mp4 = tmp_path / "drawn" / "face.mp4"
    assert mien("predict", clip, "--draw", tmp_path / "drawn").code == 0
    before = mp4.read_bytes()
    code, _, err = mien("predict", mp4, "--draw", tmp_path / "drawn")
    assert (code, "would take the place" in err) == (2, True), err
    assert mp4.read_bytes() == before


def read_all(path):
    source = FileSource(path)
    frames = list(source.frames(Sampling()))
    source.close()
    return frames
