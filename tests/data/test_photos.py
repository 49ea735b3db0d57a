from __future__ import annotations

import numpy as np
import pytest

from mien.data import folders
from mien.errors import DatasetError
from mien.media.image import write as write_image

FRAME = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def album(tmp_path):
    """A folder with a.png, b.png and sub/c.png, an image outside it, and the legend given."""
    root = tmp_path / "album"
    for name in ("a.png", "b.png", "sub/c.png", "../outside.png"):
        write_image(root / name, FRAME)

    def make(*lines: str):
        (root / "legend.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return root

    return make


@pytest.mark.parametrize(
    "lines",
    [
        ["image,emotion", "a.png,happy", "sub/c.png,fear"],
        ["emotion,image", "happy,a.png", "fear,sub/c.png"],
        ["\ufeffImage, Emotion ", "a.png , Happiness", "", "sub/c.png,AFRAID"],
        ["user,image,emotion,note", '1,a.png,joy,"x, y"', "2,sub/c.png,scared,"],
    ],
)
def test_a_legend_is_read_by_column_name(album, lines):
    root = album(*lines)
    found = folders.read_photos(root)
    assert found.paths == (root / "a.png", root / "sub" / "c.png")
    assert found.labels == ("happy", "fear")
    assert (len(found), found.rejected) == (2, ())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.png", "within the folder"),
        ("sub/../../outside.png", "within the folder"),
        ("sub/../a.png", "within the folder"),
        ("..\\outside.png", "within the folder"),
        ("/etc/hostname", "within the folder"),
        ("C:\\x.png", "within the folder"),
        ("\\\\host\\share\\x.png", "within the folder"),
        ("absent.png", "there is none"),
        ("sub", "there is none"),
        ("x" * 5000, "there is none"),
        ("", "received none"),
        ("b.png", "listed twice"),
        ("link.png", "leads outside"),
        ("linked/outside.png", "leads outside"),
    ],
)
def test_names_that_lead_nowhere_or_outside_are_rejected(album, name, reason):
    root = album("image,emotion", "b.png,sad", f"{name},happy", "a.png,angry")
    (root / "link.png").symlink_to(root.parent / "outside.png")
    (root / "linked").symlink_to(root.parent)
    found = folders.read_photos(root)
    assert found.paths == (root / "b.png", root / "a.png")
    assert [bad.place for bad in found.rejected] == ["3"]
    assert reason in found.rejected[0].reason


@pytest.mark.parametrize("word", ["pensive", "", "happy sad", "7"])
def test_unknown_words_are_rejected(album, word):
    found = folders.read_photos(album("image,emotion", f"a.png,{word}", "b.png,sad"))
    assert found.labels == ("sad",)
    assert [(bad.place, repr(word) in bad.reason) for bad in found.rejected] == [("2", True)]


def test_a_row_that_is_too_short_is_rejected(album):
    found = folders.read_photos(album("image,emotion", "a.png", "b.png,sad"))
    assert [bad.place for bad in found.rejected] == ["2"]


@pytest.mark.parametrize(
    "lines",
    [["a.png,happy"], ["image,label", "a.png,happy"], ["image,emotion"], ["image,emotion", "x.png,happy"], [""]],
)
def test_a_legend_without_columns_or_photos_is_refused(album, lines):
    with pytest.raises(DatasetError, match="expected"):
        folders.read_photos(album(*lines))


def test_a_legend_that_is_no_text_is_refused(album):
    root = album("image,emotion")
    (root / "legend.csv").write_bytes(b"image,emotion\n\xff\xfe\xff")
    with pytest.raises(DatasetError, match="can't be read"):
        folders.read_photos(root)


def test_class_folders_serve_too(tmp_path):
    for name in ("Happiness/b.png", "Happiness/a.png", "anger/c.png", "odd/d.png"):
        write_image(tmp_path / name, FRAME)
    (tmp_path / "anger" / "notes.txt").touch()
    found = folders.read_photos(tmp_path)
    assert [path.name for path in found.paths] == ["a.png", "b.png", "c.png"]
    assert found.labels == ("happy", "happy", "angry")
    assert {bad.place for bad in found.rejected} == {"anger/notes.txt", "odd/d.png"}


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="expected"):
        folders.read_photos(tmp_path / "absent")


def test_answers_are_expressions_one_a_photo(tmp_path):
    with pytest.raises(DatasetError, match="expression"):
        folders.LabelledPhotos((tmp_path,), ("pensive",))
    with pytest.raises(DatasetError, match="each photo"):
        folders.LabelledPhotos((tmp_path,), ())


@pytest.mark.shared
def test_the_real_photos(shared_data):
    found = folders.read_photos(shared_data / "photos")
    assert len(found) == 872
    assert [bad.place for bad in found.rejected] == ["701"]  # the 873rd label is a second one for one photo
