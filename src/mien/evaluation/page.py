"""A report as one page: scores, plots, the surest mistakes, and what the figures rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.emotions import emotion_named
from mien.evaluation.page_comparison import compared
from mien.evaluation.page_scores import place_of, scores
from mien.visualization.report import Markup, page, section, tag, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.data.dataset import Rejected
    from mien.evaluation.evaluation import Evaluation
    from mien.evaluation.predictions import Judged

MOST_REJECTED = 20

LIMITS = (
    "An interval tells what chance does with so many rows. It does not tell how the model does on other images.",
    "Where choices were made on these rows, as mien train makes them on PublicTest, expect a little less on new ones.",
    "The truth is what people wrote. Some of it is wrong, and a right answer may count as a mistake.",
)
LIMITS_OF_FACES = (
    "The data names no ages, origins or skin tones: how well the model reads which group of people is unknown.",
    "An expression is what a face shows. It is not what a person feels, and no ground for judging anyone.",
)


def report_page(evaluation: Evaluation, copied: npt.NDArray[np.bool_] | None = None, made: str = "") -> str:
    """The page of one model, or of several on the same rows, as HTML without scripts or anything to fetch.

    Args:
        evaluation: what the models answered.
        copied: bool (n,), the rows that have a copy in what may have been learnt from; None: not looked for.
        made: when and by what, a sentence.
    """
    models, first = evaluation.models, evaluation.models[0]
    title = f"{_listed([judged.report.model for judged in models])} on {first.report.data}, {first.report.split}"
    lead = f"{len(first):,} rows, judged by the labels “{first.report.head}”. {made}"
    parts = compared(evaluation) if evaluation.comparison else []
    for judged in models:
        if len(models) > 1:
            parts.append(tag("h2", judged.report.model, class_="part"))
        parts += [*scores(judged, evaluation.shown, copied), _model(judged)]
    parts += [_judged_rows(first, evaluation.rejected), _limits(first)]
    return page(title, lead, *parts, foot="This page is one file: it runs nothing and fetches nothing.")


def _judged_rows(judged: Judged, rejected: Sequence[Rejected]) -> Markup:
    report = judged.report
    why = (
        "as was asked"
        if judged.faces
        else "the labels do not name their truth, or those who labelled them did not agree"
    )
    facts = terms(
        {
            "data": report.data,
            "split": report.split,
            "labels": f"{report.head}: {', '.join(judged.labels)}",
            "judged": f"{len(judged):,} rows",
            "left out": f"{report.excluded:,} rows: {why}" if report.excluded else "none",
            "rejected": f"{report.rejected:,} rows of the data that could not be read" if report.rejected else "none",
        }
    )
    shown = rejected[:MOST_REJECTED]
    more = [tag("li", f"and {len(rejected) - len(shown):,} more")] if len(rejected) > len(shown) else []
    lines = [tag("li", tag("b", place_of(bad.place)), f": {bad.reason}") for bad in shown]
    return section("What was judged", facts, tag("ul", *lines, *more) if lines else "")


def _model(judged: Judged) -> Markup:
    card, origin = judged.card, judged.card.origin
    reading = card.output(judged.report.head)
    colours = "grey" if card.channels == 1 else "RGB"
    facts = {
        "network": origin.network,
        "taught on": origin.data,
        "reads": f"{card.size} x {card.size} pixels, {colours}",
        "temperature": f"{reading.temperature:.3f}",
        "scales": ", ".join(f"{scale:.2f}" for scale in getattr(reading, "scales", ())) or "none",
        "offsets": ", ".join(f"{offset:+.2f}" for offset in reading.offsets) or "none",
        "unsure below": f"{reading.unsure_below:.3f}",
        "made with": origin.made_with,
        "licence": origin.licence,
        "notes": origin.notes,
    }
    about = f"From the card inside the model file. Its config too: mien models show {card.name}"
    return section(f"The model {card.name}", terms({name: told for name, told in facts.items() if told}), about=about)


def _limits(judged: Judged) -> Markup:
    of_faces = all(emotion_named(label) for label in judged.labels)
    lines = (*LIMITS, *LIMITS_OF_FACES) if of_faces else LIMITS
    return section("What this page can't tell", tag("ul", *(tag("li", line) for line in lines)))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
