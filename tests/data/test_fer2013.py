from __future__ import annotations

import gzip
import lzma
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.data import pixel_csv
from mien.data.rows import MAX_REJECTED
from mien.emotions import FER2013
from mien.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def replaced(line: bytes, column: int, value: bytes) -> bytes:
    values = line.split(b",")
    values[column] = value
    return b",".join(values)


def pixel(line: bytes, value: bytes) -> bytes:
    numbers = line.split(b",")[1].split()
    numbers[len(numbers) // 2] = value
    return replaced(line, 1, b" ".join(numbers))


# each makes a bad row of a good one, and a word of the reason that must be given for it
FAULTS = {
    "too few pixels": (lambda line: replaced(line, 1, line.split(b",")[1].rpartition(b" ")[0]), "received 63"),
    "too many pixels": (lambda line: replaced(line, 1, line.split(b",")[1] + b" 7"), "received 65"),
    "no pixels": (lambda line: replaced(line, 1, b""), "received 0"),
    "word for a pixel": (lambda line: pixel(line, b"1x"), "'1x' as number 33"),
    "float for a pixel": (lambda line: pixel(line, b"12.5"), "'12.5' as number 33"),
    "pixel of 256": (lambda line: pixel(line, b"256"), "'256' as number 33"),
    "negative pixel": (lambda line: pixel(line, b"-1"), "'-1' as number 33"),
    "label 9": (lambda line: replaced(line, 0, b"9"), "received '9'"),
    "negative label": (lambda line: replaced(line, 0, b"-1"), "received '-1'"),
    "no label": (lambda line: replaced(line, 0, b""), "received ''"),
    "word for a label": (lambda line: replaced(line, 0, b"happy"), "received 'happy'"),
    "NUL": (lambda line: line.replace(b" ", b"\0", 1), "NUL"),
    "too few columns": (lambda line: line.rpartition(b",")[0], "received 2"),
    "too many columns": (lambda line: line + b",1", "received 4"),
    "no Usage": (lambda line: replaced(line, 2, b""), "Usage"),
    "long line": (lambda line: replaced(line, 1, b"0 " * 200_001), "longer"),
}


def check(data, rows, lines):
    """The data holds exactly these rows, at these lines."""
    side = int(len(rows[0].pixels) ** 0.5)
    assert data.rows.tolist() == [str(line) for line in lines]
    assert data.crops.shape == (len(rows), side, side, 1)
    assert data.crops.tobytes() == b"".join(row.pixels for row in rows)
    assert data.truths[0].class_ids.tolist() == [row.emotion for row in rows]
    assert data.splits.tolist() == [row.usage for row in rows]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "form",
    list(
        {
            "plain": lambda content: content,
            "marked": lambda content: b"\xef\xbb\xbf" + content,
            "semicolons": lambda content: content.replace(b",", b";"),
            "utf-16": lambda content: content.decode("latin-1").encode("utf-16"),
            "packed": gzip.compress,
        }.items()
    ),
    ids=lambda form: form[0],
)
def test_a_thousand_faults_are_rejected_by_line_and_all_else_is_exact(make_rows, tmp_path, end, form):
    rows = make_rows(3000)
    lines = [row.line() for row in rows]
    random = np.random.default_rng(1)
    bad = np.sort(random.choice(2999, 999, replace=False))
    ordinary = [name for name in FAULTS if name != "long line"]
    kinds = [ordinary[at % len(ordinary)] for at in range(999)]
    kinds[500] = "long line"
    for at, kind in zip(bad, kinds, strict=True):
        lines[at] = FAULTS[kind][0](lines[at])
    lines[-1] = lines[-1][: len(lines[-1]) // 2]
    path = tmp_path / "fer2013.csv"
    path.write_bytes(form[1](end.join([b"emotion,pixels,Usage", *lines])))

    data = pixel_csv.read_fer2013(path)

    good = sorted(set(range(2999)) - set(bad.tolist()))
    check(data, [rows[at] for at in good], [at + 2 for at in good])
    assert [int(found.place) for found in data.rejected] == [*(bad + 2).tolist(), 3001]
    for found, kind in zip(data.rejected, kinds, strict=False):
        assert FAULTS[kind][1] in found.reason, kind
    assert len(data.rejected) == 1000


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_costs_its_own_row_only(make_rows, write_csv, kind):
    rows = make_rows(3)
    lines = [row.line() for row in rows]
    lines[1] = FAULTS[kind][0](lines[1])
    data = pixel_csv.read_fer2013(write_csv(lines))
    check(data, [rows[0], rows[2]], [2, 4])
    (found,) = data.rejected
    assert found.place == "3"
    assert FAULTS[kind][1] in found.reason


@pytest.mark.parametrize(
    "header",
    [
        "emotion,pixels,Usage",
        "emotion, Usage, pixels",
        "Usage,pixels,emotion",
        "\ufeffemotion,pixels,usage",
        "Emotion,Pixels,Usage\r",
    ],
)
def test_columns_are_found_by_name(make_rows, write_csv, header):
    rows = make_rows(5)
    order = header.strip("\ufeff\r").replace("usage", "Usage").replace("Emotion", "emotion").replace("Pixels", "pixels")
    data = pixel_csv.read_fer2013(write_csv([row.line(order) for row in rows], header.encode()))
    check(data, rows, range(2, 7))
    assert data.rejected == ()


def test_without_usage_all_rows_are_training(make_rows, write_csv):
    rows = make_rows(4)
    data = pixel_csv.read_fer2013(write_csv([row.line("emotion,pixels") for row in rows], b"emotion,pixels"))
    assert data.split_names() == ("Training",)
    assert data.crops.tobytes() == b"".join(row.pixels for row in rows)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (b"pixels", "no labels"),
        (b"emotion,Usage", "emotion,pixels,Usage"),
        (b"emotion,pixels,pixels", "emotion,pixels,Usage"),
        (b"0,1 2 3,Training", "emotion,pixels,Usage"),
        (b"\x89PNG\r\n\x1a\n", "emotion,pixels,Usage"),
    ],
)
def test_a_header_without_labels_or_pixels_is_refused(make_rows, write_csv, header, word):
    with pytest.raises(DatasetError, match=word):
        pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(2)], header))


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        (lambda line: replaced(line, 1, b'"' + line.split(b",")[1] + b'"'), True),
        (lambda line: replaced(line, 1, b'"' + line.split(b",")[1]), False),
        (lambda line: b" " + line.replace(b",", b" , ") + b"  ", True),
        (lambda line: pixel(line, b"007"), True),
        (lambda line: pixel(line, b"0007"), False),
        (lambda line: pixel(line, b"+7"), False),
        (lambda line: pixel(line, b"1e1"), False),
        (lambda line: pixel(line, b"\xd9\xa3"), False),  # a digit in Arabic script
        (lambda line: replaced(line, 0, b"1.0"), True),
        (lambda line: replaced(line, 0, b"1.5"), False),
        (lambda line: replaced(line, 1, b"[" + line.split(b",")[1] + b"]"), True),
        (lambda line: replaced(line, 1, b'"' + line.split(b",")[1].replace(b" ", b",") + b'"'), True),
        (lambda line: replaced(line, 2, b"Extra"), True),
        (lambda line: replaced(line, 2, b"no split at all"), False),
        (lambda line: replaced(line, 2, b"x" * 33), False),
    ],
)
def test_spellings(make_rows, write_csv, edit, kept):
    lines = [row.line() for row in make_rows(3)]
    lines[1] = edit(lines[1])
    data = pixel_csv.read_fer2013(write_csv(lines))
    assert [found.place for found in data.rejected] == ([] if kept else ["3"])


