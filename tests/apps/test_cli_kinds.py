"""``mien predict`` on the kinds of files that folders of real photos and videos hold, under true and false names."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image, features

from mien.media.image import read
from mien.media.video_writer import open_video

pytest.importorskip("av", reason="writes the videos: pip install 'mien[video]'")


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait):
    """A video of four frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with open_video(path) as writer:
        for number in range(4):
            writer.write(portrait, number / 25)
    return path


@pytest.fixture
def save(tmp_path, portrait):
    """Writes the portrait under a name in a format."""

    def write(name, form, frame=portrait, **options):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            Image.fromarray(frame).save(file, form, **options)
        return path

    return write


@pytest.mark.parametrize("name", ["clip.MTS", "clip", "clip.jpg", "clip.2024", "clip.txt"])
def test_a_video_is_one_under_any_name(mien, clip, tmp_path, name):
    code, out, err = mien("predict", shutil.copy(clip, tmp_path / name), "--json")
    assert code == 0, err
    assert [(line["seconds"], line["faces"][0]["emotion"]) for line in lines(out)] == [
        (pytest.approx(number / 25, abs=1e-3), "happy") for number in range(4)
    ]


@pytest.mark.parametrize(
    ("name", "form"), [("a.jpg", "PNG"), ("a.mp4", "JPEG"), ("a.ts", "WEBP"), ("none", "TIFF"), ("a.png", "TGA")]
)
def test_an_image_is_one_under_any_name(mien, save, name, form):
    code, out, err = mien("predict", save(name, form), "--json")
    assert code == 0, err
    assert [(line["seconds"], line["faces"][0]["emotion"]) for line in lines(out)] == [(None, "happy")]


def test_a_folder_gives_photos_and_videos_and_says_what_it_skipped(mien, save, clip, tmp_path):
    folder = tmp_path / "holiday"
    save("holiday/1.jpg", "JPEG")
    save("holiday/2", "PNG")
    if features.check("avif"):
        save("holiday/3.avif", "AVIF")
    shutil.copy(clip, folder / "4.MTS")
    for name in ("notes.txt", "b.TXT", "c.pdf", ".hidden", "faces.csv"):
        (folder / name).write_text("emotion, and more of it")
    code, out, err = mien("predict", folder, "--json", "--csv", folder / "faces.csv")
    assert code == 0, err
    found = {line["source"].rpartition("/")[2]: line["faces"][0]["emotion"] for line in lines(out)}
    assert found == dict.fromkeys(["1.jpg", "2", *(["3.avif"] if features.check("avif") else []), "4.MTS"], "happy")
    assert "3 files skipped: 2 .txt, 1 .pdf\n" in err


def test_a_heic_without_its_reader_is_a_row_with_the_remedy(mien, save, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    save("in/1.jpg", "JPEG")
    (tmp_path / "in" / "2.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    code, out, _ = mien("predict", tmp_path / "in", "--json")
    assert code == 1
    assert [line["error"] is None for line in lines(out)] == [True, False]
    assert "pip install --upgrade pillow-heif" in lines(out)[1]["error"]


def test_a_table_of_many_images_leaves_videos_out_and_says_so(mien, save, clip, tmp_path):
    save("in/1.jpg", "JPEG")
    content = save("in/2.jpg", "JPEG").read_bytes()
    (tmp_path / "in" / "2.jpg").write_bytes(content[:-2])
    shutil.copy(clip, tmp_path / "in" / "3.mov")
    code, _, err = mien("predict", tmp_path / "in", "--out", tmp_path / "faces.jsonl", "--processes", 1)
    assert code == 0, err
    assert "1 file skipped: 1 .mov; images alone are taken here" in err
    assert "1 images were read with a warning" in err
    rows = lines((tmp_path / "faces.jsonl").read_text())
    assert [len(row["warnings"]) for row in rows] == [0, 1]
    assert mien("predict", clip, "--out", tmp_path / "other.jsonl").code == 2


def test_a_warning_is_in_the_table_and_the_json(mien, save):
    path = save("cut.jpg", "JPEG")
    path.write_bytes(path.read_bytes()[:-2])
    code, out, _ = mien("predict", path)
    assert code == 0
    assert "warning: the file has no end" in " ".join(out.split())
    (line,) = lines(mien("predict", path, "--json").out)
    assert line["warnings"] == ["the file has no end mark, so it may have been cut short; no pixel is missing"]


def test_boxes_of_a_large_photo_are_in_pixels_of_the_file(mien, save, portrait, tmp_path, monkeypatch):
    """Its drawing has the size that was decoded."""
    from mien.media import formats, header, image

    (small,) = lines(mien("predict", save("small.png", "PNG"), "--json").out)
    for module in (formats.jpeg, header, image):
        monkeypatch.setattr(module, "MAX_PIXELS", 100_000)
    large = np.asarray(Image.fromarray(portrait).resize((512, 512), Image.Resampling.BICUBIC))
    path = save("large.jpg", "JPEG", large, quality=95)
    (line,) = lines(mien("predict", path, "--json", "--draw", tmp_path / "drawn").out)
    assert line["faces"][0]["box"] == pytest.approx([2 * edge for edge in small["faces"][0]["box"]], abs=6)
    assert np.array(line["faces"][0]["landmarks"]) == pytest.approx(2 * np.array(small["faces"][0]["landmarks"]), abs=6)
    drawn = read(tmp_path / "drawn" / "large.jpg")
    assert drawn.shape == (256, 256, 3)
    changed = np.abs(drawn.astype(int) - portrait).sum(axis=2) > 60
    left, top, _, bottom = small["faces"][0]["box"]
    assert changed[top + 20 : bottom - 20, left - 3 : left + 4].any(axis=1).mean() > 0.8


def test_given_boxes_are_in_pixels_of_the_file(save, portrait, monkeypatch):
    from mien import Box, Recognizer
    from mien.media import formats

    monkeypatch.setattr(formats.jpeg, "MAX_PIXELS", 100_000)
    recognizer = Recognizer.load()
    large = np.asarray(Image.fromarray(portrait).resize((512, 512), Image.Resampling.BICUBIC))
    (found,) = recognizer.predict(save("large.jpg", "JPEG", large, quality=95)).predictions
    box = Box(*found.face.box.xyxy)
    (given,) = recognizer.predict(save("large.jpg", "JPEG", large, quality=95), boxes=[box]).predictions
    assert given.face.box == box
    assert given.probabilities == pytest.approx(found.probabilities, abs=1e-4)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["base_noeoi.jpg", "base.tga", "g16_low10.png", "cam.MTS"])
def test_a_case_of_the_issue_is_happy(mien, shared, name):
    code, out, err = mien("predict", shared / "cases" / name, "--json", "--stride", 10)
    assert code == 0, err
    assert {face["emotion"] for line in lines(out) for face in line["faces"]} == {"happy"}
