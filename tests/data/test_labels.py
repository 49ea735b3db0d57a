from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables_written import HEADER, IMAGES, LABELS, check, rows, written

from mien.data import load as load_dataset
from mien.data.labels import LabelColumn
from mien.data.rows import BadRowError
from mien.emotions import FER2013, SYNONYMS, Emotion
from mien.errors import DatasetError

COLUMNS_OF_EMOTIONS = ["emotion", "Emotion", "expression", "emotions", "emotion_label", "Emotion ID"]
COLUMNS_OF_CLASSES = ["label", "class", "target", "y", "category", "Class_ID"]
NAMES = [emotion.value for emotion in FER2013]
BIG = np.random.default_rng(0).integers(0, 256, (56, 48, 48), np.uint8)


def load(folder, labels, column="emotion", images=IMAGES, name="faces.csv"):
    pixels = [" ".join(map(str, image.ravel())) for image in images]
    table = [[str(label), text] for label, text in zip(labels, pixels, strict=False)]
    (folder / name).write_text(written([[column, "pixels"], *table]))
    return load_dataset(folder / name)


@pytest.mark.parametrize("column", COLUMNS_OF_EMOTIONS)
@pytest.mark.parametrize("form", ["{}", "{}.0", "{}.", " {} ", "{}.000", "{}.00e+00", "{},0", "[{}]", "'{}'"])
def test_numbers_of_fer2013(tmp_path, column, form):
    check(load(tmp_path, map(form.format, LABELS), column), splits=False)


@pytest.mark.parametrize("column", COLUMNS_OF_CLASSES)
@pytest.mark.parametrize("form", ["{}", "{}.0"])
def test_numbers_of_classes_are_fer2013_s_for_images_of_its_size(tmp_path, column, form):
    data = load(tmp_path, map(form.format, LABELS), column, BIG)
    assert (data.truths[0].labels, data.truths[0].class_ids.tolist()) == (tuple(FER2013), LABELS)
    assert ["0 angry, 1 disgust" in note for note in data.notes] == [True]


@pytest.mark.parametrize(
    ("labels", "images", "classes"),
    [
        ([0, 1] * 5, BIG, ("0", "1")),  # a yes and a no are the user's own
        (list(range(10)), BIG, tuple("0123456789")),
        ([0, 1, 2] * 5, IMAGES, ("0", "1", "2")),
        (["1.0", "2.0", "30.0"] * 3, IMAGES, ("1", "2", "30")),
    ],
)
def test_other_numbers_are_the_user_s_own_classes(tmp_path, labels, images, classes):
    data = load(tmp_path, labels, "label", images)
    assert (data.truths[0].head, data.truths[0].labels, data.notes) == ("classes", classes, ())


@pytest.mark.parametrize("seen", [[0, 1, 2, 3], [3], [6, 0], [1, 2, 3, 4, 5, 6], [2, 4]])
def test_some_of_fer2013_s_labels_are_still_its_own(tmp_path, seen):
    labels = [seen[at % len(seen)] for at in range(20)]
    data = load(tmp_path, labels)
    assert (data.truths[0].labels, data.truths[0].class_ids.tolist()) == (tuple(FER2013), labels)


@pytest.mark.parametrize("form", ["{}", "{}.0"])
@pytest.mark.parametrize(("column", "images"), [("emotion", IMAGES), ("label", BIG), ("class", BIG)])
def test_labels_from_1_to_7_are_refused(tmp_path, form, column, images):
    with pytest.raises(DatasetError, match=r"0 to 6 .*received 1 to 7: they look shifted by one\. Subtract"):
        load(tmp_path, [form.format(label + 1) for label in LABELS], column, images)


def test_labels_from_1_to_6_are_said_to_be_fer2013_s(tmp_path):
    data = load(tmp_path, [at % 6 + 1 for at in range(42)])
    assert ["0 angry, 1 disgust" in note for note in data.notes] == [True]


@pytest.mark.parametrize("form", ["{}.5", "-{}", "{}%", "{}-{}"])
def test_numbers_of_another_form_are_no_classes_of_emotions(tmp_path, form):
    with pytest.raises(DatasetError, match="expected an emotion from 0 to 6"):
        load(tmp_path, [form.format(label + 1, label) for label in LABELS])


def test_labels_from_0_to_7_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"received 0 to 7, 5 rows with 7: in FER\+ 0 is neutral and 7 contempt"):
        load(tmp_path, [at % 8 for at in range(42)])