def test_an_unknown_usage_is_a_split_of_its_own(make_rows, write_csv):
    lines = [row.line() for row in make_rows(3)]
    lines[1] = replaced(lines[1], 2, b"Extra")
    assert pixel_csv.read_fer2013(write_csv(lines)).splits.tolist() == ["Training", "Extra", "PrivateTest"]


@pytest.mark.parametrize(("cut", "kept"), [(0, True), (1, False), (5, False), (40, False)])
def test_a_last_line_without_its_end_is_kept_only_if_whole(make_rows, tmp_path, cut, kept):
    rows = make_rows(4)
    content = b"\n".join([b"emotion,pixels,Usage", *(row.line() for row in rows)])
    path = tmp_path / "cut.csv"
    path.write_bytes(content[: len(content) - cut])
    data = pixel_csv.read_fer2013(path)
    check(data, rows if kept else rows[:3], range(2, 6 if kept else 5))
    assert [found.place for found in data.rejected] == ([] if kept else ["5"])


def test_blank_lines_are_passed_over_and_counted(make_rows, write_csv):
    rows = make_rows(2)
    data = pixel_csv.read_fer2013(write_csv([b"", rows[0].line(), b"  ", b"", rows[1].line(), b""]))
    check(data, rows, [3, 6])
    assert data.rejected == ()


def test_the_first_good_row_sets_the_side(make_rows, write_csv):
    rows = [*make_rows(1, side=9), *make_rows(2, side=10)]
    lines = [replaced(rows[0].line(), 0, b"7"), rows[1].line(), rows[0].line(), rows[2].line()]
    data = pixel_csv.read_fer2013(write_csv(lines))
    check(data, rows[1:], [3, 5])
    assert [found.place for found in data.rejected] == ["2", "4"]


