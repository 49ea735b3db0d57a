import io
import json

import numpy as np
import pytest
from drawn_predictions import random_predictions
from rich.console import Console

from mien.emotions import FER2013, FERPLUS
from mien.evaluation.comparison import compare
from mien.evaluation.metrics import compute_metrics
from mien.evaluation.predictions import Report
from mien.evaluation.terminal_report import MAX_CONFUSION_LABELS, render_comparison, render_report


def report_of(labels=FER2013, found=None, rows=500, **changes):
    chance = np.random.default_rng(0)
    probabilities = chance.dirichlet(np.full(len(labels), 0.3), rows)
    targets = np.where(chance.random(rows) < 0.7, probabilities.argmax(axis=1), chance.integers(0, len(labels), rows))
    metrics = compute_metrics(probabilities, targets, labels, found)
    about = {"data": "fer2013", "split": "PublicTest", "model": "compact", "head": "fer2013"}
    return Report(metrics=metrics, **(about | changes))


def printed(report, width=80, **options):
    out = io.StringIO()
    Console(file=out, width=width, **options).print(render_report(report))
    return out.getvalue()


def test_json_has_the_keys_that_users_read():
    values = json.loads(report_of().to_json())
    promised = {"accuracy", "macro_f1", "ece", "nll", "n", "per_class", "confusion", "model", "data", "split"}
    assert promised <= values.keys()
    assert {"brier", "balanced_accuracy", "accuracy_interval", "labels", "head", "missed", "excluded"} <= values.keys()


def test_json_tells_the_metrics_unrounded():
    report = report_of(excluded=3, rejected=2)
    values, metrics = json.loads(report.to_json()), report.metrics
    for name in ("n", "accuracy", "macro_f1", "balanced_accuracy", "ece", "nll", "brier"):
        assert values[name] == getattr(metrics, name)
    assert values["accuracy_interval"] == list(metrics.accuracy_interval)
    assert values["labels"] == list(FER2013) == list(values["per_class"])
    assert values["confusion"] == metrics.confusion.tolist()
    assert (values["excluded"], values["rejected"], values["missed"]) == (3, 2, 0)
    happy = metrics.per_class[FER2013.index("happy")]
    figures = {"precision": happy.precision, "recall": happy.recall, "f1": happy.f1, "count": happy.count, "missed": 0}
    assert values["per_class"]["happy"] == figures


def test_json_counts_missed_faces():
    found = np.arange(500) % 10 != 0
    values = report_of(found=found).to_dict()
    assert values["missed"] == 50 == sum(score["missed"] for score in values["per_class"].values())
    assert values["n"] == 500 == 50 + sum(map(sum, values["confusion"]))


def test_json_is_strict_where_scores_have_nothing_to_rest_on():
    values = json.loads(report_of(found=np.zeros(500, bool)).to_json())
    assert (values["ece"], values["nll"], values["brier"], values["accuracy"]) == (None, None, None, 0.0)


def test_the_view_names_the_run_and_its_figures():
    report = report_of(excluded=12)
    view = printed(report)
    assert "compact (fer2013) on fer2013, PublicTest: 500 rows, 12 excluded" in view
    for figure in (report.metrics.accuracy, report.metrics.macro_f1, report.metrics.ece, report.metrics.nll):
        assert f"{figure:.4f}" in view
    assert "no face" not in " ".join(view.split())


def numbers_of(view, label):
    """The last row that starts with a label: its row of the confusion matrix."""
    return [int(cell) for cell in view.split(f"\n{label} ")[-1].split("\n")[0].split()]


@pytest.mark.parametrize("rows", [500, 28_709])
def test_the_view_shows_every_count_at_80_columns(rows):
    report = report_of(FERPLUS, rows=rows, found=np.arange(rows) % 7 != 0)
    view = printed(report)
    metrics = report.metrics
    for label, counts, missed in zip(FERPLUS, metrics.confusion.tolist(), metrics.missed.tolist(), strict=True):
        assert numbers_of(view, label) == [*counts, missed]
    assert max(map(len, view.splitlines())) <= 80


LONG = [f"[bold]{'a class with a very long name ' * 2}{at}" for at in range(8)]
WIDE = [f"笑顔の表情をしている人物の写真{at}" for at in range(8)]


@pytest.mark.parametrize("labels", [LONG, WIDE])
def test_long_wide_and_marked_up_labels_cost_no_number(labels):
    report = report_of(labels, found=np.arange(500) % 7 != 0)
    view = printed(report)
    body = view.split("Confusion")[1]
    for counts, missed in zip(report.metrics.confusion.tolist(), report.metrics.missed.tolist(), strict=True):
        assert any(line.split()[-9:] == [str(count) for count in (*counts, missed)] for line in body.splitlines())
    assert max(len(line) for line in view.splitlines()) <= 80


def test_a_confusion_matrix_that_fits_no_terminal_is_left_to_the_json():
    few = report_of([f"class {at}" for at in range(MAX_CONFUSION_LABELS)])
    many = report_of([f"class {at}" for at in range(MAX_CONFUSION_LABELS + 1)])
    assert "Confusion" in printed(few, width=120)
    assert "Confusion" not in printed(many, width=120)


def test_a_score_with_nothing_to_rest_on_is_a_dash():
    lines = printed(report_of(found=np.zeros(500, bool))).splitlines()
    assert next(line for line in lines if line.startswith("NLL")).split()[1] == "-"


def test_no_color_is_obeyed():
    coloured = printed(report_of(), force_terminal=True, color_system="truecolor", no_color=True)
    assert "\x1b[3" not in coloured


def test_several_models_stand_side_by_side():
    models = [random_predictions(name, right=right) for name, right in (("a model", 0.4), ("[bold]b", 0.9))]
    comparison = compare(models)
    out = io.StringIO()
    reports = [model.report for model in models]
    Console(file=out, width=80).print(render_comparison(reports, comparison))
    view = out.getvalue()
    assert "a model, [bold]b (fer2013) on made, PublicTest: 200 rows" in view
    for report in reports:
        assert f"{report.metrics.accuracy:.4f}" in view
    (pair,) = comparison.pairs
    assert f"{pair.interval[0]:+.4f} to {pair.interval[1]:+.4f}" in view
    assert f"{pair.p:.2g}" in view
    assert max(map(len, view.splitlines())) <= 80
