"""SVG plots: axes, grid, and the position of a value. Colours come from the style sheet of the page."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.visualization.report.parts import Markup, join, style_sheet, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

LETTER_WIDTH = 6.7
"""Mean width of a letter, in the units of the plot."""

LEFT, RIGHT, TOP, BOTTOM = 66.0, 22.0, 10.0, 44.0
"""Margins for names and numbers around the axes."""

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of a plot of shares (0 to 1); both start at 0.

    Attributes:
        x_end: the share at the right end.
        y_end: the share at the top.
        width: of the plotting area, in the units of the plot.
        height: of the plotting area.
    """

    x_end: float = 1.0
    y_end: float = 1.0
    width: float = 380.0
    height: float = 250.0

    def x(self, share: float) -> float:
        """The horizontal position of a share."""
        return LEFT + self.width * share / self.x_end

    def y(self, share: float) -> float:
        """The vertical position of a share."""
        return TOP + self.height * (1 - share / self.y_end)

    def plot(self, description: str, x_name: str, y_name: str, drawn: Iterable[Markup]) -> Markup:
        """The whole plot: a grid of quarters, the drawn elements in their order, and the names of the axes.

        Args:
            description: for people who cannot see it.
            x_name: name of the horizontal axis.
            y_name: name of the vertical axis.
            drawn: SVG elements, the first at the back.
        """
        bottom, right = self.y(0), self.x(self.x_end)
        across = [(share * self.x_end, self.x(share * self.x_end)) for share in QUARTERS]
        upwards = [(share * self.y_end, self.y(share * self.y_end)) for share in QUARTERS]
        return svg(
            (right + RIGHT, bottom + BOTTOM),
            description,
            join(line((LEFT, at), (right, at), "grid") for _, at in upwards),
            join(drawn),
            line((LEFT, bottom), (right, bottom), "axis"),
            join(label(percent(share), (LEFT - 8, at + 4), "end quiet") for share, at in upwards),
            join(label(percent(share), (at, bottom + 18), "middle quiet") for share, at in across),
            label(x_name, (LEFT + self.width / 2, bottom + 38), "middle"),
            label(y_name, (12, TOP + self.height / 2), "middle", turned=-90),
        )


def svg(size: tuple[float, float], description: str, *drawn: object, class_: str | None = None) -> Markup:
    """A drawing of a width and height in its own units, scaled to the width that the page gives it."""
    box = f"0 0 {size[0]:g} {size[1]:g}"
    return tag("svg", tag("title", description), *drawn, viewBox=box, role="img", class_=class_)


def alone(drawing: Markup) -> str:
    """A drawing as the text of an .svg file, with the style sheet for its colours.

    Args:
        drawing: one that ``svg`` made.
    """
    head, inside = drawing.split(">", 1)
    style = 'font-family="sans-serif" style="background: var(--surface)"'
    return f'{head} xmlns="http://www.w3.org/2000/svg" {style}>{style_sheet()}{inside}\n'


def line(start: tuple[float, float], end: tuple[float, float], class_: str) -> Markup:
    """A straight line; its colour is a class of the style sheet."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def rectangle(left: float, top: float, right: float, bottom: float, **attributes: object) -> Markup:
    """A rectangle by its edges."""
    return tag("rect", x=left, y=top, width=max(0.0, right - left), height=max(0.0, bottom - top), **attributes)


def label(text: object, at: tuple[float, float], class_: str = "", turned: float | None = None) -> Markup:
    """Text that starts at a point, or is centred on it ("middle" in the class) or ends there ("end").

    Args:
        text: what is written.
        at: x, and y of the baseline.
        class_: classes of the style sheet, separated by spaces.
        turned: degrees clockwise about the point.
    """
    turn = None if turned is None else f"rotate({turned:g} {at[0]:.2f} {at[1]:.2f})"
    return tag("text", text, x=at[0], y=at[1], class_=class_ or None, transform=turn)


def percent(share: float, digits: int = 0) -> str:
    """A share (0 to 1) as text: "12 %"."""
    return f"{100 * share:.{digits}f} %"


def shortened(text: str, max_width: int) -> str:
    """Text cut to the width of ``max_width`` letters, with an ellipsis; wide East Asian characters count as two."""
    width, fitting = 0, ""
    for char in text:
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if width > max_width:
            return fitting[:-1] + "…"
        fitting += char
    return fitting


def width_of(text: str) -> float:
    """The approximate width of a text, in the units of the plot."""
    return LETTER_WIDTH * sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
