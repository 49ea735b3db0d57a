"""``mien evaluate``: scores of the shipped model on drawn face crops and on photos through the whole chain."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mien.emotions import FER2013, FERPLUS

SPLITS = ("Training", "PublicTest", "PrivateTest")
FIELDS = {
    *("accuracy", "macro_f1", "ece", "nll", "n", "per_class", "confusion", "model", "data", "split"),
    *("head", "labels", "missed", "excluded", "rejected", "accuracy_interval", "balanced_accuracy", "brier"),
}


@pytest.fixture
def fer2013(tmp_path):
    """A folder with a FER2013 csv of noise: by default 10 rows in each of the three splits."""

    def write(count=30, splits=SPLITS):
        dice = np.random.default_rng(0)
        lines = [
            f"{row % 7},{' '.join(map(str, dice.integers(0, 256, 48 * 48)))},{splits[row % len(splits)]}"
            for row in range(count)
        ]
        (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines, "9,1 2,Training"]) + "\n")
        return tmp_path

    return write


@pytest.fixture
def with_votes(fer2013):
    """The same, with FER+ votes beside it: ten for one label each."""
    folder = fer2013()
    columns = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
    lines = [
        f"{SPLITS[row % 3]},fer.png,{','.join('10' if at == row % 8 else '0' for at in range(10))}" for row in range(30)
    ]
    header = ",".join(["Usage", "Image name", *columns])
    # the csv's last row can't be read, and its votes go with it
    (folder / "fer2013new.csv").write_text("\n".join([header, *lines, "Training,,10,0,0,0,0,0,0,0,0,0"]) + "\n")
    return folder


@pytest.fixture
def photos(paint, portrait, tmp_path):
    """A smiling face, one that is missed, and one under a label that is not trusted."""
    paint("photos/happy/a.png", portrait)
    paint("photos/neutral/b.png")
    paint("photos/disgust/c.png", portrait)
    return tmp_path / "photos"


def test_json_is_one_object_of_all_figures(mien, fer2013):
    code, out, _ = mien("evaluate", "--data", fer2013(), "--json")
    assert (code, out.count("\n")) == (0, 1)
    report = json.loads(out)
    assert set(report) == FIELDS
    assert (report["model"], report["data"], report["split"]) == ("compact", "fer2013", "PublicTest")
    assert (report["head"], report["n"], report["rejected"]) == ("fer2013", 10, 1)
    assert report["labels"] == list(report["per_class"]) == list(FER2013)
    confusion = np.array(report["confusion"])
    assert confusion.shape == (7, 7)
    assert report["accuracy"] == confusion.trace() / 10
    assert [score["count"] for score in report["per_class"].values()] == confusion.sum(axis=1).tolist()
    assert 0 <= report["ece"] <= 1
    assert report["nll"] > 0


@pytest.mark.parametrize(
    ("labels", "head", "names"),
    [
        ("", "fer2013", FER2013),
        ("fer2013", "fer2013", FER2013),
        ("ferplus", "ferplus", FERPLUS),
        ("fused", "fused", FER2013),
    ],
)
def test_label_sets(mien, with_votes, labels, head, names):
    report = json.loads(mien("evaluate", "--data", with_votes, "--json", "--head", labels).out)
    assert report["head"] == head
    assert set(report["labels"]) == set(names)


@pytest.mark.parametrize(
    ("options", "splits", "judged", "count"),
    [
        ([], SPLITS, "PublicTest", 10),
        (["--split", "Training"], SPLITS, "Training", 10),
        ([], ("Training",), "Training", 30),
    ],
)
def test_splits(mien, fer2013, options, splits, judged, count):
    report = json.loads(mien("evaluate", "--data", fer2013(splits=splits), "--json", *options).out)
    assert (report["split"], report["n"]) == (judged, count)


def test_the_report_for_people_and_the_files(mien, fer2013, tmp_path):
    folder = tmp_path / "new" / "report"
    code, out, err = mien("evaluate", "--data", fer2013(splits=("Training",)), "--out", folder)
    assert (code, str(folder / "report.html") in err) == (0, True)
    assert all(word in out for word in ("accuracy", "macro-F1", "ECE", "surprise", "Confusion"))
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "report.html"]
    written = (folder / "metrics.json").read_text(encoding="utf-8")
    assert written == mien("evaluate", "--data", tmp_path, "--json").out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{100 * json.loads(written)['accuracy']:.1f} %" in page
    assert "Without the duplicates" not in page


def test_rows_with_a_copy_in_training_are_left_out_of_a_second_figure(mien, fer2013, tmp_path):
    folder = fer2013()
    lines = (folder / "fer2013.csv").read_text().splitlines()
    # the first row of PublicTest, as it stands in Training
    lines[1] = lines[2].replace("PublicTest", "Training")
    (folder / "fer2013.csv").write_text("\n".join(lines) + "\n")
    out = mien("evaluate", "--data", folder, "--out", tmp_path / "report", "--json").out
    assert set(json.loads(out)) == FIELDS
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    without = written.pop("without_copies")
    assert written == json.loads(out)
    assert (without["n"], written["n"]) == (9, 10)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "1 of 10 rows have a duplicate in Training" in page


def test_several_models_are_compared_on_the_same_rows(mien, fer2013, tmp_path, shipped_model):
    (tmp_path / "twin.onnx").write_bytes(shipped_model)
    models = ("--model", "compact", "--model", tmp_path / "twin.onnx")
    ran = mien("evaluate", "--data", fer2013(), *models, "--json", "--out", tmp_path / "report")
    values = json.loads(ran.out)
    assert set(values) == {"models", "comparison"}
    assert all(set(report) == FIELDS for report in values["models"])
    # both cards say "compact"
    assert [report["model"] for report in values["models"]] == ["compact", str(tmp_path / "twin.onnx")]
    (pair,) = values["comparison"]["pairs"]
    assert (pair["agreement"], pair["accuracy_difference"], pair["p"]) == (1.0, 0.0, 1.0)
    assert "Side by side" in (tmp_path / "report" / "report.html").read_text()
    shown = mien("evaluate", "--data", tmp_path, *models).out
    assert "McNemar" in shown


def test_photos_have_a_page_too(mien, photos, tmp_path):
    assert mien("evaluate", "--data", photos, "--photos", "--out", tmp_path / "report").code == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "neutral/b.png" in page
    assert "In 1 of 3 photos no face was found" in page


def test_class_folders_of_crops(mien, paint, portrait, tmp_path):
    paint("crops/happy/a.png", portrait[50:180, 60:200])
    report = json.loads(mien("evaluate", "--data", tmp_path / "crops", "--json").out)
    assert (report["accuracy"], report["n"], report["head"]) == (1.0, 1, "fer2013")


def test_photos_go_through_the_whole_chain(mien, photos):
    report = json.loads(mien("evaluate", "--data", photos, "--photos", "--json").out)
    assert set(report) == FIELDS
    assert (report["n"], report["missed"], report["head"]) == (3, 1, "fused")
    assert report["per_class"]["happy"]["recall"] == 1
    assert report["per_class"]["neutral"] == {"precision": 0, "recall": 0, "f1": 0, "count": 1, "missed": 1}


def test_expressions_left_out(mien, photos):
    options = ("--exclude-label", "disgust", "--exclude-label", "Neutral")
    report = json.loads(mien("evaluate", "--data", photos, "--photos", "--json", *options).out)
    assert (report["n"], report["accuracy"], report["excluded"]) == (1, 1, 2)
    assert report["split"] == "without disgust, neutral"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "Bogus"], ["Training", "PublicTest", "PrivateTest", "'Bogus'"]),
        (["--head", "nope"], ["fused", "fer2013", "ferplus", "'nope'"]),
        (["--head", "ferplus"], ["'ferplus'"]),
        (["--model", "nope"], ["compact", "'nope'"]),
        (["--model", "compact", "--model", "compact"], ["different models", "compact, compact"]),
        (["--exclude-label", "sad"], ["--photos"]),
        (["--photos", "--split", "PublicTest"], ["--split"]),
        (["--photos", "--exclude-label", "hapy"], ["'hapy'"]),
        (["--photos", "--detector", "nope"], ["whole", "'nope'"]),
        (["--data", "gone"], ["gone"]),
        (["--out", "fer2013.csv/x"], ["can't write fer2013.csv"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_what_would_be_right(mien, fer2013, photos, monkeypatch, options, words):
    data = photos if "--photos" in options else fer2013()
    monkeypatch.chdir(photos.parent)
    code, out, err = mien("evaluate", "--data", data, "--json", *options)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


def test_a_split_that_the_only_one_is_not(mien, fer2013):
    code, _, err = mien("evaluate", "--data", fer2013(splits=("Training",)), "--split", "PrivateTest")
    assert (code, "'PrivateTest'" in err) == (2, True)


def test_crops_of_another_size_are_refused(mien, tmp_path):
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n3," + " ".join(["7"] * 64) + ",PublicTest\n")
    code, _, err = mien("evaluate", "--data", tmp_path)
    assert (code, "expected face crops of (48, 48, 1)" in err) == (2, True)
