from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables_written import COUNT, HEADER, IMAGES, LISTS, SPLITS, check, in_tar, in_zip, rows, written

from mien.data import load as load_dataset
from mien.data.split_names import SPLIT_WORDS, is_split_column, split_in_path, split_named
from mien.data.splits import HELD_OUT, training_and_validation
from mien.errors import DatasetError
from mien.media.image import write as write_image

T, V, X, M = "Training", "PublicTest", "PrivateTest", "TrainVal"

NAMES = {
    T: "train Train TRAINING training train_set train-data Training\u00a0Set trainset traindata my_train train1 "
    "train-00000-of-00001 fer2013_train images_train",
    V: "val VAL valid Validation validation_set dev dev-set PublicTest publictest PUBLIC_TEST Public-Test val2017 "
    "validset validation-00000-of-00002",
    X: "test Test TESTING test_set testset test-data PrivateTest private_test Private-Test eval test1 holdout "
    "test-00001-of-00003 val-test",
    M: "TrainVal trainval train+val train_val Train&Val TRAINVAL train/validation",
}


@pytest.mark.parametrize(
    ("split", "name"), [(split, name) for split, names in NAMES.items() for name in names.split(" ")]
)
def test_a_name_stands_for_its_split(split, name):
    assert split_named(name) == split


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Extra",
        "mine",
        "fold 3",
        "0",
        "2",
        "dataset",
        "contest",
        "trained",
        "not train",
        "train+test",
        "no_test",
        "é",
    ],
)
def test_other_names_stand_for_none(name):
    assert split_named(name) is None


FILLERS = st.sampled_from(["", "set", "data", "images", "faces", "fer2013", "00001", "final"])
GAPS = st.sampled_from(["_", "-", " ", ".", "__", " - "])
CASES = st.sampled_from([str.lower, str.upper, str.capitalize, str.title])


@given(word=st.sampled_from(sorted(SPLIT_WORDS)), before=FILLERS, after=FILLERS, gap=GAPS, case=CASES)
def test_case_gaps_and_other_words_do_not_matter(word, before, after, gap, case):
    assert split_named(case(f"{before}{gap}{word}{gap}{after}")) == SPLIT_WORDS[word]


@given(st.text(max_size=30))
def test_any_text_is_a_split_or_none(name):
    assert split_named(name) in {None, T, V, X, M}


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        *(
            (name, True)
            for name in ("Usage", " usage ", "split", "Split", "set", "subset", "partition", "emotion usage")
        ),
        *((name, True) for name in ("data_split", "dataSplit", "USAGE")),
        *((name, False) for name in ("emotion", "settings", "dataset", "id", "pixels", "setting", "")),
    ],
)
def test_columns_of_splits(name, holds):
    assert is_split_column(name) is holds


WORDS = [
    ("train", "val", "test"),
    ("Train", "Valid", "Test"),
    ("TRAINING", "DEV", "TESTING"),
    ("training set", "validation set", "test set"),
    ("train_data", "dev-data", "eval"),
    ("Training", "PublicTest", "PrivateTest"),
    ("training", "public test", "private test"),
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("column", ["Usage", "split", "set", "Partition", "emotion usage", "phase"])
def test_columns_of_tables(tmp_path, words, column):
    named = [words[(T, V, X).index(split)] for split in SPLITS]
    (tmp_path / "faces.csv").write_text(written([["emotion", "pixels", column], *rows(splits=named)]))
    check(data := load_dataset(tmp_path / "faces.csv"))
    training, validation = training_and_validation(data)
    assert (len(training), len(validation), validation.split_names()) == (28, 7, (V,))


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    "layout", ["{split}/{label}", "{label}/{split}", "images/{split}/{label}", "a/b/{split}/{label}"]
)
def test_folders(tmp_path, words, layout):
    for at, split in enumerate(words):
        for label in ("happy", "sad"):
            write_image(tmp_path / layout.format(split=split, label=label) / f"{at}.png", np.zeros((9, 9, 3), np.uint8))
    data = load_dataset(tmp_path)
    found = {row.rpartition("/")[2]: str(split) for row, split in zip(data.rows, data.splits, strict=True)}
    assert found == {"0.png": T, "1.png": V, "2.png": X}
    assert {data.truths[0].labels[label] for label in data.truths[0].class_ids} == {"happy", "sad"}
    assert data.rejected == ()


