from __future__ import annotations

import gzip
import lzma
import zipfile

import numpy as np
import pytest

import mien.data
from mien.data import load as load_dataset
from mien.errors import DatasetError
from mien.media.image import write as write_image

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n" + "".join(
    f"{split},fer.png,10,0,0,0,0,0,0,0,0,0\n" for split in ("Training", "PublicTest", "PrivateTest")
)


def packed(content: bytes, ending: str, folder) -> None:
    target = folder / f"fer2013.csv{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("fer2013.csv", content)
    else:
        target.write_bytes({"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending](content))


@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".zip"])
@pytest.mark.parametrize("votes", [False, True])
@pytest.mark.parametrize("by_folder", [False, True])
def test_a_csv_is_found_with_its_votes(make_rows, tmp_path, ending, votes, by_folder):
    packed(b"\n".join([b"emotion,pixels,Usage", *(row.line() for row in make_rows(3))]) + b"\n", ending, tmp_path)
    if votes:
        (tmp_path / "fer2013new.csv").write_text(VOTES)
    data = load_dataset(tmp_path if by_folder else tmp_path / f"fer2013.csv{ending}")
    assert len(data) == 3
    assert [truth.head for truth in data.truths] == (["fer2013", "ferplus"] if votes else ["fer2013"])


def test_any_other_folder_is_one_of_images(tmp_path):
    write_image(tmp_path / "happy" / "a.png", np.zeros((9, 9, 3), np.uint8))
    assert load_dataset(tmp_path).rows.tolist() == ["happy/a.png"]


@pytest.mark.parametrize(
    ("name", "word"), [("absent", "no such file or folder"), ("photo.png", "another kind of file")]
)
def test_a_path_without_data_is_refused(tmp_path, name, word):
    (tmp_path / "photo.png").touch()
    with pytest.raises(DatasetError, match=word):
        load_dataset(tmp_path / name)


def test_the_only_csv_of_a_folder_is_read_whatever_its_name(make_rows, write_csv):
    path = write_csv([row.line() for row in make_rows(4)], name="faces.csv")
    assert load_dataset(path.parent).digest == load_dataset(path).digest
    (path.parent / ".hidden.csv").touch()
    (path.parent / "notes.txt").touch()
    assert len(load_dataset(path.parent)) == 4


def test_several_csvs_in_a_folder_are_named(make_rows, write_csv):
    for name in ("train.csv", "test.csv"):
        path = write_csv([row.line() for row in make_rows(4)], name=name)
    with pytest.raises(DatasetError, match=r"received 2: test\.csv, train\.csv"):
        load_dataset(path.parent)


def test_a_csv_beside_class_folders_is_not_the_data(tmp_path):
    write_image(tmp_path / "happy" / "a.png", np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "notes.csv").write_text("label,pixels\n")
    data = load_dataset(tmp_path)
    assert data.rows.tolist() == ["happy/a.png"]
    assert [bad.place for bad in data.rejected] == ["notes.csv"]


def test_an_archive_without_a_table_matters_only_alone(make_rows, write_csv, tmp_path):
    with zipfile.ZipFile(tmp_path / "papers.zip", "w") as archive:
        archive.writestr("paper.pdf", "a paper")
    with pytest.raises(DatasetError, match="expected a csv inside"):
        load_dataset(tmp_path)
    write_csv([row.line() for row in make_rows(4)], name="faces.csv")
    assert len(load_dataset(tmp_path)) == 4


def test_files_next_to_class_folders_are_not_the_data(tmp_path):
    write_image(tmp_path / "train_set" / "happy" / "a.png", np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "backup.zip").write_bytes(b"PK\3\4 damaged")
    (tmp_path / "results.csv").write_text("path,emotion\nelsewhere.png,happy\n")
    (tmp_path / "results.parquet").write_bytes(b"PAR1")
    (tmp_path / "package.json").write_text('{"image": "a.png", "label": 3}')
    data = load_dataset(tmp_path)
    assert data.rows.tolist() == ["train_set/happy/a.png"]
    assert len(data.rejected) == 4


def test_all_that_is_exported_exists():
    assert all(hasattr(mien.data, name) for name in mien.data.__all__)
    assert len(set(mien.data.__all__)) == len(mien.data.__all__)
