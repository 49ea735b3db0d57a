"""The frame that all pages share: head, style sheet, title, sections."""

from __future__ import annotations

from importlib.resources import files

from mien.visualization.report.markup import Markup, join, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing but what stands in it. The browser holds it to that."""


def page(title: str, lead: object, *parts: Markup, foot: object = "") -> str:
    """A whole page, ready to be written as UTF-8; it looks right on light, dark, narrow and wide screens and on paper.

    Args:
        title: of the window and of the page.
        lead: what the page is about, under the title: text or markup that fits a paragraph.
        parts: sections.
        foot: the last line.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        style_sheet(),
    )
    top = tag("header", tag("h1", title), tag("p", lead, class_="lead"))
    bottom = [tag("footer", tag("p", foot))] if foot else []
    body = tag("body", top, tag("main", *parts), *bottom)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def style_sheet() -> Markup:
    """The sheet that colours and sizes come from, as an element of a page or of a drawing."""
    return tag("style", Markup(files("mien.visualization.report").joinpath("style.css").read_text(encoding="utf-8")))


def section(title: str, *parts: object, about: object = "") -> Markup:
    """A part of the page under a heading of its own; ``about`` is a line that says how to read it."""
    told = [tag("p", about, class_="about")] if about else []
    return tag("section", tag("h2", title), *told, join(parts))
