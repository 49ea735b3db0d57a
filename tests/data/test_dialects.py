"""The same 42 rows, written in the ways of other people's programs, are read as the same bytes."""

from __future__ import annotations

import csv
import io
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_written import COUNT, HEADER, IMAGES, LABELS, LISTS, PACKED, SPLITS, check, in_tar, in_zip, rows, written

from mien.data import archives, csv_rows
from mien.data import load as load_dataset
from mien.data.archives import sources_in
from mien.emotions import FER2013
from mien.errors import DatasetError

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
ENDS = ["\n", "\r\n", "\r"]
DELIMITERS = [",", ";", "\t", "|"]
QUOTING = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
HEADERS = [("emotion", "pixels", "Usage"), ("Emotion", " Pixels", "usage "), ("EXPRESSION", "pixel_values", "split")]


def load(content: bytes, name: str = "faces.csv"):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        return load_dataset(Path(folder) / name)


def encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding)


@settings(max_examples=60, deadline=None)
@given(
    delimiter=st.sampled_from(DELIMITERS),
    quoting=st.sampled_from(QUOTING),
    form=st.sampled_from(sorted(LISTS)),
    encoding=st.sampled_from(ENCODINGS),
    end=st.sampled_from(ENDS),
    header=st.sampled_from([*HEADERS, None]),
    order=st.permutations(range(4)),
    ending=st.sampled_from(sorted(PACKED)),
    last_end=st.booleans(),
)
def test_any_way_of_writing_gives_the_same_rows(
    *, delimiter, quoting, form, encoding, end, header, order, ending, last_end
):
    if end == "\r" and form == "numpy":
        form = "spaces"  # NumPy's own line ends are another kind
    table = [[*row, "Müller"] for row in rows(form)]
    if header is not None:
        table = [[*header, "name"], *table]
    table = [[row[at] for at in order] for row in table]
    text = written(table, delimiter, end, quoting)
    if not last_end and order[-1] != 2:
        text = text[: -len(end)]
    data = load(PACKED[ending](encoded(text, encoding)), f"faces{ending}")
    check(data)


@pytest.mark.parametrize(("delimiter", "form"), list(product(DELIMITERS, LISTS)))
def test_delimiters_and_lists(delimiter, form):
    data = load(written([HEADER, *rows(form)], delimiter).encode())
    check(data)
    lines = 1 + len(LISTS[form](IMAGES[0].ravel().tolist()).split("\n"))
    assert data.rows[1] == str(lines + 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ENDS)
def test_encodings_and_line_ends(encoding, end):
    check(load(encoded(written([HEADER, *rows()], end=end), encoding)))


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("name", ["faces{}", "FACES{}"])
def test_archives(ending, name):
    check(load(PACKED[ending](written([HEADER, *rows()]).encode()), name.format(ending)))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".zip", ".tgz", ".csv.bz2"])
@pytest.mark.parametrize("packed", [".csv", ".csv.gz", ".zip", ".tgz", ".csv.bz2"])
def test_the_content_says_how_a_file_is_packed(ending, packed):
    check(load(PACKED[packed](written([HEADER, *rows()]).encode()), f"faces{ending}"))


def wide(header: str | None, place: int, label: str = "label") -> str:
    table = [[*map(str, image.ravel())] for image in IMAGES]
    for row, number in zip(table, LABELS, strict=True):
        row.insert(place, str(number))
    names = [header.format(at) for at in range(IMAGES[0].size)] if header else []
    names.insert(place, label)
    return written([names, *table] if header else table)


@pytest.mark.parametrize("header", ["pixel{}", "p{}", "{}", "px_{}"])
@pytest.mark.parametrize("place", [0, 144])
def test_a_column_a_pixel(header, place):
    check(load(wide(header, place, "emotion").encode()), splits=False)


def faces_of_48(labels=LABELS):
    images = np.random.default_rng(2).integers(0, 256, (len(labels), 48, 48), np.uint8)
    return images, [" ".join(map(str, image.ravel())) for image in images]


@pytest.mark.parametrize("place", [0, 2304])
def test_a_column_a_pixel_without_names(place):
    images, _ = faces_of_48()
    table = [[*map(str, image.ravel())] for image in images]
    for row, number in zip(table, LABELS, strict=True):
        row.insert(place, str(number))
    data = load(written(table).encode())
    assert data.crops.tobytes() == images.tobytes()
    assert (data.truths[0].labels, data.truths[0].class_ids.tolist()) == (tuple(FER2013), LABELS)
    assert data.rows.tolist() == [str(line) for line in range(1, COUNT + 1)]


