"""Small parts of pages: figures, tables, bars, terms and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.visualization.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number to be seen first: what it is, its value, and a line that says how to take it."""

    name: str
    value: str
    about: str = ""


def figures(shown: Iterable[Figure]) -> Markup:
    """Numbers in large print, side by side."""
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("span", figure.name, class_="name"),
                tag("span", figure.value, class_="value"),
                tag("span", figure.about, class_="about"),
                class_="figure",
            )
            for figure in shown
        ),
        class_="figures",
    )


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, words: int = 1, caption: str = "") -> Markup:
    """A table; on a narrow screen it scrolls by itself.

    Args:
        header: a name a column.
        rows: cells, as many as names; the first of a row is its name.
        words: how many columns from the left hold words; those after them hold numbers and are set to the right.
        caption: stands above.

    Raises:
        UsageError: a row has more or fewer cells than the header.
    """
    lines = [list(row) for row in rows]
    if any(len(line) != len(header) for line in lines):
        raise UsageError(f"expected {len(header)} cells in each row of a table; received {[*map(len, lines)][:10]}")
    kinds = ["number" if at >= words else None for at in range(len(header))]
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in zip(header, kinds, strict=True)))
    body = []
    for first, *others in lines:
        cells = (tag("td", content, class_=kind) for content, kind in zip(others, kinds[1:], strict=True))
        body.append(tag("tr", tag("th", first, scope="row", class_=kinds[0]), *cells))
    told = [tag("caption", caption)] if caption else []
    return tag("div", tag("table", *told, tag("thead", head), tag("tbody", *body)), class_="scroll")


def bar(share: float, colour: Colour | None = None) -> Markup:
    """A bar that fills a share (0 to 1) of its cell; RGB, or the page's accent where None."""
    return tag("span", _filled(share, colour), class_="bar")


def stacked_bar(shares: Sequence[tuple[float, Colour]]) -> Markup:
    """Shares (0 to 1, at most 1 in all) of one bar, side by side, each in its RGB colour."""
    return tag("span", *(_filled(share, colour) for share, colour in shares), class_="bar")


def terms(pairs: Mapping[str, object]) -> Markup:
    """Names, each with what stands for it."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs.items()))


def note(*words: object) -> Markup:
    """A paragraph."""
    return tag("p", *words)


def _filled(share: float, colour: Colour | None) -> Markup:
    width = f"width:{100 * min(1.0, max(0.0, share)):.2f}%"
    # an element without width would still show its rounded ends
    paint = "" if colour is None else f";background:rgb({colour[0]},{colour[1]},{colour[2]})"
    return tag("i", style=width + paint)
