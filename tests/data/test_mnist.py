from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data import load as load_dataset
from mien.data import mnist
from mien.data.splits import training_and_validation
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def digits(count: int = 12, side: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8)
    return pixels, (np.arange(count) % 10).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    """An array of bytes as an idx file, as the format's page describes it."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(length.to_bytes(4, "big") for length in array.shape)
    return head + array.tobytes()


def write_set(folder: Path, name: str = "t10k", mark: str = "-", ending: str = "", seed: int = 0) -> Path:
    for kind, array in zip(("images-idx3", "labels-idx1"), digits(seed=seed), strict=True):
        content = idx(array)
        path = folder / f"{name}-{kind.replace('-idx', f'{mark}idx')}-ubyte{ending}"
        path.write_bytes(gzip.compress(content) if ending else content)
    return folder


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("single", [False, True])
def test_idx_files_are_read_byte_for_byte(tmp_path, mark, ending, single):
    write_set(tmp_path, mark=mark, ending=ending)
    data = load_dataset(tmp_path / f"t10k-labels{mark}idx1-ubyte{ending}" if single else tmp_path)
    pixels, labels = digits()
    assert data.crops.tobytes() == pixels.tobytes()
    assert data.crops.shape == (12, 8, 8, 1)
    truth = data.truths[0]
    assert (truth.head, truth.labels) == ("classes", tuple("0123456789"))
    assert truth.class_ids.tolist() == labels.tolist()
    assert data.rows[[0, 11]].tolist() == ["t10k/0", "t10k/11"]
    assert (data.name, data.split_names()) == ("mnist", ("Training",))


def test_the_test_set_is_private_beside_a_training_set(tmp_path):
    write_set(write_set(tmp_path, "train", seed=1), "t10k", seed=2)
    data = load_dataset(tmp_path)
    assert data.split_names() == ("Training", "PrivateTest")
    assert data.split("Training").crops.tobytes() == digits(seed=1)[0].tobytes()
    assert data.split("PrivateTest").crops.tobytes() == digits(seed=2)[0].tobytes()
    assert data.rows[[0, 12]].tolist() == ["train/0", "t10k/0"]
    learnt, held = training_and_validation(data)
    assert not {row for row in [*learnt.rows, *held.rows] if row.startswith("t10k")}


def test_a_plain_file_goes_before_its_packed_twin(tmp_path):
    write_set(write_set(tmp_path, seed=1), ending=".gz", seed=2)
    assert mnist.read(tmp_path).crops.tobytes() == digits(seed=1)[0].tobytes()


@pytest.mark.parametrize("by_folder", [False, True])
def test_an_npz_in_keras_layout_is_read(tmp_path, by_folder):
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*digits(seed=1), *digits(seed=2)), strict=True))
    np.savez_compressed(tmp_path / "mnist.npz", **arrays)
    data = load_dataset(tmp_path if by_folder else tmp_path / "mnist.npz")
    assert data.split("Training").crops.tobytes() == arrays["x_train"].tobytes()
    assert data.split("PrivateTest").truths[0].class_ids.tolist() == arrays["y_test"].tolist()
    assert data.rows[[0, 12]].tolist() == ["train/0", "test/0"]


def with_count(content: bytes, count: int) -> bytes:
    return content[:4] + count.to_bytes(4, "big") + content[8:]


# each makes a bad file of a good one: which, how, and a word of the reason
FAULTS = {
    "images for labels": (LABELS, lambda content: idx(digits()[0]), "magic 0x00000801"),
    "floats": (IMAGES, lambda content: b"\0\0\x0d\x03" + content[4:], "magic 0x00000803"),
    "empty": (IMAGES, lambda content: b"", "begins with 0x"),
    "cut in the header": (IMAGES, lambda content: content[:11], "header"),
    "cut in the pixels": (IMAGES, lambda content: content[:-1], "received 767"),
    "cut in the labels": (LABELS, lambda content: content[:-1], "received 11"),
    "more than claimed": (IMAGES, lambda content: content + b"\0", "received more"),
    "fewer labels": (LABELS, lambda content: idx(digits(11)[1]), r"\[11, 12\]"),
    "label 10": (LABELS, lambda content: content[:-1] + b"\x0a", "received 10 at t10k/11"),
    "claims too much": (IMAGES, lambda content: with_count(content, 0xFFFFFFFF), "at most"),
    "not square": (IMAGES, lambda content: idx(np.zeros((12, 8, 9), np.uint8)), r"received \[8, 9\]"),
    "tiny": (IMAGES, lambda content: idx(np.zeros((12, 2, 2), np.uint8)), "8 to 256"),
    "no sides": (IMAGES, lambda content: idx(np.zeros((12, 0, 0), np.uint8)), "8 to 256"),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_idx_files_are_refused(tmp_path, kind, packed):
    name, harm, word = FAULTS[kind]
    write_set(tmp_path)
    for file in (IMAGES, LABELS):
        content = (tmp_path / file).read_bytes()
        bad = harm(content) if file == name else content
        (tmp_path / file).unlink()
        (tmp_path / f"{file}{'.gz' if packed else ''}").write_bytes(gzip.compress(bad) if packed else bad)
    with pytest.raises(DatasetError, match=word):
        load_dataset(tmp_path)


def test_sets_of_no_images_are_refused(tmp_path):
    (tmp_path / IMAGES).write_bytes(idx(np.zeros((0, 8, 8), np.uint8)))
    (tmp_path / LABELS).write_bytes(idx(np.zeros(0, np.uint8)))
    with pytest.raises(DatasetError, match="0 images"):
        mnist.read(tmp_path)


@pytest.mark.parametrize(("absent", "word"), [(IMAGES, "t10k-images"), (LABELS, "t10k-labels")])
def test_half_a_set_is_refused_by_name(tmp_path, absent, word):
    (write_set(tmp_path) / absent).unlink()
    with pytest.raises(DatasetError, match=f"missing: {word}" if absent == LABELS else "missing"):
        load_dataset(tmp_path)


def test_sets_of_different_sizes_are_refused(tmp_path):
    write_set(tmp_path, "train")
    (tmp_path / IMAGES).write_bytes(idx(digits(side=9)[0]))
    (tmp_path / LABELS).write_bytes(idx(digits()[1]))
    with pytest.raises(DatasetError, match="one size"):
        mnist.read(tmp_path)


@pytest.mark.parametrize("harm", ["cut", "flipped", "not packed"])
def test_damaged_gz_files_are_refused(tmp_path, harm):
    path = write_set(tmp_path, ending=".gz") / f"{IMAGES}.gz"
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes(byte ^ 0x55 for byte in content[middle : middle + 64]) + content[middle + 64 :]
    path.write_bytes({"cut": content[:middle], "flipped": flipped, "not packed": b"\0\0\x08\x03 digits"}[harm])
    with pytest.raises(DatasetError, match=r"damaged|received"):
        mnist.read(tmp_path)


def test_a_bomb_is_unpacked_no_further_than_its_header_claims(tmp_path):
    write_set(tmp_path)
    bomb = io.BytesIO()
    with gzip.open(bomb, "wb") as file:
        file.write((tmp_path / IMAGES).read_bytes())
        for _ in range(100):
            file.write(bytes(1 << 20))
    (tmp_path / IMAGES).unlink()
    (tmp_path / f"{IMAGES}.gz").write_bytes(bomb.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="received more"):
            mnist.read(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def npz(path: Path, **changes: object) -> Path:
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*digits(seed=1), *digits(seed=2)), strict=True))
    np.savez(path, **{name: array for name, array in {**arrays, **changes}.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"x_test": None}, "x_test"),
        ({"y_test": digits(11)[1]}, "11 labels"),
        ({"x_train": digits()[0].astype(np.float32)}, "float32"),
        ({"x_train": digits()[0][0]}, "3 dimensions"),
        ({"y_train": np.full(12, 10, np.uint8)}, "received 10 at train/0"),
        ({"x_train": np.array([{"a": 1}], dtype=object)}, "object"),
    ],
)
def test_bad_npz_files_are_refused(tmp_path, changes, word):
    with pytest.raises(DatasetError, match=word):
        mnist.read(npz(tmp_path / "mnist.npz", **changes))


@pytest.mark.parametrize("shape", ["(1073741824, 1, 1)", "(99999999999, 28, 28)", "(-1, 28, 28)"])
def test_an_npz_that_claims_more_than_it_holds_is_refused(tmp_path, shape):
    path = npz(tmp_path / "mnist.npz", x_train=None)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=r"mnist\.npz"):
            mnist.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_other_files_named_npz_are_refused(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"mnist\.npz"):
        load_dataset(tmp_path)


def test_the_digest_follows_the_bytes(tmp_path):
    first = mnist.read(write_set(tmp_path, seed=1)).digest
    assert mnist.read(tmp_path).digest == first
    assert mnist.read(write_set(tmp_path, seed=2)).digest != first


@pytest.mark.shared
def test_the_real_digits(shared_data):
    data = load_dataset(shared_data / "mnist")
    assert data.crops.shape == (10_000, 28, 28, 1)
    counts = np.bincount(data.truths[0].class_ids)
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    learnt, held = training_and_validation(data, share=0.2)
    assert (len(learnt), len(held)) == (8000, 2000)
