"""``mien predict`` on videos: times, numbers of faces, which frames, tables, and what is wrong with a file."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.errors import VideoError
from mien.media.image import read
from mien.media.video import FileSource, Sampling
from mien.outputs.tables import CsvWriter
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


@pytest.mark.parametrize(("stride", "words"), [(1, "5 frames"), (2, "3 frames"), (9, "1 frame")])
def test_a_video_without_faces_says_so(mien, tmp_path, stride, words):
    clip = write_frames(tmp_path / "grey.avi", [np.full((120, 160, 3), 90, np.uint8)] * 5)
    code, out, _ = mien("predict", clip, "--stride", stride)
    assert (code, out.replace("\n", " ").strip()) == (0, f"{clip} no face found in {words}")


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


# -- one frame


ONE_FRAME = [["--every", 10], ["--stride", 100], ["--from", 2.9], ["--to", 0], ["--from", 1.4, "--to", 1.45]]


@pytest.mark.parametrize("options", ONE_FRAME, ids=str)
def test_one_frame_lasts_as_long_as_a_frame(mien, clip, tmp_path, options):
    files = {name: tmp_path / f"out.{name}" for name in ("srt", "vtt", "elan", "page")}
    named = [part for name, path in files.items() for part in (f"--{name}", path)]
    code, out, err = mien("predict", clip, *options, *named, "--draw", tmp_path / "drawn", "--csv", tmp_path / "f.csv")
    assert code == 0, err
    assert "happy 100%" in out
    (start, end), *others = re.findall(r"00:00:(\d\d,\d+) --> 00:00:(\d\d,\d+)", files["srt"].read_text())
    assert not others
    assert float(end.replace(",", ".")) - float(start.replace(",", ".")) == pytest.approx(0.1, abs=0.002)
    assert "happy" in files["vtt"].read_text()
    assert b"happy" in files["elan"].read_bytes()
    assert 'id="face-1"' in files["page"].read_text()
    assert len(read_all(tmp_path / "drawn" / "face.mp4")) == 1


@pytest.mark.parametrize(("fps", "milliseconds"), [(4.0, 250), (25.0, 40), (30.0, 33), (60.0, 17)])
def test_a_video_of_one_frame_takes_no_other_s_results(mien, clip, tmp_path, fps, milliseconds):
    one = write_frames(tmp_path / "one.avi", swaying_face(1), fps=fps)
    code, out, err = mien("predict", clip, one, clip, "--csv", tmp_path / "f.csv", "--stride", 10)
    assert (code, out.count("happy 100%")) == (0, 3), err
    assert sources_of(tmp_path / "f.csv") == [clip.name] * 3 + [one.name] + [clip.name] * 3
    assert mien("predict", one, "--srt", tmp_path / "one.srt").code == 0
    assert f"00:00:00,000 --> 00:00:00,{milliseconds:03}" in (tmp_path / "one.srt").read_text()


@pytest.mark.parametrize("options", [["--from", 3], ["--from", 99], ["--from", 1.41, "--to", 1.45]], ids=str)
def test_times_without_a_frame_are_named(mien, clip, tmp_path, options):
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    table, drawn = tmp_path / "f.csv", tmp_path / "drawn"
    code, out, err = mien("predict", clip, tmp_path / "one.png", *options, "--csv", table, "--draw", drawn)
    assert code == 1, err
    assert f"expected frames between {options[1]:g} s and" in " ".join(out.split())
    assert sources_of(table) == [clip.name, "one.png"]
    assert [path.name for path in drawn.iterdir()] == ["one.png"]
    code, _, err = mien("predict", clip, *options, "--srt", tmp_path / "out.srt")
    assert (code, (tmp_path / "out.srt").exists(), "written" in err) == (1, False, False)


# -- what happens to one file


def sources_of(table):
    with table.open(newline="", encoding="utf-8") as file:
        return [row["source"].replace("\\", "/").rpartition("/")[2] for row in csv.DictReader(file)]


@pytest.fixture
def torn(tmp_path, monkeypatch):
    """A video whose last frames are damaged: it gives the others, then an error."""
    path = write_frames(tmp_path / "torn.avi", swaying_face(30), fps=10)
    whole = FileSource.frames

    def frames(source, sampling):
        for frame in whole(source, sampling):
            if source._path == path and frame.index == 20:
                raise VideoError("expected 30 frames; received 20, none from 2.0 s on")
            yield frame

    monkeypatch.setattr(FileSource, "frames", frames)
    return path


def test_an_incomplete_video_keeps_what_it_gave(mien, clip, torn, tmp_path):
    table, drawn = tmp_path / "f.csv", tmp_path / "drawn"
    code, out, err = mien("predict", torn, clip, "--csv", table, "--draw", drawn)
    assert code == 1, err
    assert sources_of(table) == [torn.name] * 21 + [clip.name] * 30
    assert "none from 2.0 s on" in " ".join(out.split())
    assert "2.0 s" in out
    assert [len(read_all(drawn / name)) for name in ("torn.mp4", "face.mp4")] == [20, 30]
    code, _, err = mien("predict", torn, "--srt", tmp_path / "out.srt", "--page", tmp_path / "out.html")
    assert code == 1, err
    assert "00:00:00,000 --> 00:00:02,000" in (tmp_path / "out.srt").read_text()
    assert (tmp_path / "out.html").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), MemoryError(), OSError(28, "No space")], ids=str)
@pytest.mark.parametrize("frame", [0, 7], ids=["at once", "later"])
def test_a_fault_in_a_drawing_takes_no_other_file(mien, clip, tmp_path, monkeypatch, error, frame):
    from mien.visualization import annotate

    second = write_frames(tmp_path / "second.avi", swaying_face(10), fps=10)
    whole, drawn = annotate.draw, tmp_path / "drawn"
    calls = iter(range(99))

    def draw(image, predictions):
        if next(calls) == frame:
            raise error
        return whole(image, predictions)

    monkeypatch.setattr(annotate, "draw", draw)
    code, out, err = mien("predict", second, clip, "--json", "--csv", tmp_path / "f.csv", "--draw", drawn)
    assert code == 1, err
    assert sources_of(tmp_path / "f.csv") == [second.name] * (frame + 2) + [clip.name] * 30
    assert [line["source"] for line in lines(out) if line["error"]] == [str(second)]
    assert [path.name for path in drawn.iterdir()] == ["face.mp4"]


@pytest.mark.parametrize("name", ["to_srt", "to_eaf"])
def test_a_fault_in_a_timeline_takes_no_other_form(mien, clip, tmp_path, monkeypatch, name):
    def fail(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(f"mien.tracking.{name}", fail)
    files = {form: tmp_path / f"out.{form}" for form in ("srt", "vtt", "elan", "page")}
    named = [part for form, path in files.items() for part in (f"--{form}", path)]
    code, out, err = mien("predict", clip, "--json", "--csv", tmp_path / "f.csv", *named)
    broken = files["srt" if name == "to_srt" else "elan"]
    assert (code, len(lines(out)), len(sources_of(tmp_path / "f.csv"))) == (1, 30, 30)
    assert f"{broken} is not written" in err
    assert [path.exists() for path in files.values()] == [path != broken for path in files.values()]


def test_a_table_that_can_t_be_written_ends_the_run(mien, clip, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CsvWriter, "write", fail)
    code, _, err = mien("predict", clip, clip, "--csv", tmp_path / "f.csv")
    assert (code, "No space left" in err) == (2, True)
    assert not (tmp_path / "f.csv").exists()


def read_all(path):
    source = FileSource(path)
    frames = list(source.frames(Sampling()))
    source.close()
    return frames