PATHS = {
    T: ["Training_1.png", "train_00001_aligned.png", "train12.png", "data/train/happy/3.png", "test/train/9.png"],
    V: ["PublicTest_2.png", "val-7.png", r"C:\faces\valid\sad\5.png", "/home/train/faces/dev/1.png"],
    X: [
        "PrivateTest_3 (1).png",
        "test_0003_aligned.png",
        "private test 8.png",
        "train/PrivateTest_9.png",
        "12_test.png",
    ],
    None: ["mine_4.png", "happy/test.png", "contest_1.png", "not_train_1.png", "", "IMG_0001.png"],
}
"""Paths of images, and the split that each names; the part nearest to the end decides."""


@pytest.mark.parametrize(("split", "path"), [(split, path) for split, paths in PATHS.items() for path in paths])
def test_a_path_names_a_split(split, path):
    assert split_in_path(path) == split


def test_images_in_class_folders_are_split_by_their_names(tmp_path):
    names = {path: split for split, paths in PATHS.items() for path in paths if path and not set("/\\") & set(path)}
    for name in names:
        write_image(tmp_path / "happy" / name, np.zeros((9, 9, 3), np.uint8))
    data = load_dataset(tmp_path)
    found = zip((row.removeprefix("happy/") for row in data.rows.tolist()), data.splits.tolist(), strict=True)
    assert dict(found) == {name: split or T for name, split in names.items()}


def test_a_split_among_folders_of_expressions_is_no_class(tmp_path):
    for name in ("happy", "sad", "test"):
        write_image(tmp_path / name / "a.png", np.zeros((9, 9, 3), np.uint8))
    data = load_dataset(tmp_path)
    assert sorted(data.rows.tolist()) == ["happy/a.png", "sad/a.png"]
    assert [(bad.place, "name of a split" in bad.reason) for bad in data.rejected] == [("test/a.png", True)]


@pytest.mark.parametrize("column", ["filename", "path", "image_path", "Name"])
@pytest.mark.parametrize("form", ["{}/happy/{}.jpg", "/home/me/fer2013/images/{}/{}.png", "{}_{}.jpg"])
def test_a_column_of_paths_names_the_splits_of_pixels(tmp_path, column, form):
    table = [[form.format(row[2], at), *row[:2]] for at, row in enumerate(rows())]
    (tmp_path / "faces.csv").write_text(written([[column, *HEADER[:2]], *table]))
    check(load_dataset(tmp_path / "faces.csv"))


@pytest.mark.parametrize("column", ["phase", "type", "Mode", None])
@pytest.mark.parametrize("word", ["extra", "unlabeled", "Reserve"])
def test_a_column_of_splits_may_have_a_name_of_its_own(tmp_path, column, word):
    """Any value but "train" would be trained on if one unknown value hid the column."""
    named = [{T: "train", V: "val", X: word}[split] for split in SPLITS]
    header = [] if column is None else [["emotion", "pixels", column]]
    (tmp_path / "faces.csv").write_text(written([*header, *rows(splits=named)]))
    data = load_dataset(tmp_path / "faces.csv")
    assert data.splits.tolist() == [T] * 28 + [V] * 7 + [word] * 7
    assert any(f"7 rows of the split '{word}'" in note for note in data.notes)


def test_folders_of_splits_without_classes_are_no_classes(tmp_path):
    for name in ("train", "test"):
        write_image(tmp_path / name / "a.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(DatasetError, match="expected root/split/class/image"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("words", "training", "validation", "note"),
    [
        (("train", "weird", "test"), 25, (3, HELD_OUT), "7 rows of the split 'weird'"),
        (("train", "val", "Extra"), 28, (7, V), "7 rows of the split 'Extra'"),
        (("TrainVal", "TrainVal", "test"), 31, (4, HELD_OUT), None),
        (("train", "trainval", "test"), 31, (4, HELD_OUT), None),
        (("train", "val", "trainval"), 28, (7, V), "7 rows of the split 'TrainVal'"),
    ],
)
def test_rows_of_other_splits_are_left_and_said(tmp_path, words, training, validation, note):
    named = [words[(T, V, X).index(split)] for split in SPLITS]
    (tmp_path / "faces.csv").write_text(written([HEADER, *rows(splits=named)]))
    data = load_dataset(tmp_path / "faces.csv")
    learned, held = training_and_validation(data)
    assert len(learned) == pytest.approx(training, abs=4)  # a share of each label
    assert held.split_names() == (validation[1],)
    assert len(learned) + len(held) == training + validation[0]
    assert [note in text for text in data.notes] == ([] if note is None else [True])


@pytest.mark.parametrize("words", [("mine", "mine", "mine"), ("test", "test", "val"), ("trainval", "val", "test")])
def test_without_a_training_row_nothing_is_trained_on(tmp_path, words):
    named = [words[(T, V, X).index(split)] for split in SPLITS]
    (tmp_path / "faces.csv").write_text(written([HEADER, *rows(splits=named)]))
    with pytest.raises(DatasetError, match="expected rows of the split Training"):
        training_and_validation(load_dataset(tmp_path / "faces.csv"))


