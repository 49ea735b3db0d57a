from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from mien.data import load as load_dataset
from mien.data import splits
from mien.errors import DatasetError
from mien.media.image import write as write_image

PLACES = [
    "17",
    "happy/a b.png",
    " happy/a.png",
    "happy/a.png ",
    "#1",
    '"quoted"',
    "a\tb",
    "a\nb",
    "a\\nb",
    "ž.png",
    "\u2028.png",
    os.fsdecode(b"\xff.png"),
]


def test_places_of_any_kind_come_back(tmp_path):
    path = tmp_path / "new" / "without.txt"
    splits.write_list(path, {place: f"copy of\nrow\t{at}" for at, place in enumerate(PLACES)})
    assert splits.read_list(path) == tuple(PLACES)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#")
    assert lines[1] == "17\tcopy of row 0"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", ()),
        ("# nothing\n\n   \n", ()),
        ("3\n5\tblank\n", ("3", "5")),
        ("3\r\n5\r\n", ("3", "5")),
        ("\ufeff3\n  5  ", ("3", "5")),
        ("happy/a b.png\t why\tmore\n", ("happy/a b.png",)),
    ],
)
def test_lists_written_by_hand_are_read(tmp_path, text, places):
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode())
    assert splits.read_list(path) == places


@pytest.mark.parametrize("content", [b"\xff\xfe3\0", b'"never closed\n', b'"a" and more\n', None])
def test_what_is_no_list_is_refused(tmp_path, content):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match="one place a line"):
        splits.read_list(path)


def test_a_file_too_large_for_a_list_is_refused_unread(tmp_path):
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.truncate(splits.MAX_LIST_BYTES + 1)
    with pytest.raises(DatasetError, match="over 100000000 bytes"):
        splits.read_list(path)


@pytest.fixture
def data(tmp_path):
    """Four images in two classes, and a file that is none."""
    root = tmp_path / "faces"
    for at, name in enumerate(("happy/a.png", "happy/b.png", "sad/a.png", "sad/b.png")):
        write_image(root / name, np.full((9, 9, 3), at * 40, np.uint8))
    (root / "sad" / "torn.png").write_bytes(b"\x89PNG")
    return load_dataset(root)


def test_rows_of_a_list_are_left_out_and_the_digest_tells(data, tmp_path):
    path = tmp_path / "without.txt"
    splits.write_list(path, {"sad/a.png": "a copy", "sad/torn.png": "it was never read"})
    less = splits.exclude_rows(data, path)
    assert less.rows.tolist() == ["happy/a.png", "happy/b.png", "sad/b.png"]
    assert less.crops.tobytes() == data.crops[[0, 1, 3]].tobytes()
    assert less.truths[0].class_ids.tolist() == data.truths[0].class_ids[[0, 1, 3]].tolist()
    assert less.digest != data.digest
    assert len(less.digest) == len(hashlib.sha256().hexdigest())


def test_the_digest_depends_on_what_is_left_out_and_not_on_its_order(data):
    digests = {data.without(rows).digest for rows in (["sad/a.png", "happy/b.png"], ["happy/b.png", "sad/a.png"])}
    assert len(digests) == 1
    assert data.without(["sad/a.png"]).digest not in digests


def test_an_empty_list_changes_nothing(data, tmp_path):
    splits.write_list(tmp_path / "none.txt", {})
    assert splits.exclude_rows(data, tmp_path / "none.txt").digest == data.digest


@pytest.mark.parametrize("place", ["99", "happy/c.png", "HAPPY/a.png"])
def test_a_place_that_the_data_lacks_is_named(data, place):
    with pytest.raises(DatasetError, match=f"received '{place}'"):
        data.without(["happy/a.png", place])


def test_rows_have_to_be_left(data):
    with pytest.raises(DatasetError, match="all 4"):
        data.without(data.rows.tolist())
