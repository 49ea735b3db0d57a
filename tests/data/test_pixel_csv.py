from __future__ import annotations

import gzip

import numpy as np
import pytest

from mien.data import cache
from mien.data import load as load_dataset
from mien.data.labels import MAX_LABELS
from mien.emotions import FER2013
from mien.errors import DatasetError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
SPACED = [" ".join(map(str, image.ravel())) for image in IMAGES]
COMMAS = [text.replace(" ", ",") for text in SPACED]
NUMBERED = ",".join(f"pixel{at}" for at in range(64))
FROM_ONE = ",".join(f"pixel{at}" for at in range(1, 65))
BARE = ",".join(map(str, range(64)))
PLACED = ",".join(f"{row}x{column}" for row in range(1, 9) for column in range(1, 9))


@pytest.fixture
def write(tmp_path):
    def make(header, rows, name="faces.csv", end="\n"):
        path = tmp_path / name
        content = (end.join([header, *rows]) + end).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return make


@pytest.mark.parametrize(
    "header", ["label,pixels", "pixels,class", "Expression, Pixels", '"label","pixels"', "id,label,pixels"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_pixels_in_one_column(write, header, end):
    values = {"label": "cat", "class": "cat", "expression": "cat", "id": "7"}
    names = [name.strip(' "').lower() for name in header.split(",")]
    rows = [",".join(values.get(name, text) for name in names) for text in SPACED]
    data = load_dataset(write(header, rows, end=end))
    assert data.crops.tobytes() == IMAGES.tobytes()
    assert data.rows.tolist() == ["2", "3", "4", "5", "6", "7"]
    assert (data.truths[0].head, data.truths[0].labels, data.rejected) == ("classes", ("cat",), ())
    assert (data.name, data.split_names()) == ("faces", ("Training",))


@pytest.mark.parametrize(
    "names", [NUMBERED, FROM_ONE, BARE, PLACED, NUMBERED.replace("pixel", "pixel_"), PLACED.upper()]
)
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_column_a_pixel(write, names, label_first, end):
    order = (lambda label, rest: f"{label},{rest}") if label_first else (lambda label, rest: f"{rest},{label}")
    path = write(order("label", names), [order(at, text) for at, text in enumerate(COMMAS)], end=end)
    data = load_dataset(path)
    assert data.crops.tobytes() == IMAGES.tobytes()
    assert data.truths[0].labels == ("0", "1", "2", "3", "4", "5")
    assert data.truths[0].class_ids.tolist() == [0, 1, 2, 3, 4, 5]


def test_columns_of_pixels_are_ordered_by_their_names(write):
    names = NUMBERED.split(",")
    order = np.random.default_rng(1).permutation(64)
    header = ",".join(["label", *(names[at] for at in order)])
    rows = [",".join(["1", *(str(image.ravel()[at]) for at in order)]) for image in IMAGES]
    assert load_dataset(write(header, rows)).crops.tobytes() == IMAGES.tobytes()


@pytest.mark.parametrize(
    ("column", "words", "head", "labels", "answers"),
    [
        ("label", ["happy", "sad", "Joy", "anger", "neutral", "fear"], "fer2013", FER2013, [3, 4, 3, 0, 6, 2]),
        ("emotion", ["happy", "sad", "joy", "anger", "neutral", "fear"], "fer2013", FER2013, [3, 4, 3, 0, 6, 2]),
        ("label", ["happy", "contempt"] * 3, "classes", ("happy", "contempt"), [0, 1] * 3),
        ("label", ["happy", "cat"] * 3, "classes", ("cat", "happy"), [1, 0] * 3),
        ("label", ["10", "9", "100"] * 2, "classes", ("9", "10", "100"), [1, 0, 2] * 2),
        ("label", ["0", "6"] * 3, "classes", ("0", "6"), [0, 1] * 3),
        ("emotion", ["0", "6"] * 3, "fer2013", FER2013, [0, 6] * 3),
        ("class", ["ž", "a,b".replace(",", ";")] * 3, "classes", ("a;b", "ž"), [1, 0] * 3),
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_labels(write, column, words, *, head, labels, answers, wide):
    names, texts = (NUMBERED, COMMAS) if wide else ("pixels", SPACED)
    data = load_dataset(write(f"{column},{names}", [f"{word},{text}" for word, text in zip(words, texts, strict=True)]))
    truth = data.truths[0]
    assert (truth.head, truth.labels) == (head, tuple(labels))
    assert truth.class_ids.tolist() == answers
    assert data.rejected == ()


@pytest.mark.parametrize(
    ("column", "words", "splits"),
    [
        ("Usage", ["Training", "PublicTest", "PrivateTest"], ["Training", "PublicTest", "PrivateTest"]),
        ("split", ["train", "val", "test"], ["Training", "PublicTest", "PrivateTest"]),
        ("usage", ["mine", "mine", "TRAIN"], ["mine", "mine", "Training"]),
    ],
)
def test_splits(write, column, words, splits):
    rows = [f"cat,{text},{word}" for text, word in zip(SPACED, words, strict=False)]
    assert load_dataset(write(f"label,pixels,{column}", rows)).splits.tolist() == splits


@pytest.mark.parametrize(
    ("header", "rows", "head", "targets"),
    [
        (
            "pixels,happy,sad",
            ["{},1,3", "{},2,0"],
            "fer2013",
            [[0, 0, 0, 0.25, 0.75, 0, 0], [0, 0, 0, 1, 0, 0, 0]],
        ),
        ("contempt,joy,pixels", ["1,0,{}", "0.5,0.5,{}"], "classes", [[0, 1], [0.5, 0.5]]),
    ],
)
def test_votes_become_shares(write, header, rows, head, targets):
    data = load_dataset(write(header, [row.format(text) for row, text in zip(rows, SPACED, strict=False)]))
    truth = data.truths[0]
    assert truth.head == head
    np.testing.assert_allclose(truth.targets, targets)
    assert truth.evaluated.all()
    assert truth.weights.tolist() == [1.0, 1.0]


# a bad row of a csv label,pixels,usage, and a word of the reason
FAULTS = {
    "no label": (f",{SPACED[1]},Training", "received ''"),
    "label that is no text": (f"\udc81,{SPACED[1]},Training", "label of 1 to 64"),
    "label that steers a terminal": (f"\x1b[2J,{SPACED[1]},Training", "label of 1 to 64"),
    "long label": (f"{'x' * 65},{SPACED[1]},Training", "label of 1 to 64"),
    "too few pixels": (f"cat,{SPACED[1].rpartition(' ')[0]},Training", "received 63"),
    "pixel of 256": (f"cat,256 {SPACED[1].partition(' ')[2]},Training", "'256' as number 1"),
    "too few columns": (f"cat,{SPACED[1]}", "received 2"),
    "no split": (f"cat,{SPACED[1]},", "Usage"),
    "NUL": (f"c\0t,{SPACED[1]},Training", "NUL"),
    "long line": (f"cat,{'0 ' * 200_001},Training", "longer"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_costs_its_own_row_only(tmp_path, kind):
    bad, word = FAULTS[kind]
    lines = ["label,pixels,usage", f"cat,{SPACED[0]},Training", bad, f"dog,{SPACED[2]},Training", ""]
    path = tmp_path / "pets.csv"
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    data = load_dataset(path)
    assert data.crops.tobytes() == IMAGES[[0, 2]].tobytes()
    assert data.rows.tolist() == ["2", "4"]
    (found,) = data.rejected
    assert found.place == "3"
    assert word in found.reason


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ("1,,3", "as number 2"),
        ("1,2 3,4", "'2 3' as number 2"),
        ("1,1.5,3", "'1.5' as number 2"),
    ],
)
def test_a_pixel_that_is_missing_shifts_no_other(write, bad, word):
    line = f"cat,{bad},{COMMAS[0].split(',', 3)[3]}"
    data = load_dataset(write(f"label,{NUMBERED}", [f"cat,{COMMAS[0]}", line, f"cat,{COMMAS[2]}"]))
    assert data.crops.tobytes() == IMAGES[[0, 2]].tobytes()
    assert [(found.place, word in found.reason) for found in data.rejected] == [("3", True)]


@pytest.mark.parametrize("votes", ["0,0", "-1,2", "nan,1", "inf,1", "x,1", ",1", "1e300,1"])
def test_votes_that_are_none_cost_their_row(write, votes):
    data = load_dataset(write("happy,sad,pixels", [f"1,0,{SPACED[0]}", f"{votes},{SPACED[1]}", f"0,1,{SPACED[2]}"]))
    assert data.rows.tolist() == ["2", "4"]
    assert "votes" in data.rejected[0].reason


@pytest.mark.parametrize(("cut", "kept"), [(0, True), (1, False)])
def test_a_last_label_that_is_cut_is_no_new_class(tmp_path, cut, kept):
    content = "\n".join(["pixels,label", f"{SPACED[0]},cats", f"{SPACED[1]},cats"])
    (tmp_path / "pets.csv").write_text(content[: len(content) - cut])
    data = load_dataset(tmp_path / "pets.csv")
    assert data.truths[0].labels == ("cats",)
    assert len(data) == (2 if kept else 1)


@pytest.mark.parametrize(
    ("header", "row", "word"),
    [
        ("id,pixels", f"1,{SPACED[0]}", "column of labels"),
        ("pixels", SPACED[0], "column of labels"),
        ("pixels,happy", f"{SPACED[0]},1", "column of labels"),
        ("id,pixels,happy,sad", f"1,{SPACED[0]},1,0", "column of labels"),
        ("pixels,happy,joy", f"{SPACED[0]},1,0", "column of labels"),
        ("label,class,pixels", f"a,b,{SPACED[0]}", "column of labels"),
        ("label,pixels,usage,split", f"a,{SPACED[0]},Training,Training", "most one of usage"),
        ("label,pixels,pixels", f"a,{SPACED[0]},{SPACED[0]}", "first line"),
        (f"label,{NUMBERED},pixel64", f"a,{COMMAS[0]},1", "first line"),
        (f"label,{NUMBERED.replace('pixel63', 'pixel70')}", f"a,{COMMAS[0]}", "first line"),
        (f"label,{PLACED.replace('8x8', '8x9')}", f"a,{COMMAS[0]}", "first line"),
        ("5", "", "first line"),
        ("label,text", "a,b", "first line"),
        ("", "", "first line"),
        ("label,pixels", "cat,1 2 3", "line 2: expected the pixels of a square"),
        ("label,pixels", "", "there are none"),
    ],
)
def test_a_csv_without_labels_pixels_or_rows_is_refused(write, header, row, word):
    with pytest.raises(DatasetError, match=word):
        load_dataset(write(header, [row]))


def test_names_or_row_numbers_are_no_labels(write):
    rows = [f"{at},{SPACED[0]}" for at in range(MAX_LABELS + 1)]
    with pytest.raises(DatasetError, match="1001"):
        load_dataset(write("label,pixels", rows))
    assert not cache.folder().exists()


def test_a_damaged_file_is_refused(write):
    path = write("label,pixels", [f"cat,{text}" for text in SPACED], name="faces.csv.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match="damaged"):
        load_dataset(path)


@pytest.mark.parametrize("header", ["label,pixels", f"label,{NUMBERED}", "happy,sad,pixels"])
def test_a_kept_csv_is_the_same_again(write, header):
    label = {"label,pixels": "dog,", f"label,{NUMBERED}": "dog,", "happy,sad,pixels": "1,2,"}[header]
    texts = COMMAS if header.startswith("label,pixel0") else SPACED
    path = write(header, [*(label + text for text in texts), "x"])
    first = load_dataset(path)
    (stored,) = cache.folder().iterdir()
    assert stored.name.startswith("pixels-")
    second = load_dataset(path)
    assert second.crops.tobytes() == first.crops.tobytes() == IMAGES.tobytes()
    assert second.truths[0].labels == first.truths[0].labels
    np.testing.assert_array_equal(second.truths[0].targets, first.truths[0].targets)
    assert (second.digest, second.rejected) == (first.digest, first.rejected)
    assert (second.splits.tolist(), second.rows.tolist()) == (first.splits.tolist(), first.rows.tolist())


def test_a_foreign_file_under_the_cache_s_name_is_no_answer(write):
    path = write("label,pixels", [f"dog,{text}" for text in SPACED])
    digest = load_dataset(path).digest
    cache.save("pixels", digest, {"crops": np.zeros((1, 8, 8, 1), np.uint8), "words": np.array(["a"])})
    assert load_dataset(path).crops.tobytes() == IMAGES.tobytes()


def test_one_bad_label_does_not_make_fer2013_another_format(make_rows, write_csv):
    lines = [row.line() for row in make_rows(4)]
    data = load_dataset(write_csv([b"happy" + lines[0][1:], *lines[1:]], name="faces.csv"))
    assert (data.name, len(data), data.truths[0].head) == ("fer2013", 3, "fer2013")
    assert [found.place for found in data.rejected] == ["2"]


@pytest.mark.shared
def test_the_real_digits_as_a_csv_are_the_digits(shared_data, tmp_path):
    digits = load_dataset(shared_data / "mnist").select(np.arange(300))
    answers = digits.truths[0].class_ids
    header = ",".join(["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))])
    lines = [",".join(map(str, [answer, *crop.ravel()])) for answer, crop in zip(answers, digits.crops, strict=True)]
    (tmp_path / "digits.csv").write_text("\n".join([header, *lines]))
    data = load_dataset(tmp_path)
    assert data.crops.tobytes() == digits.crops.tobytes()
    assert [data.truths[0].labels[answer] for answer in data.truths[0].class_ids] == [str(answer) for answer in answers]
