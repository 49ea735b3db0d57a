from __future__ import annotations

import pickle

import numpy as np
import pytest

from mien.data import cache, pixel_csv

ARRAYS = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "words": np.array(["x", "yz"])}


def test_what_is_kept_comes_back():
    cache.save("data", "0f", ARRAYS)
    found = cache.load("data", "0f")
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_nothing_is_kept_of_other_bytes_or_names():
    cache.save("data", "0f", ARRAYS)
    assert cache.load("data", "0e") is None
    assert cache.load("date", "0f") is None


def test_the_folder_is_the_one_named(cache_folder):
    cache.save("data", "0f", ARRAYS)
    (file,) = (path for path in cache_folder.rglob("*") if path.is_file())
    assert file.suffix == ".npz"


def test_without_a_name_it_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("MIEN_CACHE")
    assert "mien" in cache.folder().parts


def test_a_copy_under_another_name_is_no_answer():
    cache.save("data", "0f", ARRAYS)
    (file,) = cache.folder().iterdir()
    file.rename(file.with_name(file.name.replace("0f", "0e")))
    assert cache.load("data", "0e") is None


def test_objects_are_never_unpickled(cache_folder):
    cache.save("data", "0f", ARRAYS)
    (file,) = cache.folder().iterdir()
    np.savez(file, a=np.array([{"an": "object"}], dtype=object))
    assert cache.load("data", "0f") is None


@pytest.fixture
def kept_csv(make_rows, write_csv):
    path = write_csv([*(row.line() for row in make_rows(40)), b"9,,"])
    data = pixel_csv.read_fer2013(path)
    (file,) = cache.folder().iterdir()
    return path, data, file


def same(first, second) -> bool:
    return (
        first.crops.tobytes() == second.crops.tobytes()
        and first.rows.tolist() == second.rows.tolist()
        and first.splits.tolist() == second.splits.tolist()
        and first.truths[0].class_ids.tolist() == second.truths[0].class_ids.tolist()
        and (first.rejected, first.digest) == (second.rejected, second.digest)
    )


def test_the_second_reading_is_the_cache_s_and_equal(kept_csv):
    path, data, _ = kept_csv
    assert same(pixel_csv.read_fer2013(path), data)
    found = cache.load("pixels", data.digest)
    cache.save("pixels", data.digest, {**found, "crops": 255 - found["crops"]})
    assert pixel_csv.read_fer2013(path).crops.tobytes() == (255 - data.crops).tobytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.99])
def test_a_torn_file_is_made_anew(kept_csv, share):
    path, data, file = kept_csv
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert same(pixel_csv.read_fer2013(path), data)
    assert cache.load("pixels", data.digest) is not None


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes_are_never_believed(kept_csv, seed):
    path, data, file = kept_csv
    content = bytearray(file.read_bytes())
    for at in np.random.default_rng(seed).integers(0, len(content), 8):
        content[at] ^= 0xFF
    file.write_bytes(content)
    assert same(pixel_csv.read_fer2013(path), data)


@pytest.mark.parametrize(
    "harm",
    [
        {"crops": np.zeros((40, 8, 8, 1), np.float32)},
        {"crops": np.zeros((3, 8, 8, 1), np.uint8)},
        {"targets": np.zeros((40, 7), np.float32)},
        {"targets": np.zeros(40, np.float32)},
        {"labels": np.array(["angry"])},
        {"rejected": np.array(["alone"])},
    ],
)
def test_foreign_arrays_are_made_anew(kept_csv, harm):
    path, data, _ = kept_csv
    found = cache.load("pixels", data.digest)
    cache.save("pixels", data.digest, {**found, **harm})
    assert same(pixel_csv.read_fer2013(path), data)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"crops": 1}), b"PK\x05\x06" + bytes(18)])
def test_foreign_files_are_made_anew(kept_csv, content):
    path, data, file = kept_csv
    file.write_bytes(content)
    assert same(pixel_csv.read_fer2013(path), data)


def test_a_cache_that_cannot_be_written_is_no_error(make_rows, write_csv, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "a file"))
    assert len(pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(5)]))) == 5
