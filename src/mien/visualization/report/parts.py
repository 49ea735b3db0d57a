"""HTML reports: escaped markup, the page and its parts, rendered by the Jinja2 templates in ``templates/``."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from mien.errors import ImageError, UsageError, printable
from mien.structures import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Colour = tuple[int, int, int]
PACKAGE = "mien.visualization.report"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number in large print.

    Attributes:
        name: what it measures.
        value: the number as text.
        about: a line on how to read it.
    """

    name: str
    value: str
    about: str = ""


def page(title: str, lead: object, *parts: object, foot: object = "") -> str:
    """A whole page, to be written as UTF-8; for light and dark screens, narrow and wide ones, and for print.

    Args:
        title: of the browser window and of the page.
        lead: the line under the title, text or markup.
        parts: sections.
        foot: the last line.

    Example:
        >>> scores = table(["label", "rows"], [["happy", 895]])
        >>> page("Report", "compact on PublicTest", section("Scores", scores))[:15]
        '<!DOCTYPE html>'
    """
    template = environment().get_template("page.html.j2")
    return template.render(title=title, lead=lead, parts=parts, foot=foot, style_sheet=style_sheet())


def section(title: str, *parts: object, about: object = "") -> Markup:
    """A part of the page under its own heading; ``about`` is a line on how to read it."""
    return _render("section", title, about, parts)


def figures(shown: Iterable[Figure]) -> Markup:
    """Numbers in large print, side by side."""
    return _render("figures", shown)


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, text_columns: int = 1, caption: str = ""
) -> Markup:
    """A table, which scrolls by itself on a narrow screen.

    Args:
        header: a name per column.
        rows: as many cells as names; the first of a row is its heading.
        text_columns: number of leading columns with text; the columns after them hold numbers, aligned to the right.
        caption: stands above.

    Raises:
        UsageError: a row has more or fewer cells than the header.
    """
    body = [list(row) for row in rows]
    if any(len(row) != len(header) for row in body):
        raise UsageError(f"expected {len(header)} cells in each row of a table; received {[*map(len, body)][:10]}")
    return _render("table", header, body, text_columns, caption)


def bar(share: float, colour: Colour | None = None) -> Markup:
    """A bar that fills a share (0 to 1) of its cell, in an RGB colour or in the accent colour of the page."""
    return _render("bar", [_bar_style(share, colour)])


def stacked_bar(shares: Sequence[tuple[float, Colour]]) -> Markup:
    """Shares (0 to 1, at most 1 in total) side by side in one bar, each in its RGB colour."""
    return _render("bar", [_bar_style(share, colour) for share, colour in shares])


def terms(pairs: Mapping[str, object]) -> Markup:
    """A list of names with their values."""
    return _render("terms", pairs.items())


def note(*texts: object) -> Markup:
    """A paragraph."""
    return _render("note", texts)


def image(pixels: npt.NDArray[Any], alt: str, width: int | None = None) -> Markup:
    """An image embedded in the page.

    Args:
        pixels: uint8 (height, width), (height, width, 1) or (height, width, 3) in RGB order.
        alt: a description for people who cannot see it.
        width: in CSS pixels; None: the width of the image itself.

    Raises:
        ImageError: the array is anything else.
    """
    height, across = _checked(pixels).shape[:2]
    shown = across if width is None else width
    return _render("image", png_data(pixels), alt, shown, max(1, round(height * shown / across)))


def captioned(shown: Markup, *lines: object) -> Markup:
    """An image or plot with lines of text below it."""
    return _render("captioned", shown, lines)


def gallery(shown: Iterable[Markup]) -> Markup:
    """Captioned images in rows that fill the width of the page."""
    return _render("gallery", shown)


def png_data(pixels: npt.NDArray[Any]) -> str:
    """The data URI of a PNG, for pixels as ``image`` takes them."""
    target = io.BytesIO()
    Image.fromarray(_checked(pixels)).save(target, "PNG")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode("ascii")


def style_sheet() -> Markup:
    """The style element that colours and sizes come from, for a page or a drawing."""
    css = files(PACKAGE).joinpath("style.css").read_text(encoding="utf-8")
    return tag("style", Markup(css))  # noqa: S704 - the style sheet is a file of this package


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Jinja2 with autoescaping; an undefined variable is an error, and invisible characters are spelled out."""
    return Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(macro: str, *arguments: object) -> Markup:
    rendered: Markup = getattr(environment().get_template("parts.html.j2").module, macro)(*arguments)
    return rendered


def _bar_style(share: float, colour: Colour | None) -> str:
    width = f"width:{100 * min(1.0, max(0.0, share)):.2f}%"
    return width if colour is None else f"{width};background:rgb({colour[0]},{colour[1]},{colour[2]})"


def _checked(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    is_image = flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] == 3)
    if flat.dtype != np.uint8 or not is_image or 0 in flat.shape:
        raise ImageError(
            "expected an image as uint8 (height, width), or with a third axis of 1 or 3 (RGB); "
            f"received {describe(pixels)}"
        )
    return np.ascontiguousarray(flat)


__all__ = ["Markup", "escaped", "join", "tag"]

VOID_ELEMENTS = frozenset({"br", "hr", "img", "input", "meta"})
"""Elements without content and without an end tag."""


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element, well-formed as HTML and as XML.

    Args:
        name: "td", "svg", ...
        children: ``Markup`` is inserted unchanged, anything else as escaped text.
        attributes: an underscore becomes a hyphen, a trailing one is dropped (``class_``, ``stroke_width``); floats
            are written with up to two decimals; None omits the attribute.

    Example:
        >>> tag("p", "1 < 2", class_="note")
        Markup('<p class="note">1 &lt; 2</p>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID_ELEMENTS:
        return Markup(f"<{name}{written} />")  # noqa: S704 - names are literals, values are escaped
    return Markup(f"<{name}{written}>{join(children)}</{name}>")  # noqa: S704


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Concatenate parts and escape each that is not ``Markup``."""
    return Markup(str(escaped(between)).join(escaped(part) for part in parts))  # noqa: S704


def escaped(part: object) -> Markup:
    """Text that is safe inside an element or an attribute.

    Invisible characters (controls, bidirectional marks, lone surrogates of a damaged file name) are written as Python
    escapes: they are not valid HTML, or would make the page show something that is not there.
    """
    if isinstance(part, Markup):
        return part
    return Markup(html.escape(printable(str(part), keep="\n\t")))  # noqa: S704


def _attribute(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return value
