"""The page of a report: well-formed, with nothing from elsewhere, and every figure where it belongs."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from drawn_predictions import card_of, predictions_from, random_predictions
from PIL import Image

from mien.data.dataset import Rejected
from mien.emotions import FER2013
from mien.evaluation.comparison import Pair, compare
from mien.evaluation.evaluate import Evaluation
from mien.evaluation.html_comparison import p_value, verdict
from mien.evaluation.html_report import report_page

ROWS = 200
PIXELS = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8, 1)).astype(np.uint8)
PHOTOS = [Path(f"/photos/sad/p{row}.jpg") for row in range(ROWS)]


def evaluation_of(*models, rejected=(), shown=lambda row: PIXELS[row]):
    return Evaluation(models, shown, tuple(rejected), compare(models) if len(models) > 1 else None)


def parsed(page):
    """The page by a parser that forgives nothing."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>"))


def sections(page):
    """The words of each section by its heading."""
    return {part.find("h2").text: " ".join(" ".join(part.itertext()).split()) for part in parsed(page).iter("section")}


def images(page, heading):
    part = next(part for part in parsed(page).iter("section") if part.find("h2").text == heading)
    data = [image.get("src").removeprefix("data:image/png;base64,") for image in part.iter("img")]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in data]


def test_one_model_s_page():
    predictions = random_predictions("compact", rows=ROWS)
    page = report_page(evaluation_of(predictions), provenance="Evaluated on 2026-01-02.")
    told = sections(page)
    assert list(told) == [
        "Summary",
        "Metrics per class",
        "Confusion matrix",
        "Calibration",
        "Most confident errors",
        "The model compact",
        "Evaluation data",
        "Limitations",
    ]
    metrics = predictions.metrics
    for figure in (metrics.macro_f1, metrics.ece, metrics.nll, metrics.brier):
        assert f"{figure:.3f}" in told["Summary"]
    low, high = (100 * end for end in metrics.accuracy_interval)
    assert f"{100 * metrics.accuracy:.1f} % 95 % interval {low:.1f} to {high:.1f} %" in told["Summary"]
    for score in metrics.per_class:
        assert f"{score.label} " in told["Metrics per class"]
        assert f"{100 * score.precision:.1f} % {score.f1:.3f} {score.count}" in told["Metrics per class"]
    root = parsed(page)
    assert root.find("body/header/h1").text == "compact on made, PublicTest"
    assert root.find("body/header/p").text == "200 rows, output head “fer2013”. Evaluated on 2026-01-02."


def test_the_threshold_is_told_as_it_does():
    predictions = random_predictions(rows=ROWS)
    sure = predictions.probabilities.max(axis=1) >= 0.6
    wrong = (~predictions.correct)[sure].mean()
    words = f"{100 * sure.mean():.1f} % of the predictions here are sure, and {100 * wrong:.1f} %"
    assert words in sections(report_page(evaluation_of(predictions)))["Calibration"]


@pytest.mark.parametrize(("below", "words"), [(0.0, "sets no confidence threshold"), (1.0, "all are unsure")])
def test_thresholds_that_do_nothing_or_withhold_all(below, words):
    probabilities = np.full((4, 2), 0.5, np.float32)
    predictions = predictions_from(
        probabilities, np.array([0, 1, 0, 1]), labels="ab", card=card_of(labels="ab", unsure_below=below)
    )
    assert words in sections(report_page(evaluation_of(predictions)))["Calibration"]


def test_the_most_confident_errors_are_shown_as_they_are():
    predictions = random_predictions(rows=ROWS)
    page = report_page(evaluation_of(predictions))
    rows = predictions.most_confident_errors(24)
    assert len(rows) == 24
    for row, shown in zip(rows, images(page, "Most confident errors"), strict=True):
        assert np.array_equal(shown, PIXELS[row, ..., 0])
    first = rows[0]
    caption = (
        f"{predictions.labels[predictions.predicted[first]]} {100 * predictions.probabilities[first].max():.1f} % "
        f"labelled {predictions.labels[predictions.targets[first]]} row {predictions.places[first]}"
    )
    assert caption in sections(page)["Most confident errors"]


def test_a_model_without_mistakes():
    predictions = predictions_from(np.eye(2, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 1]), labels="ab")
    assert "There are none." in sections(report_page(evaluation_of(predictions)))["Most confident errors"]


def test_results_without_the_duplicates_stand_beside_those_with_them():
    predictions = random_predictions(rows=ROWS)
    copied = predictions.correct & (np.arange(ROWS) % 2 == 0)
    told = sections(report_page(evaluation_of(predictions), copied))["Without the duplicates"]
    for name, chosen in (("all rows", copied | True), ("without duplicates", ~copied), ("duplicates only", copied)):
        assert f"{name} {chosen.sum()} {100 * predictions.correct[chosen].mean():.1f} %" in told
    assert f"{copied.sum()} of 200 rows have a duplicate" in told


@pytest.mark.parametrize(("share", "absent"), [(True, "without duplicates"), (False, "duplicates only")])
def test_all_or_none_are_duplicates(share, absent):
    told = sections(report_page(evaluation_of(random_predictions(rows=ROWS)), np.full(ROWS, share)))[
        "Without the duplicates"
    ]
    assert not re.search(rf"{absent} \d", told)
    assert "all rows 200" in told


def test_what_was_left_out_and_rejected_is_told():
    rejected = [Rejected(str(line), f"reason {line}") for line in range(30)]
    predictions = random_predictions(rows=ROWS, excluded=7, rejected=30)
    told = sections(report_page(evaluation_of(predictions, rejected=rejected)))["Evaluation data"]
    assert "7 rows: the head lacks their label" in told
    assert "30 rows of the data that could not be read" in told
    assert "row 19 : reason 19" in told
    assert "reason 20" not in told
    assert "and 10 more" in told


