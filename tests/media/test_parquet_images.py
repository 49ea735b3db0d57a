"""Images in Parquet files: found, counted, read forward and back, damaged or of another kind."""

from __future__ import annotations

import pytest

from mien.errors import ImageError, UsageError
from mien.media.parquet_images import ImageLoader, image_references

pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'mien[parquet]'")
pq = pytest.importorskip("pyarrow.parquet")

CONTENTS = [f"image {number}".encode() for number in range(300)]


def write_parquet(path, group=128, **columns):
    pq.write_table(pa.table(columns or {"bytes": CONTENTS}), path, row_group_size=group)
    return path


@pytest.mark.parametrize(
    "columns",
    [
        {"bytes": CONTENTS},
        {"label": list(range(300)), "jpeg": CONTENTS},
        {"mask": CONTENTS[::-1], "image": CONTENTS},
        {"image": [{"bytes": content, "path": None} for content in CONTENTS]},
        {"image": pa.array(CONTENTS, pa.large_binary())},
    ],
    ids=["bytes", "one", "several", "huggingface", "large"],
)
def test_each_row_is_an_image(tmp_path, columns):
    path = write_parquet(tmp_path / "a.parquet", **columns)
    loader = ImageLoader()
    assert [loader.load(reference) for reference in image_references([path])] == CONTENTS


def test_files_and_tables_go_together_in_their_order(tmp_path):
    table = write_parquet(tmp_path / "a.parquet", bytes=CONTENTS[:2])
    assert list(image_references([tmp_path / "x.jpg", table])) == [str(tmp_path / "x.jpg"), f"{table}#0", f"{table}#1"]
    assert ImageLoader().load(str(tmp_path / "x.jpg")) == str(tmp_path / "x.jpg")


def test_rows_are_found_in_any_order_and_of_several_files(tmp_path):
    one, other = write_parquet(tmp_path / "a.parquet"), write_parquet(tmp_path / "b.parquet", group=7)
    loader = ImageLoader()
    for path, row in ((one, 299), (one, 0), (other, 64), (one, 130), (one, 127), (other, 6), (other, 7), (other, 299)):
        assert loader.load(f"{path}#{row}") == CONTENTS[row]


def test_an_empty_row_and_one_outside_the_file_are_errors_of_that_row(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", bytes=[b"one", None, b""])
    loader = ImageLoader()
    for row, message in ((1, "holds no image"), (2, "holds no image"), (3, "expected a row from 0 to 2")):
        with pytest.raises(ImageError, match=message):
            loader.load(f"{path}#{row}")
    assert loader.load(f"{path}#0") == b"one"


def test_a_damaged_part_spoils_its_own_rows_only(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", group=100)
    content = bytearray(path.read_bytes())
    first = pq.ParquetFile(path).metadata.row_group(0).column(0)
    at = first.dictionary_page_offset or first.data_page_offset
    content[at : at + first.total_compressed_size] = bytes(first.total_compressed_size)
    path.write_bytes(content)
    loader = ImageLoader()
    with pytest.raises(ImageError, match="can't be read"):
        loader.load(f"{path}#3")
    assert loader.load(f"{path}#103") == CONTENTS[103]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1, 2]}, "expected one column of encoded images .* received label"),
        ({"left": [b"1"], "right": [b"2"]}, "one of several called bytes or image or picture; received left, right"),
    ],
)
def test_a_table_without_images_is_refused(tmp_path, columns, message):
    with pytest.raises(UsageError, match=message):
        list(image_references([write_parquet(tmp_path / "a.parquet", **columns)]))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(UsageError, match="can't be read"):
        list(image_references([tmp_path / "a.parquet"]))
