"""The HTML report of an evaluation: metrics, confusion matrix, calibration, errors, and the comparison of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.emotions import emotion_named
from mien.evaluation import plots
from mien.evaluation.html_comparison import Thumbnails, comparison_sections, row_card, score_text, short_place
from mien.evaluation.metrics import ECE_BINS, reliability_bins, risk_coverage
from mien.visualization.report import (
    Figure,
    Markup,
    captioned,
    figures,
    gallery,
    page,
    section,
    table,
    tag,
    terms,
)
from mien.visualization.report.charts import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data.dataset import Rejected
    from mien.evaluation.evaluate import Evaluation
    from mien.evaluation.metrics import Metrics
    from mien.evaluation.predictions import SplitPredictions

MAX_REJECTED = 20
MAX_ERRORS = 24
MAX_MISSED = 24

LIMITS = (
    "An interval covers chance with this number of rows. It does not cover how the model performs on other images.",
    "If choices were made on these rows, as mien train makes them on PublicTest, expect lower metrics on new images.",
    "Labels are human annotations. Some are wrong, so a correct prediction may count as an error.",
)
LIMITS_OF_FACES = (
    "The data names no ages, origins or skin tones: performance for different groups of people is unknown.",
    "An expression is what a face shows. It is not what a person feels, and no basis for decisions about anyone.",
)


def report_page(evaluation: Evaluation, copied: npt.NDArray[np.bool_] | None = None, provenance: str = "") -> str:
    """The report of one model, or of several on the same rows: one HTML page without scripts or external resources.

    Args:
        evaluation: the predictions of the models.
        copied: bool (n,), rows with a duplicate in the training data; None: not searched.
        provenance: a sentence on when and with which version the report was written.
    """
    models, first = evaluation.models, evaluation.models[0]
    title = f"{_listed([model.report.model for model in models])} on {first.report.data}, {first.report.split}"
    lead = f"{len(first):,} rows, output head “{first.report.head}”. {provenance}"
    parts = comparison_sections(evaluation, evaluation.comparison) if evaluation.comparison else []
    for model in models:
        if len(models) > 1:
            parts.append(tag("h2", model.report.model, class_="part"))
        parts += [*_model_sections(model, evaluation.shown, copied), _model_card(model)]
    parts += [_data(first, evaluation.rejected), _limits(first)]
    return page(title, lead, *parts, foot="This page is a single file without scripts or external resources.")


def _model_sections(model: SplitPredictions, shown: Thumbnails, copied: npt.NDArray[np.bool_] | None) -> list[Markup]:
    """All sections of one model."""
    parts = [_summary(model), _per_class(model.metrics), _confusion(model.metrics)]
    if model.found.any():
        parts.append(_calibration(model))
    if copied is not None:
        parts.append(_without_copies(model, copied))
    parts.append(_errors(model, shown))
    if model.faces and not model.found.all():
        parts.append(_missed(model, shown))
    return parts


def _summary(model: SplitPredictions) -> Markup:
    metrics = model.metrics
    interval = plots.interval_of(metrics.accuracy, metrics.n)
    parts = [
        Figure("Accuracy", percent(metrics.accuracy, 1), f"95 % interval {interval}"),
        Figure("Macro-F1", score_text(metrics.macro_f1), "mean F1 over all labels"),
        Figure("ECE", score_text(metrics.ece), f"calibration error, {ECE_BINS} bins; 0 is best"),
        Figure("NLL", score_text(metrics.nll), "nats; 0 is best"),
        Figure("Brier", score_text(metrics.brier), "0 is best, 2 is worst"),
    ]
    if model.faces:
        parts.append(Figure("No face found", f"{model.report.missed:,}", f"of {metrics.n:,} photos; counted as wrong"))
    return section("Summary", figures(parts))


def _per_class(metrics: Metrics) -> Markup:
    header = ("label", "recall", "", "95 % interval", "precision", "F1", "rows")
    rows = [
        (
            score.label,
            plots.recall(score),
            percent(score.recall, 1) if score.count else "-",
            plots.interval_of(score.recall, score.count),
            percent(score.precision, 1),
            score_text(score.f1),
            f"{score.count:,}",
        )
        for score in metrics.per_class
    ]
    about = (
        "Recall: the share of a class's rows predicted as that class. Precision: the share of the rows predicted as a "
        "class that belong to it. F1: their harmonic mean."
    )
    return section("Metrics per class", table(header, rows, text_columns=2), about=about)


def _confusion(metrics: Metrics) -> Markup:
    about = "Rows are targets, columns predictions; shares are of the row. Dark cells off the diagonal are errors."
    return section("Confusion matrix", tag("div", plots.confusion(metrics), class_="scroll"), about=about)


def _calibration(model: SplitPredictions) -> Markup:
    rows, targets = model.probabilities[model.found], model.targets[model.found]
    bins, curve = reliability_bins(rows, targets), risk_coverage(rows, targets)
    reliability = captioned(
        Markup(plots.reliability(bins) + plots.counts(bins)),
        "Reliability diagram. Bars that end on the dashed line are perfectly calibrated. Red: overconfident. "
        f"Purple: underconfident. ECE, {score_text(model.metrics.ece)}, is the mean gap over the rows.",
    )
    risk = captioned(plots.risk_and_coverage(curve, model.unsure_below), "Risk-coverage curve. " + _threshold(model))
    return section("Calibration", tag("div", reliability, risk, class_="pair"))


def _threshold(model: SplitPredictions) -> str:
    """The effect of the model's confidence threshold on these rows."""
    below = model.unsure_below
    if not below:
        return "The model card sets no confidence threshold."
    turned = np.array([face is not None and face.turned_away for face in model.faces or [None] * len(model)])
    sure = model.found & (model.probabilities.max(axis=1) >= below) & ~turned
    if not sure.any():
        return f"No prediction reaches the card's threshold of {below:.2f}: all are unsure."
    wrong = float((~model.correct[sure]).mean())
    share = sure.sum() / model.found.sum()
    return (
        f"Predictions below the card's threshold of {below:.2f}, and of faces turned away, are reported as unsure. "
        f"{percent(share, 1)} of the predictions here are sure, and {percent(wrong, 1)} of those are wrong."
    )


