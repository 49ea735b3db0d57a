"""``mien data``: info and audit, on a terminal, as JSON and as files."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from mien.data.splits import read_list

ROWS = (
    (3, 0, "Training"),
    (3, 1, "Training"),
    (4, 1, "Training"),
    (0, 2, "Training"),
    (3, 0, "PublicTest"),
    (5, 3, "PublicTest"),
    (6, None, "Training"),
)
"""Label, number of the image (None: black) and split: a copy across splits, a conflict, a blank one."""


@pytest.fixture
def fer2013(tmp_path, cache_folder):
    """A FER2013 csv with faults and a row that can't be read."""
    images = np.random.default_rng(0).integers(0, 256, (4, 16 * 16))
    lines = [
        f"{label},{' '.join(map(str, np.zeros(256, int) if number is None else images[number]))},{split}"
        for label, number, split in ROWS
    ]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *lines, "9,1 2,Training"]) + "\n")
    return path


def test_info_for_people(mien, fer2013):
    code, out, err = mien("data", "info", fer2013)
    assert code == 0
    assert "7 images of 16x16, grey" in out
    assert "Training 5, PublicTest 2" in out
    assert [line.split() for line in out.splitlines() if line.startswith("happy")] == [["happy", "2", "1"]]
    assert "1 rows can't be read" in err


def test_info_as_json(mien, fer2013):
    code, out, _ = mien("data", "info", fer2013, "--json")
    told = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert (told["count"], told["splits"]) == (7, {"Training": 5, "PublicTest": 2})
    assert told["labels"][0]["counts"]["happy"] == 2
    assert len(told["rejected"]) == 1
    assert len(told["digest"]) == 64


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_contact_sheets(mien, fer2013, tmp_path, options):
    code, _, err = mien("data", "info", fer2013, "--out", tmp_path / "sheets", *options)
    assert code == 0
    assert sorted(file.name for file in (tmp_path / "sheets").iterdir()) == [
        *("00-angry.png", "03-happy.png", "04-sad.png", "05-surprise.png", "06-neutral.png", "all.png")
    ]
    assert "6 contact sheets" in err


def test_audit_for_people(mien, fer2013, tmp_path):
    code, out, _ = mien("data", "audit", fer2013, "--out", tmp_path / "audit")
    lines = [line.strip().split("  ", 1) for line in out.splitlines()[1:]]
    told = {what.strip(): int(count) for count, what in lines}
    assert code == 0
    assert told["groups of duplicates; 2 with identical pixels"] == 2
    assert told["groups with conflicting labels"] == 1
    assert told["images of PublicTest with a duplicate in another split"] == 1
    assert told["blank images"] == 1
    assert told["rows of Training should be excluded: exclude.txt"] == 4


def test_audit_writes_a_page_all_findings_and_a_list(mien, fer2013, tmp_path):
    out = mien("data", "audit", fer2013, "--out", tmp_path / "audit", "--json").out
    folder = tmp_path / "audit"
    assert sorted(file.name for file in folder.iterdir()) == ["audit.html", "audit.json", "exclude.txt"]
    assert (folder / "audit.json").read_text(encoding="utf-8") == out
    assert [group["rows"] for group in json.loads(out)["groups"]] == [["3", "4"], ["2", "6"]]
    assert read_list(folder / "exclude.txt") == ("2", "3", "4", "8")
    assert (folder / "audit.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("options", "without_face"), [([], None), (["--faces", "--detector", "haar"], [*"2345678"])])
def test_faces_are_looked_for_when_asked(mien, fer2013, tmp_path, options, without_face):
    out = mien("data", "audit", fer2013, "--out", tmp_path / "audit", "--json", *options).out
    assert json.loads(out)["no_face"] == without_face


def test_folders_of_images(mien, paint, portrait, tmp_path):
    paint("faces/train/happy/a.png", portrait)
    paint("faces/train/sad/b.png", portrait[:, ::-1])
    paint("faces/test/happy/c.png", portrait)
    told = json.loads(mien("data", "audit", tmp_path / "faces", "--out", tmp_path / "out", "--json").out)
    (group,) = told["groups"]
    assert group["rows"] == ["test/happy/c.png", "train/happy/a.png", "train/sad/b.png"]
    assert (group["conflict"], group["leak"], group["mirrored"]) == (True, True, True)
    assert set(read_list(tmp_path / "out" / "exclude.txt")) == {"train/happy/a.png", "train/sad/b.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "gone"], ["gone"]),
        (["audit", "gone", "--out", "x"], ["gone"]),
        (["audit", "fer2013.csv"], ["--out"]),
        (["audit", "fer2013.csv", "--out", "fer2013.csv/x"], ["can't write fer2013.csv"]),
        (["audit", "fer2013.csv", "--out", "x", "--similarity", "7"], ["0.5 to 1", "7"]),
        (["audit", "fer2013.csv", "--out", "x", "--faces", "--detector", "nope"], ["'nope'", "yunet"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_what_would_be_right(mien, fer2013, monkeypatch, arguments, words):
    monkeypatch.chdir(fer2013.parent)
    code, out, err = mien("data", *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


@pytest.mark.skipif(os.name != "posix", reason="Windows allows no such names")
def test_names_can_t_steer_the_terminal(mien, paint, portrait, tmp_path):
    paint("evil/\x1b[31mred/a.png", portrait)
    paint("evil/blue/b.png", portrait)
    code, out, _ = mien("data", "info", tmp_path / "evil")
    assert (code, "\x1b" in out) == (0, False)
    assert "\\x1b[31mred" in out
