from __future__ import annotations

import csv

import numpy as np
import pytest

from mien.data import load as load_dataset
from mien.media.image import read as read_image


@pytest.fixture
def photos(paint, portrait, tmp_path):
    """A photo of one face, one of two, and one of none."""
    paint("photos/happy/one.png", portrait)
    paint("photos/happy/two.png", np.hstack([portrait, portrait[:, ::-1]]))
    paint("photos/sad/none.png")
    return tmp_path / "photos"


def statuses(out):
    with (out / "crops.csv").open(newline="", encoding="utf-8") as file:
        return {row["source"]: row["status"] for row in csv.DictReader(file)}


def test_photos_become_a_data_set(mien, photos, tmp_path):
    out = tmp_path / "crops"
    done = mien("data", "crop", photos, "--out", out, "--detector", "haar")
    assert (done.code, done.out) == (0, "")
    assert "1 face crops" in done.err
    assert "not cropped: 1 no face, 1 several faces" in done.err
    assert statuses(out) == {
        "happy/one.png": "cropped",
        "happy/two.png": "several faces",
        "sad/none.png": "no face",
    }
    assert load_dataset(out).rows.tolist() == ["happy/one.png"]


def test_largest_and_size_are_obeyed(mien, photos, tmp_path):
    out = tmp_path / "crops"
    done = mien("data", "crop", photos, "--out", out, "--detector", "haar", "--largest", "--size", 64)
    assert done.code == 0
    assert sorted(path.name for path in (out / "happy").iterdir()) == ["one.png", "two.png"]
    assert read_image(out / "happy" / "two.png").shape == (64, 64, 3)


def test_an_unreadable_photo_exits_with_1_and_the_rest_is_there(mien, photos, tmp_path):
    (photos / "sad" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    done = mien("data", "crop", photos, "--out", tmp_path / "crops", "--detector", "haar")
    assert done.code == 1
    assert "1 unreadable" in done.err
    assert statuses(tmp_path / "crops")["happy/one.png"] == "cropped"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--size", "7"], "8 to 256"),
        (["--detector", "eyes"], "expected a detector"),
        (["--model", "absent"], "absent"),
    ],
)
def test_what_no_run_could_use_is_wrong_usage(mien, photos, tmp_path, options, word):
    done = mien("data", "crop", photos, "--out", tmp_path / "crops", *options)
    assert done.code == 2
    assert word in done.err
    assert not (tmp_path / "crops").exists()


def test_a_folder_that_is_not_there_is_told(mien, tmp_path):
    done = mien("data", "crop", tmp_path / "absent", "--out", tmp_path / "crops", "--detector", "haar")
    assert done.code == 2
    assert "absent" in done.err