@pytest.mark.parametrize("side", [1, 7, 257])
def test_sides_out_of_bounds_are_no_crops(make_rows, write_csv, side):
    with pytest.raises(DatasetError, match="none could be read"):
        pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(2, side)]))


@pytest.mark.parametrize("side", [8, 48, 256])
def test_sides_in_bounds_are_read(make_rows, write_csv, side):
    rows = make_rows(2, side)
    check(pixel_csv.read_fer2013(write_csv([row.line() for row in rows])), rows, [2, 3])


def test_a_long_line_takes_little_memory(make_rows, write_csv):
    rows = make_rows(2)
    path = write_csv([rows[0].line(), b"0," + b"1 " * 5_000_000 + b",Training", rows[1].line()])
    tracemalloc.start()
    try:
        data = pixel_csv.read_fer2013(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    check(data, rows, [2, 4])
    assert [found.place for found in data.rejected] == ["3"]
    assert peak < 4e6


def test_a_file_of_nothing_but_faults_is_given_up(tmp_path):
    path = tmp_path / "noise.csv"
    path.write_bytes(b"emotion,pixels,Usage\n" + b"x\n" * (MAX_REJECTED + 10))
    with pytest.raises(DatasetError, match="100000 rows"):
        pixel_csv.read_fer2013(path)


def packed(path: Path, ending: str) -> Path:
    content, target = path.read_bytes(), path.with_name(path.name + ending)
    if ending == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", "not this one")
            archive.writestr("../../fer2013.csv", content)
            archive.writestr("second.csv", b"nor this one")
    else:
        target.write_bytes({".gz": gzip.compress, ".xz": lzma.compress}[ending](content))
    return target


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zip"])
def test_packed_files_are_read_like_plain_ones(make_rows, write_csv, tmp_path, ending):
    rows = make_rows(20)
    before = packed(write_csv([row.line() for row in rows]), ending)
    everything = sorted(tmp_path.parent.rglob("*.csv"))
    check(pixel_csv.read_fer2013(before), rows, range(2, 22))
    assert sorted(tmp_path.parent.rglob("*.csv")) == everything  # the member's name never reached the disk


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zip"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "not packed"])
def test_damaged_packed_files_are_refused(make_rows, write_csv, ending, harm):
    path = packed(write_csv([row.line() for row in make_rows(200)]), ending)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle]
            + bytes(byte ^ 0x55 for byte in content[middle : middle + 64])
            + content[middle + 64 :],
            "not packed": b"emotion,pixels,Usage\n",
        }[harm]
    )
    with pytest.raises(DatasetError, match=r"damaged"):
        pixel_csv.read_fer2013(path)


def test_a_zip_without_a_csv_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a.txt", "nothing")
    with pytest.raises(DatasetError, match="csv inside"):
        pixel_csv.read_fer2013(tmp_path / "data.zip")


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_a_path_that_is_no_file_is_refused(tmp_path, name):
    with pytest.raises(DatasetError, match="can't be opened"):
        pixel_csv.read_fer2013(tmp_path / name)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DatasetError, match="header"):
        pixel_csv.read_fer2013(tmp_path / "empty.csv")


def test_the_digest_is_of_the_file(make_rows, write_csv):
    first = pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(3)], name="a.csv"))
    same = pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(3)], name="b.csv"))
    other = pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(3, seed=1)], name="c.csv"))
    assert first.digest == same.digest != other.digest


def test_the_truth_is_one_hot_and_all_rows_count(make_rows, write_csv):
    truth = pixel_csv.read_fer2013(write_csv([row.line() for row in make_rows(30)])).truths[0]
    assert (truth.head, truth.labels) == ("fer2013", tuple(FER2013))
    assert set(truth.targets.ravel().tolist()) == {0.0, 1.0}
    assert truth.weights.tolist() == [1.0] * 30
    assert truth.evaluated.all()


@pytest.mark.shared
def test_the_real_file(real_data):
    assert real_data.crops.shape == (28_709 + 3_589, 48, 48, 1)
    assert real_data.rejected == ()
    assert real_data.splits.tolist() == ["Training"] * 28_709 + ["PublicTest"] * 3_589
    assert real_data.rows.tolist() == [str(line) for line in range(2, len(real_data) + 2)]
    counts = np.bincount(real_data.split("Training").truths[0].class_ids)
    assert counts.tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert real_data.crops[0, 0, :8, 0].tolist() == [70, 80, 82, 72, 58, 58, 60, 63]
