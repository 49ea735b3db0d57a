"""Images and videos in folders: what is taken, what is passed over, and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.media.folders import find_files, in_words

JPEG, VIDEO = b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypisom"


def found_in(folder, *options, **more):
    return [path.relative_to(folder).as_posix() for path in find_files([folder], *options, **more)]


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_gives_its_images_in_natural_order(tmp_path):
    make(tmp_path, "10.jpg", "9.JPG", "a/2.png", "a/1.webp", "[x]*?.gif", "B.tiff", ".hidden.jpg", ".git/1.jpg")
    assert found_in(tmp_path) == ["9.JPG", "10.jpg", "[x]*?.gif", "a/1.webp", "a/2.png", "B.tiff"]


def test_a_folder_gives_its_videos_too(tmp_path):
    make(tmp_path, "1.MTS", "2.heic", "3.flv", "a/4.ogv", "a/5.avif", "6.tga")
    assert found_in(tmp_path) == ["1.MTS", "2.heic", "3.flv", "6.tga", "a/4.ogv", "a/5.avif"]
    assert found_in(tmp_path, ["image"]) == ["2.heic", "6.tga", "a/5.avif"]
    assert found_in(tmp_path, ["video"]) == ["1.MTS", "3.flv", "a/4.ogv"]


@pytest.mark.parametrize("name", ["none", "a.dat", "a.jpg~", "photo.2024", "a.txt"])
@pytest.mark.parametrize("content", [JPEG, VIDEO])
def test_content_decides_where_the_suffix_is_unknown(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert found_in(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "content"),
    [("notes.txt", b"Happy faces are all alike."), ("a.pdf", b"%PDF-1.7"), ("page.ts", b"export const one = 1;\n")],
)
def test_other_files_are_skipped_and_reported(tmp_path, name, content):
    make(tmp_path, "1.jpg")
    (tmp_path / name).write_bytes(content)
    skipped = []
    assert found_in(tmp_path, skip=skipped.append) == ["1.jpg"]
    assert skipped == [tmp_path / name]


def test_outputs_of_this_run_and_hidden_files_are_passed_over_without_a_word(tmp_path):
    make(tmp_path, "1.jpg", "faces.csv", "out/1.jpg", ".DS_Store", "other.csv")
    skipped = []
    outputs = [tmp_path / "faces.csv", tmp_path / "out", tmp_path / "new.csv"]
    assert found_in(tmp_path, outputs=outputs, skip=skipped.append) == ["1.jpg"]
    assert skipped == [tmp_path / "other.csv"]
    assert found_in(tmp_path / "out", outputs=outputs) == ["1.jpg"]


def test_further_suffixes_are_taken(tmp_path):
    make(tmp_path, "1.jpg", "rows.PARQUET")
    assert found_in(tmp_path, suffixes=[".parquet"]) == ["1.jpg", "rows.PARQUET"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.txt"], "1 file skipped: 1 .txt"),
        (["a.pdf", "b.TXT", "c.txt"], "3 files skipped: 2 .txt, 1 .pdf"),
        (["README", "x.nef", "LICENSE"], "3 files skipped: 2 without suffix, 1 .nef"),
    ],
)
def test_skipped_files_in_words(names, words):
    assert in_words(map(Path, names)) == words


def test_files_come_as_they_are(tmp_path):
    paths = [tmp_path / "notes.txt", tmp_path / "missing.jpg", tmp_path / ".hidden.jpg"]
    assert list(find_files(paths)) == paths


def test_loops_of_links_end_and_a_folder_is_walked_once(tmp_path):
    make(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "me").symlink_to(tmp_path / "me")
    assert list(find_files([tmp_path, tmp_path / "a"])) == [tmp_path / "a" / "1.jpg"]


def test_a_broken_link_is_found_so_that_reading_it_says_so(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert list(find_files([tmp_path])) == [tmp_path / "gone.jpg"]
