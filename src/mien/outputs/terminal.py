"""Results as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mien.emotions import COLOURS, EMOJI
from mien.errors import printable
from mien.outputs.schema import finite
from mien.structures import AMBIGUOUS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mien.structures import FrameResult, Prediction


def table(results: Iterable[FrameResult]) -> Table:
    """Results as a table for a terminal: a line per face, with the most and the second most probable expression.

    An image's warnings have lines of their own below its faces.
    """
    shown = Table("source", "face", "expression", "probability", "second", box=SIMPLE_HEAD, pad_edge=False)
    shown.columns[0].overflow = "fold"  # a truncated name would not lead to its file
    shown.columns[1].justify = "right"
    for result in results:
        source = Text(_source(result))
        if result.error is not None:
            shown.add_row(source, "", Text(printable(result.error, keep=""), style="red"))
        elif not result.predictions:
            shown.add_row(source, "", Text("no face found", style="dim"))
        for number, prediction in enumerate(result.predictions):
            name = source if number == 0 else Text("")
            shown.add_row(name, Text(str(number + 1)), *_expression(prediction), _second(prediction))
        for warning in result.warnings:
            shown.add_row("", "", Text(f"warning: {printable(warning, keep='')}", style="yellow"))
    return shown


def _source(result: FrameResult) -> str:
    seconds = finite(result.seconds)
    return printable(result.source, keep="") + ("" if seconds is None else f" @ {seconds:.2f} s")


def _expression(prediction: Prediction) -> tuple[Text, Text]:
    name = printable(prediction.emotion, keep="")
    emoji = EMOJI.get(prediction.emotion, " •")
    if prediction.unsure:
        return Text(f"{emoji} {name}?", style="dim"), Text(_percent(prediction.probability), style="dim")
    red, green, blue = COLOURS.get(prediction.emotion, (128, 136, 146))
    return Text(f"{emoji} {name}"), Text(_percent(prediction.probability), style=f"rgb({red},{green},{blue})")


def _percent(probability: float) -> str:
    filled = round(10 * min(max(probability, 0.0), 1.0))
    return f"{'━' * filled}{' ' * (10 - filled)} {probability:4.0%}"


def _second(prediction: Prediction) -> Text:
    """The second most probable expression, and why the prediction is unsure."""
    reasons = [reason for reason in prediction.reasons if reason != AMBIGUOUS]
    if len(prediction.labels) < 2:
        return Text(", ".join(reasons), style="dim")
    best = prediction.labels.index(prediction.emotion)
    probability, label = max(
        (probability, label)
        for place, (probability, label) in enumerate(zip(prediction.probabilities, prediction.labels, strict=True))
        if place != best
    )
    return Text(", ".join([f"{printable(label, keep='')} {probability:.0%}", *reasons]), style="dim")