def test_the_card_is_told():
    card = card_of(network="nano", data="fer2013 sha256:ab", made_with="mien 9", licence="MIT", notes="No ages.")
    told = sections(report_page(evaluation_of(random_predictions(rows=ROWS, card=card))))["The model drawn"]
    assert all(
        words in told for words in ("nano", "fer2013 sha256:ab", "mien 9", "MIT", "No ages.", "48 x 48", "0.600")
    )


@pytest.mark.parametrize(("labels", "told"), [(FER2013, True), ([str(digit) for digit in range(10)], False)])
def test_only_expressions_have_their_limits(labels, told):
    limits = sections(report_page(evaluation_of(random_predictions(labels=labels, rows=ROWS))))["Limitations"]
    assert ("not what a person feels" in limits) is told
    assert "Labels are human annotations" in limits


class TestPhotos:
    def test_photos_without_a_face_are_shown_and_counted(self):
        found = np.arange(ROWS) % 50 != 0
        page = report_page(evaluation_of(random_predictions(rows=ROWS, found=found, photos=PHOTOS)))
        told = sections(page)
        assert "No face found 4 of 200 photos; counted as wrong" in told["Summary"]
        assert "In 4 of 200 photos no face was found" in told["No face found"]
        assert "sad/p50.jpg" in told["No face found"]
        assert len(images(page, "No face found")) == 4

    def test_where_all_are_missed_nothing_is_said_of_probabilities(self):
        missed = random_predictions(rows=ROWS, found=np.zeros(ROWS, bool), photos=PHOTOS)
        told = sections(report_page(evaluation_of(missed)))
        assert "Calibration" not in told
        assert "There are none." in told["Most confident errors"]
        assert "The first 24 are shown" in told["No face found"]

    def test_a_photo_that_can_t_be_read_is_said_to_be(self):
        missed = random_predictions(rows=ROWS, found=np.arange(ROWS) > 0, photos=PHOTOS)
        told = sections(report_page(evaluation_of(missed, shown=lambda _: None)))
        assert "can't be shown labelled" in told["No face found"]


@pytest.fixture(scope="module")
def compared():
    """A poor model, a good one, and another poor one."""
    models = [random_predictions(name, rows=ROWS, right=right) for name, right in (("a", 0.4), ("b", 0.9), ("c", 0.4))]
    return report_page(evaluation_of(*models))


class TestComparison:
    def test_models_stand_side_by_side_and_then_each_by_itself(self, compared):
        root = parsed(compared)
        assert root.find("body/header/h1").text == "a, b and c on made, PublicTest"
        assert [part.text for part in root.iter("h2") if part.get("class") == "part"] == ["a", "b", "c"]
        headings = [part.text for part in root.iter("h2")]
        assert headings[:4] == ["Side by side", "Against a", "Where a and b disagree", "Where a and c disagree"]
        assert headings.count("Summary") == 3
        assert headings.count("Evaluation data") == 1

    def test_the_pairs_are_told(self, compared):
        told = sections(compared)["Against a"]
        assert "p < 0.001" in told
        assert "b predicts" in told
        assert "c and a do not differ significantly on these rows" in told

    def test_rows_that_only_one_gets_right_are_shown(self, compared):
        told = sections(compared)["Where a and b disagree"]
        assert re.search(r"Only a is correct: \d+ rows", told)
        assert len(images(compared, "Where a and b disagree")) > 8


@pytest.mark.parametrize(("p", "words"), [(0.0004, "< 0.001"), (0.04, "0.040"), (1.0, "1.000")])
def test_chance_in_words(p, words):
    assert p_value(p) == words


@pytest.mark.parametrize(
    ("p", "more", "words"),
    [(0.5, 3, "do not differ significantly"), (0.01, 3, "3 rows more"), (0.01, -3, "3 rows fewer")],
)
def test_verdicts(p, more, words):
    pair = Pair("b", 0.1, (0.0, 0.2), 0.0, 0, 10, 10 + more, 0.5, p)
    assert words in verdict(pair, "a")


HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b"


@pytest.mark.parametrize("several", [False, True])
def test_names_from_data_stay_text(several):
    labels = [f"{HOSTILE}{at}" for at in range(3)]
    card = card_of(HOSTILE, labels, network=HOSTILE, data=HOSTILE, notes=HOSTILE, licence=HOSTILE)
    photos = [f"/x/{HOSTILE}/{row}.jpg" for row in range(ROWS)]
    found = np.arange(ROWS) % 9 != 0
    models = [
        random_predictions(
            f"{HOSTILE}{at}", labels, ROWS, found=found, photos=photos, card=card, data=HOSTILE, split=HOSTILE
        )
        for at in range(2 if several else 1)
    ]
    page = report_page(evaluation_of(*models, rejected=[Rejected(HOSTILE, HOSTILE)]), np.arange(ROWS) < 5, HOSTILE)
    names = {part.tag for part in parsed(page).iter()}
    assert "script" not in names
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "alert(1)" in page


@pytest.mark.parametrize("models", [("a",), ("a", "b")])
def test_nothing_is_fetched_and_nothing_runs(models):
    page = report_page(evaluation_of(*(random_predictions(name, rows=ROWS) for name in models)), np.arange(ROWS) < 9)
    for part in parsed(page).iter():
        assert part.tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        for name, value in part.attrib.items():
            assert not name.startswith("on")
            assert name not in ("href", "src") or value.startswith("data:image/png;base64,")
    assert not re.search(r"url\(|@import|https?://", page)