@pytest.mark.parametrize("missing", ["", "nan", "None", "NULL", "0", "1", "???"])
def test_a_missing_split_costs_its_row(tmp_path, missing):
    named = [missing, *SPLITS[1:]]
    (tmp_path / "faces.csv").write_text(written([HEADER, *rows(splits=named)]))
    data = load_dataset(tmp_path / "faces.csv")
    assert [bad.place for bad in data.rejected] == ["2"]
    assert "expected a Usage" in data.rejected[0].reason
    assert data.crops.tobytes() == IMAGES[1:].tobytes()


@pytest.mark.parametrize(
    ("columns", "flags"),
    [
        (("is_train", "is_val", "is_test"), ("100", "010", "001")),
        (("is_validation", "is_test"), ("00", "10", "01")),
        (("Test", "val"), ("00", "01", "10")),
    ],
)
@pytest.mark.parametrize("words", ["01", ("False", "True"), ("no", "yes")])
def test_columns_that_say_yes_or_no(tmp_path, columns, flags, words):
    marks = [[words[int(mark)] for mark in flags[(T, V, X).index(split)]] for split in SPLITS]
    table = [[*row[:2], *own] for row, own in zip(rows(), marks, strict=True)]
    (tmp_path / "faces.csv").write_text(written([["emotion", "pixels", *columns], *table]))
    check(load_dataset(tmp_path / "faces.csv"))


@pytest.mark.parametrize(("column", "kept"), [("is_train", "10"), ("is_test", "01")])
def test_one_column_of_yes_or_no_holds_a_test_back(tmp_path, column, kept):
    marks = [kept[0] if split == T else kept[1] for split in SPLITS]
    table = [[*row[:2], mark] for row, mark in zip(rows(), marks, strict=True)]
    (tmp_path / "faces.csv").write_text(written([["emotion", "pixels", column], *table]))
    assert load_dataset(tmp_path / "faces.csv").splits.tolist() == [T] * 28 + [X] * 14


@pytest.mark.parametrize("form", LISTS)
def test_a_file_named_as_a_split_names_that_of_its_rows(tmp_path, form):
    for name, split in (("train", T), ("valid", V), ("test", X)):
        part = [row[:2] for row in rows(form) if row[2] == split]
        (tmp_path / f"{name}.csv").write_text(written([HEADER[:2], *part]))
    data = load_dataset(tmp_path)
    order = [row.partition(":")[0] for row in data.rows.tolist()]
    assert order == ["test.csv"] * 7 + ["train.csv"] * 28 + ["valid.csv"] * 7
    assert data.splits.tolist() == [X] * 7 + [T] * 28 + [V] * 7
    assert data.crops.tobytes() == np.concatenate([IMAGES[35:], IMAGES[:28], IMAGES[28:35]]).tobytes()


TEST_TABLE = written([HEADER[:2], *(row[:2] for row in rows())]).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("faces/test.csv", TEST_TABLE),
        ("faces/private_test.csv.gz", gzip.compress(TEST_TABLE)),
        ("faces.zip", in_zip({"test.csv": TEST_TABLE})),
        ("faces.zip", in_zip({"test/faces.csv": TEST_TABLE, "train/faces.csv": b"id,pixels\n1,2\n"})),
        ("faces.tar.gz", in_tar("w:gz", test__data_csv=TEST_TABLE)),
    ],
)
def test_a_test_alone_is_not_trained_on(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    given = path.parent if path.parent != tmp_path else path
    assert load_dataset(given).splits.tolist() == [X] * COUNT


def test_a_table_that_the_user_names_is_trained_on_whatever_its_name(tmp_path):
    (tmp_path / "test.csv").write_bytes(TEST_TABLE)
    check(load_dataset(tmp_path / "test.csv"), splits=False)


def test_members_in_folders_named_as_splits(tmp_path):
    members = {
        f"fer/{folder}/faces.csv": written([HEADER[:2], *(row[:2] for row in rows() if row[2] == split)]).encode()
        for folder, split in (("train", T), ("val", V), ("test", X))
    }
    (tmp_path / "fer.zip").write_bytes(in_zip(members))
    data = load_dataset(tmp_path / "fer.zip")
    check(data)
    assert len(set(data.rows.tolist())) == COUNT  # mien train --exclude finds each by its place
    assert data.rows[0] == "fer/train/faces.csv:2"
