"""HTML and SVG elements from Python, with the text in them escaped.

Templates use the same escaping: ``mien.visualization.report.parts`` sets ``escaped`` as the finalizer of Jinja2.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Concatenates parts and escapes those that are not ``Markup``."""
    return Markup(str(escaped(between)).join(escaped(part) for part in parts))  # noqa: S704


def escaped(part: object) -> Markup:
    """Text that is safe inside an element or an attribute.

    Invisible characters (controls, bidirectional marks, lone surrogates of a damaged file name) are written as Python
    escapes: they are not valid HTML, or would make the page show something that is not there.
    """
    if isinstance(part, Markup):
        return part
    text = str(part)
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
        )
    return Markup(html.escape(text))  # noqa: S704


def _attribute(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return value
