"""HTML and SVG as text that can't be spoilt by what goes into it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

VOID = frozenset({"br", "hr", "img", "meta"})
"""Elements that have no content and no end."""


class Markup(str):
    """HTML that goes into a page as it is; any other text is escaped there."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element, well-formed as HTML and as XML.

    Args:
        name: "td", "svg", ...
        children: ``Markup`` as it is; anything else as escaped text.
        attributes: an underscore becomes a hyphen, one at the end is dropped (``class_``, ``stroke_width``);
            numbers are written with up to two decimals, None leaves the attribute out.
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{named} />")
    return Markup(f"<{name}{named}>{join(children)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Parts one after another, escaped where they are no ``Markup``."""
    return Markup(escaped(between).join(escaped(part) for part in parts))


def escaped(part: object) -> Markup:
    """Text as it may stand in a page, in an element or in an attribute.

    Signs that can't be seen (controls, marks that turn the direction of writing, halves of a code point in a damaged
    file name) are written as Python would write them: they are no HTML, or would show something that is not there.
    """
    if isinstance(part, Markup):
        return part
    text = str(part)
    if not text.isprintable():
        text = "".join(
            sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode() for sign in text
        )
    return Markup(html.escape(text))


def _written(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return value