@pytest.mark.parametrize("labels", [LABELS, [FER2013[at].value for at in LABELS], [float(at) for at in LABELS]])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_rows_without_a_header(labels, order):
    table = [[row[at] for at in order] for row in rows(labels=labels)]
    check(load(written(table).encode()))


def test_a_note_with_commas_quotes_and_line_ends_is_no_row():
    notes = ['a, b\n"c"', 'd "e', "plain", "f\n\ng,h\n", '5" tall']
    table = [[*row, notes[at % len(notes)]] for at, row in enumerate(rows())]
    check(load(written([[*HEADER, "note"], *table]).encode()))


@pytest.mark.parametrize("stray", [0, 1, 20, 41])
@pytest.mark.parametrize("other", [False, True])
def test_a_quote_that_is_not_closed_costs_its_own_row(stray, other):
    lines = written([HEADER, *rows()]).splitlines()
    lines[stray + 1] = lines[stray + 1].replace(",", ',"', 1)
    bad = [stray]
    if other and stray < 40:
        lines[stray + 3] = lines[stray + 3].replace(",", ',"', 1)
        bad.append(stray + 2)
    data = load("\n".join([*lines, ""]).encode())
    assert [int(row.place) for row in data.rejected] == [at + 2 for at in bad]
    assert data.crops.tobytes() == np.delete(IMAGES, bad, axis=0).tobytes()


def test_quotes_that_are_never_closed_cost_little_time():
    lines = ['3,"1 2 3,Training'] * 3000
    with pytest.raises(DatasetError, match="none could be read"):
        load("\n".join(["emotion,pixels,Usage", *lines]).encode())


def test_latin_1_names_are_kept():
    table = [["glücklich" if at % 2 else "über", *row[1:]] for at, row in enumerate(rows())]
    for encoding in ("latin-1", "utf-8", "utf-16"):
        data = load(written([("class", *HEADER[1:]), *table]).encode(encoding))
        assert data.truths[0].labels == ("glücklich", "über")


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 101])
def test_a_cut_file_of_two_bytes_a_letter_costs_its_last_row(cut):
    data = load(written([HEADER, *rows()]).encode("utf-16")[:-cut])
    whole = cut <= 2
    assert len(data) == (COUNT if whole else COUNT - 1)
    assert data.crops.tobytes() == IMAGES[: len(data)].tobytes()


SUBMISSION = b"emotion\n0\n1\n"
TRAIN = written([HEADER[:2], *(row[:2] for row in rows())]).encode()
UNLABELLED = written([["pixels"], *([row[1]] for row in rows())]).encode()
WHOLE = written([HEADER, *rows()]).encode()

CHOICES = {
    "contest": (
        {
            "example_submission.csv": SUBMISSION,
            "fer2013.tar.gz": in_tar("w:gz", fer2013__fer2013_csv=WHOLE),
            "icml_face_data.csv": WHOLE,
            "test.csv": UNLABELLED,
            "train.csv": TRAIN,
        },
        "icml_face_data.csv",
        True,
    ),
    "tar in a zip": ({"fer2013.tar.gz": in_tar("w:gz", fer2013__fer2013_csv=WHOLE)}, None, True),
    "csv.gz in a zip": ({"a/b.csv.gz": PACKED[".csv.gz"](WHOLE)}, None, True),
    "test without labels": ({"test.csv": UNLABELLED, "train.csv": TRAIN}, "train.csv", False),
    "notes first": ({"about.csv": b"name,licence\nx,y\n", "faces.csv": WHOLE}, "faces.csv", True),
    "hidden": ({"__MACOSX/faces.csv": b"\0\5", ".faces.csv": b"\0", "faces.csv": WHOLE}, None, True),
}


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("folder", [False, True])
def test_the_table_with_labels_is_taken_of_several(tmp_path, kind, folder):
    members, taken, splits = CHOICES[kind]
    if folder:
        for name, content in members.items():
            (tmp_path / name.replace("/", "-")).write_bytes(content)
        if kind in {"hidden", "csv.gz in a zip"}:
            (tmp_path / "__MACOSX-faces.csv").unlink(missing_ok=True)
        data = load_dataset(tmp_path)
    else:
        data = load(in_zip(members), "data.zip")
    check(data, splits=splits)
    named = folder and kind == "contest"  # a file called fer2013 is what such a folder is for
    assert [f"read: {taken};" in note for note in data.notes] == ([] if taken is None or named else [True])


