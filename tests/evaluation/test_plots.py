"""Plots show the figures that they are given."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from drawn_predictions import random_predictions

from mien.emotions import FER2013
from mien.evaluation import plots
from mien.evaluation.metrics import ClassScore, compute_metrics, reliability_bins, risk_coverage
from mien.visualization.report.charts import Axes


def parts(markup, name, class_=None):
    return [part for part in ET.fromstring(markup).iter(name) if class_ is None or part.get("class") == class_]


@pytest.fixture
def predictions():
    return random_predictions(rows=400)


def test_reliability_has_a_bar_as_high_as_each_bin_is_right(predictions):
    bins = reliability_bins(predictions.probabilities, predictions.targets)
    filled = [one for one in bins if one.count]
    bars = parts(plots.reliability(bins), "rect", "fill")
    assert [float(bar.get("height")) for bar in bars] == pytest.approx([250 * one.accuracy for one in filled], abs=0.01)
    gaps = parts(plots.reliability(bins), "rect", "gap")
    assert [float(gap.get("height")) for gap in gaps] == pytest.approx(
        [250 * abs(one.accuracy - one.confidence) for one in filled], abs=0.01
    )


def test_every_bin_tells_its_rows(predictions):
    bins = reliability_bins(predictions.probabilities, predictions.targets)
    texts = parts(plots.counts(bins), "text", "middle small")
    assert [text.text or "" for text in texts] == [str(one.count or "") for one in bins]


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.95])
def test_the_threshold_is_marked_where_it_lies_on_the_curve(predictions, threshold):
    curve = risk_coverage(predictions.probabilities, predictions.targets)
    sure = predictions.probabilities.max(axis=1) >= threshold
    plot = plots.risk_and_coverage(curve, threshold)
    (dot,) = parts(plot, "circle", "dot")
    end = float(next(text.text for text in parts(plot, "text", "end quiet") if text.get("y") == "14").split()[0]) / 100
    axes = Axes(y_end=end)
    assert float(dot.get("cx")) == pytest.approx(axes.x(sure.mean()), abs=0.01)
    assert float(dot.get("cy")) == pytest.approx(axes.y((~predictions.correct)[sure].mean()), abs=0.01)
    assert f"unsure below {threshold:.2f}" in "".join(ET.fromstring(plot).itertext())


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_withholds_nothing_or_all_is_not_marked(predictions, threshold):
    curve = risk_coverage(predictions.probabilities, predictions.targets)
    assert not parts(plots.risk_and_coverage(curve, threshold), "circle")


def test_a_long_curve_keeps_its_ends():
    predictions = random_predictions(rows=5000)
    curve = risk_coverage(predictions.probabilities, predictions.targets)
    (line,) = parts(plots.risk_and_coverage(curve, 0.5), "polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    axes = Axes()
    assert len(points) <= plots.MAX_CURVE_POINTS
    assert (points[0][0], points[-1][0]) == pytest.approx((axes.x(1), axes.x(curve.coverage[-1])), abs=0.06)


def numbers(plot):
    return [text.text for text in parts(plot, "text") if text.text.isdigit()]


def test_the_confusion_matrix_has_every_count(predictions):
    plot = plots.confusion(predictions.metrics)
    assert numbers(plot) == [str(count) for count in predictions.metrics.confusion.ravel() if count]
    shades = [float(cell.get("fill-opacity")) for cell in parts(plot, "rect", "heat")]
    shares = predictions.metrics.confusion / predictions.metrics.confusion.sum(axis=1, keepdims=True)
    assert shades == pytest.approx((shares**0.7).ravel(), abs=0.006)
    assert "no face" not in "".join(ET.fromstring(plot).itertext())


def test_missed_faces_have_a_column():
    predictions = random_predictions(found=np.arange(200) % 4 != 0)
    plot = plots.confusion(predictions.metrics)
    table = np.column_stack([predictions.metrics.confusion, predictions.metrics.missed])
    assert numbers(plot) == [str(count) for count in table.ravel() if count]
    assert "no face" in "".join(ET.fromstring(plot).itertext())


def test_a_matrix_of_many_labels_is_shaded_only():
    predictions = random_predictions(labels=[f"class {at}" for at in range(plots.MAX_NUMBERED_LABELS + 1)], rows=300)
    assert numbers(plots.confusion(predictions.metrics)) == []
    assert len(parts(plots.confusion(predictions.metrics), "rect", "heat")) == (plots.MAX_NUMBERED_LABELS + 1) ** 2


def test_a_label_that_never_occurs_costs_no_plot():
    metrics = compute_metrics(np.array([[0.9, 0.1]], np.float32), np.array([0]), ("a", "b"))
    assert numbers(plots.confusion(metrics)) == ["1"]
    assert "no rows" in plots.recall(metrics.per_class[1])


def test_recall_is_a_bar_with_its_interval():
    plot = plots.recall(ClassScore("happy", 0.9, 0.5, 0.6, 100))
    track, bar = parts(plot, "rect")
    assert float(bar.get("width")) == float(track.get("width")) / 2
    assert bar.get("fill") == "rgb(236,172,32)"
    whisker = parts(plot, "line", "whisker")[0]
    ends = [float(whisker.get(end)) / float(track.get("width")) for end in ("x1", "x2")]
    assert ends == pytest.approx([0.4038, 0.5962], abs=1e-3)


@pytest.mark.parametrize(
    ("share", "n", "words"),
    [(0.5, 100, "40.4 to 59.6 %"), (1.0, 10, "72.2 to 100.0 %"), (0.0, 0, "-"), (float("nan"), 5, "-")],
)
def test_intervals_in_words(share, n, words):
    assert plots.interval_of(share, n) == words


@pytest.mark.parametrize("labels", [FER2013, ["笑顔の表情をしている人物の写真です", "b" * 60]])
def test_every_name_has_room(labels):
    predictions = random_predictions(labels=labels, found=np.arange(200) % 4 != 0)
    plot = plots.confusion(predictions.metrics)
    _, _, width, height = map(float, ET.fromstring(plot).get("viewBox").split())
    for text in parts(plot, "text"):
        x, y = float(text.get("x")), float(text.get("y"))
        assert 0 < x < width
        assert 0 < y < height
