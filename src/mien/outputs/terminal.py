"""Results as a table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mien.emotions import COLOURS, EMOJI
from mien.outputs.schema import finite
from mien.structures import AMBIGUOUS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mien.structures import FrameResult, Prediction


def table(results: Iterable[FrameResult]) -> Table:
    """Results for a terminal: a line a face, with the best and the second-best expression."""
    shown = Table("source", "face", "expression", "probability", "second", box=SIMPLE_HEAD, pad_edge=False)
    shown.columns[0].overflow = "fold"  # a name cut short leads to no file
    shown.columns[1].justify = "right"
    for result in results:
        source = Text(_source(result))
        if result.error is not None:
            shown.add_row(source, "", Text(_printable(result.error), style="red"))
        elif not result.predictions:
            shown.add_row(source, "", Text("no face found", style="dim"))
        for number, prediction in enumerate(result.predictions):
            name = source if number == 0 else Text("")
            shown.add_row(name, Text(str(number + 1)), *_expression(prediction), _second(prediction))
    return shown


def _printable(text: str) -> str:
    """The text without what could steer a terminal: escape codes, line breaks, lone surrogates."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _source(result: FrameResult) -> str:
    seconds = finite(result.seconds)
    return _printable(result.source) + ("" if seconds is None else f" @ {seconds:.2f} s")


def _expression(prediction: Prediction) -> tuple[Text, Text]:
    name = _printable(prediction.emotion)
    emoji = EMOJI.get(prediction.emotion, " •")
    if prediction.unsure:
        return Text(f"{emoji} {name}?", style="dim"), Text(_percent(prediction.probability), style="dim")
    red, green, blue = COLOURS.get(prediction.emotion, (128, 136, 146))
    return Text(f"{emoji} {name}"), Text(_percent(prediction.probability), style=f"rgb({red},{green},{blue})")


def _percent(probability: float) -> str:
    cells = round(10 * min(max(probability, 0.0), 1.0))
    return f"{'━' * cells}{' ' * (10 - cells)} {probability:4.0%}"


def _second(prediction: Prediction) -> Text:
    """The second-best expression, and why the answer is unsure."""
    known = [reason for reason in prediction.reasons if reason != AMBIGUOUS]
    if len(prediction.labels) < 2:
        return Text(", ".join(known), style="dim")
    best = prediction.labels.index(prediction.emotion)
    probability, label = max(
        (probability, label)
        for place, (probability, label) in enumerate(zip(prediction.probabilities, prediction.labels, strict=True))
        if place != best
    )
    return Text(", ".join([f"{_printable(label)} {probability:.0%}", *known]), style="dim")