@pytest.mark.parametrize("members", [{"a.csv": WHOLE, "b.csv": WHOLE}, {"train.csv": WHOLE, "test.csv": WHOLE}])
def test_an_open_choice_is_left_to_the_user(members):
    with pytest.raises(DatasetError, match=r"received 2: .*Name one of them"):
        load(in_zip(members), "data.zip")


def test_an_archive_of_images_says_what_to_do():
    with pytest.raises(DatasetError, match="unpack it and give the folder"):
        load(in_zip({"train/happy/a.png": b""}), "faces.zip")


@pytest.mark.parametrize("name", ["../../evil.csv", "/etc/evil.csv", "C:\\evil.csv", "a/../../evil.csv"])
def test_a_member_s_name_never_reaches_the_disk(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data.zip").write_bytes(in_zip({name: WHOLE}))
    check(load_dataset(tmp_path / "in" / "data.zip"))
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "data.zip"]


@pytest.mark.parametrize("kind", ["symbolic", "hard", "device", "fifo", "sparse"])
def test_links_and_devices_in_a_tar_are_passed(tmp_path, kind):
    import tarfile

    (tmp_path / "secret.csv").write_bytes(WHOLE)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        header = tarfile.TarInfo("faces.csv")
        header.type = {
            "symbolic": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "device": tarfile.CHRTYPE,
            "fifo": tarfile.FIFOTYPE,
            "sparse": tarfile.GNUTYPE_SPARSE,
        }[kind]
        header.linkname = str(tmp_path / "secret.csv")
        archive.addfile(header)
    (tmp_path / "data.tar").write_bytes(content.getvalue())
    with pytest.raises(DatasetError, match="csv inside"):
        load_dataset(tmp_path / "data.tar")


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.bz2", ".csv.xz", ".zip", ".tgz", ".tar.xz"])
@pytest.mark.parametrize("content", [b"\n", b"0 "])
def test_bombs_are_given_up(monkeypatch, ending, content):
    monkeypatch.setattr(archives, "MIN_LIMIT_BYTES", 1 << 20)
    bomb = PACKED[ending](b"emotion,pixels,Usage\n" + content * ((4 << 20) // len(content)))
    assert len(bomb) < 13_000
    with pytest.raises(DatasetError, match=r"as bombs do|blank lines"):
        load(bomb, f"faces{ending}")


@pytest.mark.parametrize("nested", [False, True])
def test_an_archive_of_very_many_tables_is_given_up(nested):
    members = {f"{number}_csv" if nested else f"{number}.csv": b"emotion,pixels\n" for number in range(200)}
    packed = in_zip({"all.tar": in_tar("w", **members)} if nested else members)
    with pytest.raises(DatasetError, match="at most 100 tables"):
        load(packed, "data.zip")


def test_blank_lines_without_end_are_given_up(monkeypatch):
    monkeypatch.setattr(csv_rows, "MAX_BLANK_LINES", 1000)
    with pytest.raises(DatasetError, match="over 1000 blank lines"):
        load(b"emotion,pixels,Usage" + b"\n" * 2000)


def test_layers_of_compression_are_peeled_but_not_without_end(tmp_path):
    content = WHOLE
    for depth in range(1, 6):
        content = PACKED[".csv.gz"](content)
        (tmp_path / f"{depth}.csv.gz").write_bytes(content)
    assert sources_in(tmp_path / "3.csv.gz")[0].head == WHOLE
    with pytest.raises(DatasetError, match="layers"):
        load_dataset(tmp_path / "5.csv.gz")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["usage_train.csv", "split_col.csv", "float_labels.csv", "extra_quotedcomma.csv", "fer2013.tar.gz"]
)
def test_the_cases_of_the_issue(shared, name):
    data = load_dataset(shared / "cases" / name)
    assert (len(data), data.rejected, data.truths[0].labels) == (42, (), tuple(FER2013))
    assert data.truths[0].class_ids.tolist() == LABELS
    assert data.splits.tolist() == SPLITS
