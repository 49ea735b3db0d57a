"""The frame of a plot as SVG: axes, grid, and where a value lies. Colours come from the page's style sheet."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.visualization.report.layout import style_sheet
from mien.visualization.report.markup import Markup, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

LETTER = 6.7
"""Width of a letter of a plot's text, in the plot's units."""

LEFT, RIGHT, TOP, BELOW = 66.0, 22.0, 10.0, 44.0
"""Room for names and numbers around the axes."""

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of a plot of shares; both start at 0.

    Attributes:
        x_end: the share at the right end.
        y_end: the share at the top.
        width: between the axes' ends, in the plot's units.
        height: likewise.
    """

    x_end: float = 1.0
    y_end: float = 1.0
    width: float = 380.0
    height: float = 250.0

    def x(self, share: float) -> float:
        """Where a share lies across."""
        return LEFT + self.width * share / self.x_end

    def y(self, share: float) -> float:
        """Where a share lies down."""
        return TOP + self.height * (1 - share / self.y_end)

    def plot(self, words: str, x_name: str, y_name: str, drawn: Iterable[Markup]) -> Markup:
        """The whole plot: a grid of quarters, what is drawn on it (the first at the back), names of the axes.

        Args:
            words: what it shows, for those who can't see it.
            x_name: what is told across.
            y_name: what is told upwards.
            drawn: SVG elements.
        """
        bottom, right = self.y(0), self.x(self.x_end)
        across = [(share * self.x_end, self.x(share * self.x_end)) for share in QUARTERS]
        upwards = [(share * self.y_end, self.y(share * self.y_end)) for share in QUARTERS]
        return svg(
            (right + RIGHT, bottom + BELOW),
            words,
            join(line((LEFT, at), (right, at), "grid") for _, at in upwards),
            join(drawn),
            line((LEFT, bottom), (right, bottom), "axis"),
            join(label(percent(share), (LEFT - 8, at + 4), "end quiet") for share, at in upwards),
            join(label(percent(share), (at, bottom + 18), "middle quiet") for share, at in across),
            label(x_name, (LEFT + self.width / 2, bottom + 38), "middle"),
            label(y_name, (12, TOP + self.height / 2), "middle", turned=-90),
        )


def svg(size: tuple[float, float], words: str, *drawn: object, class_: str | None = None) -> Markup:
    """A drawing of a width and height in its own units, as wide as its place in the page allows."""
    box = f"0 0 {size[0]:g} {size[1]:g}"
    return tag("svg", tag("title", words), *drawn, viewBox=box, role="img", class_=class_)


def alone(drawing: Markup) -> str:
    """A drawing as the text of an .svg file, with the style sheet that its colours come from.

    Args:
        drawing: one that ``svg`` made.
    """
    head, inside = drawing.split(">", 1)
    look = 'font-family="sans-serif" style="background: var(--surface)"'
    return f'{head} xmlns="http://www.w3.org/2000/svg" {look}>{style_sheet()}{inside}\n'


def line(start: tuple[float, float], end: tuple[float, float], class_: str) -> Markup:
    """A straight line; the class names its colour in the style sheet."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def rectangle(left: float, top: float, right: float, bottom: float, **attributes: object) -> Markup:
    """A rectangle by its edges."""
    return tag("rect", x=left, y=top, width=max(0.0, right - left), height=max(0.0, bottom - top), **attributes)


def label(words: object, at: tuple[float, float], class_: str = "", turned: float | None = None) -> Markup:
    """Text that starts at a point, or is centred on it ("middle" in the class) or ends there ("end").

    Args:
        words: the text.
        at: x, and y of the base line.
        class_: names in the style sheet, apart by spaces.
        turned: degrees clockwise about the point.
    """
    turn = None if turned is None else f"rotate({turned:g} {at[0]:.2f} {at[1]:.2f})"
    return tag("text", words, x=at[0], y=at[1], class_=class_ or None, transform=turn)


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it: "12 %"."""
    return f"{100 * share:.{digits}f} %"


def shortened(words: str, most: int) -> str:
    """Words cut so that they take at most the width of so many letters; some scripts' signs take that of two."""
    width, kept = 0, ""
    for sign in words:
        width += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if width > most:
            return kept[:-1] + "…"
        kept += sign
    return kept


def width_of(words: str) -> float:
    """About how wide words are in a plot, in its units."""
    return LETTER * sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in words)
