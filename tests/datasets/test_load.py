from __future__ import annotations

import gzip
import lzma
import zipfile

import numpy as np
import pytest

from mien import datasets, images
from mien.errors import DatasetError

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
    data = datasets.load(tmp_path if by_folder else tmp_path / f"fer2013.csv{ending}")
    assert len(data) == 3
    assert [truth.head for truth in data.truths] == (["fer2013", "ferplus"] if votes else ["fer2013"])


def test_any_other_folder_is_one_of_pictures(tmp_path):
    images.write(tmp_path / "happy" / "a.png", np.zeros((9, 9, 3), np.uint8))
    assert datasets.load(tmp_path).rows.tolist() == ["happy/a.png"]


@pytest.mark.parametrize(("name", "word"), [("absent", "nothing there"), ("photo.png", "another kind of file")])
def test_a_path_without_data_is_refused(tmp_path, name, word):
    (tmp_path / "photo.png").touch()
    with pytest.raises(DatasetError, match=word):
        datasets.load(tmp_path / name)


def test_all_that_is_exported_exists():
    assert all(hasattr(datasets, name) for name in datasets.__all__)
    assert len(set(datasets.__all__)) == len(datasets.__all__)
