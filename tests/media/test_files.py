"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import time

import pytest

from mien.media.files import UniqueNames, atomic_write, sha256_of, timestamped_path, write_bytes, write_text


def test_a_file_is_there_when_the_block_ends(tmp_path):
    with atomic_write(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "whole"


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "a.txt") as temporary:  # noqa: PT012  the block is the test
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "last.weights.h5", "." + "b" * 254, "x." + "c" * 253])
def test_any_name_that_the_system_takes_can_be_written(tmp_path, name):
    write_bytes(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_the_temporary_name_keeps_the_suffixes_that_libraries_look_at(tmp_path):
    with atomic_write(tmp_path / "last.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.write_bytes(b"")


def test_the_rights_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_bytes(tmp_path / "whole", b"")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sha256(tmp_path):
    write_bytes(tmp_path / "a", b"mien")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"mien").hexdigest()


def test_names_are_numbered_where_a_disk_would_hold_two_for_one():
    names = UniqueNames("index.html")
    wanted = ["a", "A", "a-2", "a", "index", "b"]
    assert [names.unique(stem, ".html") for stem in wanted] == [
        "a.html", "A-2.html", "a-2-2.html", "a-3.html", "index-2.html", "b.html",
    ]  # fmt: skip
    assert names.unique("a", ".png") == "a.png"


def test_two_files_of_one_second_have_two_names(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20261121-190305")
    first = timestamped_path(tmp_path, ".png", "mien-")
    assert first.name == "mien-20261121-190305.png"
    first.touch()
    assert timestamped_path(tmp_path, ".png", "mien-").name == "mien-20261121-190305-2.png"