@pytest.mark.parametrize("extra", ["emotion_name", "label_name", "EmotionName", "class"])
@pytest.mark.parametrize("shift", [0, 1])
def test_a_column_of_names_goes_before_numbers(tmp_path, extra, shift):
    table = [[str(int(row[0]) + shift), NAMES[int(row[0])], *row[1:]] for row in rows()]
    (tmp_path / "faces.csv").write_text(written([["emotion", extra, "pixels", "usage"], *table]))
    check(load_dataset(tmp_path / "faces.csv"))


@pytest.mark.parametrize("column", [*COLUMNS_OF_EMOTIONS, *COLUMNS_OF_CLASSES])
@pytest.mark.parametrize("case", [str.lower, str.upper, str.capitalize, lambda name: f" {name} "])
def test_names_of_expressions_in_any_case(tmp_path, column, case):
    check(load(tmp_path, [case(NAMES[label]) for label in LABELS], column), splits=False)


@given(st.lists(st.sampled_from(sorted(SYNONYMS)), min_size=1), st.sampled_from([str.lower, str.upper, str.title]))
def test_synonyms_are_their_expressions(names, case):
    labels = LabelColumn(is_emotion=True, sample=[case(name) for name in names])
    parsed = [labels.parse(case(name)) for name in names]
    truth, _ = labels.truth(parsed, 48, "here")
    assert [truth.labels[label] for label in truth.class_ids] == [SYNONYMS[name] for name in names]
    assert (truth.head == "fer2013") == (Emotion.CONTEMPT not in {SYNONYMS[name] for name in names})


WRONG = ["-1", "nan", "NaN", "", "null", "7.5", "9", "3.2", "inf", "1e1", "+3", "happy", "0x1", "٣"]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", [0, 17, 41])
def test_a_label_that_is_none_costs_its_row(tmp_path, wrong, place):
    labels: list[object] = list(LABELS)
    labels[place] = wrong
    data = load(tmp_path, labels)
    assert [(bad.place, "from 0 to 6" in bad.reason) for bad in data.rejected] == [(str(place + 2), True)]
    assert data.crops.tobytes() == np.delete(IMAGES, place, axis=0).tobytes()


@pytest.mark.parametrize("wrong", ["3", "hapy", "nan", "", "unknown"])
def test_among_names_of_expressions_others_cost_their_row(tmp_path, wrong):
    labels = [NAMES[label] for label in LABELS]
    labels[5] = wrong
    data = load(tmp_path, labels)
    assert [bad.place for bad in data.rejected] == ["7"]
    assert data.truths[0].labels == tuple(FER2013)


@pytest.mark.parametrize("wrong", ["-1", "nan", "x", "2.5"])
def test_among_numbers_of_classes_others_cost_their_row(tmp_path, wrong):
    data = load(tmp_path, [0, 1, wrong, 0, 1, 1], "label")
    assert [bad.place for bad in data.rejected] == ["4"]
    assert data.truths[0].labels == ("0", "1")


@given(st.lists(st.text(max_size=8), max_size=20), st.text(max_size=8), st.booleans())
def test_any_text_is_a_label_or_a_bad_row(sample, value, is_emotion):
    labels = LabelColumn(is_emotion=is_emotion, sample=sample)
    try:
        parsed = labels.parse(value)
    except BadRowError:
        return
    assert parsed == value.strip() or parsed == int(float(value))


def test_class_names_of_a_file_are_used(tmp_path):
    labels = LabelColumn(is_emotion=False, sample=["0", "1"], names=("Joy", "anger"))
    truth, notes = labels.truth([labels.parse("1"), labels.parse("0.0")], 9, "here")
    assert ([truth.labels[label] for label in truth.class_ids], notes) == (["angry", "happy"], ())
    with pytest.raises(BadRowError, match="from 0 to 1"):
        labels.parse("2")


@pytest.mark.shared
def test_the_case_of_labels_from_1_to_7(shared):
    with pytest.raises(DatasetError, match="received 1 to 7"):
        load_dataset(shared / "cases" / "label_1to7.csv")


def test_header_words_are_not_case_sensitive(tmp_path):
    (tmp_path / "faces.csv").write_text(written([[name.swapcase() for name in HEADER], *rows()]))
    check(load_dataset(tmp_path / "faces.csv"))