def _without_copies(model: SplitPredictions, copied: npt.NDArray[np.bool_]) -> Markup:
    parts = {"all rows": np.ones(len(model), np.bool_), "without duplicates": ~copied, "duplicates only": copied}
    lines = []
    for name, chosen in parts.items():
        if chosen.any():
            metrics = model.report_on(chosen).metrics
            interval = plots.interval_of(metrics.accuracy, metrics.n)
            scores = (score_text(metrics.macro_f1), score_text(metrics.ece), score_text(metrics.nll))
            lines.append((name, f"{metrics.n:,}", percent(metrics.accuracy, 1), interval, *scores))
    about = (
        f"{int(copied.sum()):,} of {len(model):,} rows have a duplicate in Training: the same pixels, nearly the same, "
        "or mirrored. A network may have memorised its training images, so the metrics without duplicates are fairer."
    )
    header = ("", "rows", "accuracy", "95 % interval", "macro-F1", "ECE", "NLL")
    return section("Without the duplicates", table(header, lines), about=about)


def _errors(model: SplitPredictions, shown: Thumbnails) -> Markup:
    title, wrong = "Most confident errors", int((model.found & ~model.correct).sum())
    rows = model.most_confident_errors(MAX_ERRORS)
    if not wrong:
        return section(title, tag("p", "There are none."))
    about = f"The {len(rows)} most confident of {wrong:,} errors. Look twice: some of these are wrong labels."
    cards = []
    for row in rows.tolist():
        label = model.labels[model.predicted[row]]
        probability = percent(float(model.probabilities[row].max()), 1)
        prediction = tag("span", tag("b", label), " ", tag("span", probability, class_="number"))
        cards.append(row_card(model, row, shown, prediction, f"labelled {model.labels[model.targets[row]]}"))
    return section(title, gallery(cards), about=about)


def _missed(model: SplitPredictions, shown: Thumbnails) -> Markup:
    rows = np.flatnonzero(~model.found)
    about = f"In {len(rows):,} of {len(model):,} photos no face was found, or they can't be read. They count as wrong."
    if len(rows) > MAX_MISSED:
        about += f" The first {MAX_MISSED} are shown."
    cards = (
        row_card(model, row, shown, f"labelled {model.labels[model.targets[row]]}")
        for row in rows[:MAX_MISSED].tolist()
    )
    return section("No face found", gallery(cards), about=about)


def _model_card(model: SplitPredictions) -> Markup:
    card, origin = model.card, model.card.origin
    output = card.output(model.report.head)
    facts = {
        "network": origin.network,
        "trained on": origin.data,
        "input": f"{card.size} x {card.size} pixels, {'grey' if card.channels == 1 else 'RGB'}",
        "temperature": f"{output.temperature:.3f}",
        "scales": ", ".join(f"{scale:.2f}" for scale in getattr(output, "scales", ())) or "none",
        "offsets": ", ".join(f"{offset:+.2f}" for offset in output.offsets) or "none",
        "unsure below": f"{output.unsure_below:.3f}",
        "made with": origin.made_with,
        "licence": origin.licence,
        "notes": origin.notes,
    }
    about = f"From the card inside the model file. Its training config: mien models show {card.name}"
    return section(
        f"The model {card.name}", terms({name: value for name, value in facts.items() if value}), about=about
    )


def _data(model: SplitPredictions, rejected: Sequence[Rejected]) -> Markup:
    report = model.report
    why = "by --exclude-label" if model.faces else "the head lacks their label, or the annotators did not agree"
    facts = terms(
        {
            "data": report.data,
            "split": report.split,
            "head": f"{report.head}: {', '.join(model.labels)}",
            "evaluated": f"{len(model):,} rows",
            "excluded": f"{report.excluded:,} rows: {why}" if report.excluded else "none",
            "rejected": f"{report.rejected:,} rows of the data that could not be read" if report.rejected else "none",
        }
    )
    listed = rejected[:MAX_REJECTED]
    more = [tag("li", f"and {len(rejected) - len(listed):,} more")] if len(rejected) > len(listed) else []
    lines = [tag("li", tag("b", short_place(bad.place)), f": {bad.reason}") for bad in listed]
    return section("Evaluation data", facts, tag("ul", *lines, *more) if lines else "")


def _limits(model: SplitPredictions) -> Markup:
    of_faces = all(emotion_named(label) for label in model.labels)
    lines = (*LIMITS, *LIMITS_OF_FACES) if of_faces else LIMITS
    return section("Limitations", tag("ul", *(tag("li", line) for line in lines)))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
