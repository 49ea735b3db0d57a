"""Pages are well-formed whatever text goes into them, show it unchanged, and fetch nothing."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image

from mien.errors import ImageError, UsageError
from mien.visualization.report import (
    Figure,
    Markup,
    bar,
    captioned,
    figures,
    gallery,
    image,
    join,
    note,
    page,
    section,
    stacked_bar,
    table,
    tag,
    terms,
)
from mien.visualization.report.charts import Axes, alone, label, percent, shortened, svg, width_of
from mien.visualization.report.parts import environment

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='x",
    "</title></style><b>",
    "&amp; & &#x3c;",
    "<!-- ",
    "]]>",
    "a\x00b\x1b[31m\x7f",
    "evil\u202egnp.exe",
    "bad\udc80name",
    "\uffff",
]


def parsed(text):
    """The root of a page or of a part, by a parser that forgives nothing."""
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>"))


def text_of(element):
    return "".join(element.itertext())


class Starts(HTMLParser):
    """Every element that a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.seen.append((name, dict(attributes)))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_wherever_it_goes(text):
    pixels = np.zeros((4, 4), np.uint8)
    whole = page(
        text,
        text,
        section(text, table([text, "n"], [[text, 1]], caption=text), terms({text: text}), note(text), about=text),
        section("s", figures([Figure(text, text, text)]), gallery([captioned(image(pixels, text), text)])),
        section("p", svg((9, 9), text, label(text, (1, 2)))),
        foot=text,
    )
    whole.encode("utf-8")
    plain = page("t", "l", section("s", table(["h", "n"], [["a", 1]], caption="c"), terms({"a": "b"}), note("n")))
    names = {name for name, _ in Starts(plain).seen} | {"div", "span", "figure", "figcaption", "img", "footer"}
    assert {name for name, _ in Starts(whole).seen} <= names | {"svg", "text", "title"}
    assert not [key for _, attributes in Starts(whole).seen for key in attributes if key.startswith("on")]
    root = parsed(whole)
    shown = root.find("body/header/h1").text
    assert shown == root.find("head/title").text == root.find("body/footer/p").text
    assert shown == text or not text.isprintable()


def test_invisible_characters_are_written_out():
    assert text_of(parsed(tag("p", "a\x00b\u202ec\udc80"))) == r"a\x00b\u202ec\udc80"
    assert text_of(parsed(tag("p", "two\nlines\tand 笑顔 é"))) == "two\nlines\tand 笑顔 é"


def test_markup_is_not_escaped_twice():
    assert tag("p", tag("b", "1 < 2"), " & ") == "<p><b>1 &lt; 2</b> &amp; </p>"
    assert join(["<", Markup("<br />")], between=" & ") == "&lt; &amp; <br />"


@pytest.mark.parametrize(
    ("attributes", "written"),
    [
        ({"class_": "a"}, ' class="a"'),
        ({"stroke_width": 1.5}, ' stroke-width="1.5"'),
        ({"x": 1 / 3}, ' x="0.33"'),
        ({"x": 2.0}, ' x="2"'),
        ({"x": 100}, ' x="100"'),
        ({"viewBox": "0 0 1 1"}, ' viewBox="0 0 1 1"'),
        ({"id": None}, ""),
        ({"name": 'a"b'}, ' name="a&quot;b"'),
    ],
)
def test_attributes(attributes, written):
    assert tag("p", **attributes) == f"<p{written}></p>"
    assert tag("img", **attributes) == f"<img{written} />"


def test_a_page_forbids_itself_to_load_anything():
    whole = page("title", "lead", section("one", "words"))
    policy = next(attributes for name, attributes in Starts(whole).seen if attributes.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not re.search(r"https?:|url\(|@import|<script|<link|src=\"(?!data:)", whole)
    assert whole.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_a_page_is_made_for_light_dark_and_paper():
    whole = page("title", "lead")
    assert "prefers-color-scheme: dark" in whole
    assert "@media print" in whole
    assert "footer>" not in whole


def test_a_table_names_its_rows_and_sets_numbers_to_the_right():
    root = parsed(table(["label", "about", "rows"], [["happy", "x", 7], ["sad", tag("b", "y"), 9]], text_columns=2))
    assert [text_of(row) for row in root.iter("tr")] == ["labelaboutrows", "happyx7", "sady9"]
    assert [cell.get("class") for cell in root.iter("td")] == [None, "number"] * 2
    assert [(cell.get("scope"), cell.text) for cell in root.iter("th")][-2:] == [("row", "happy"), ("row", "sad")]


def test_a_table_with_a_cell_too_few_is_refused():
    with pytest.raises(UsageError, match=r"expected 2 cells in each row of a table; received \[2, 1\]"):
        table(["a", "b"], [["x", 1], ["y"]])


@pytest.mark.parametrize(("share", "width"), [(0.5, "50.00%"), (0.0, "0.00%"), (1.7, "100.00%"), (-1.0, "0.00%")])
def test_bars_fill_their_share(share, width):
    assert parsed(bar(share)).find("i").get("style") == f"width:{width}"


def test_bars_have_colours():
    styles = [part.get("style") for part in parsed(stacked_bar([(0.25, (1, 2, 3)), (0.5, (4, 5, 6))]))]
    assert styles == ["width:25.00%;background:rgb(1,2,3)", "width:50.00%;background:rgb(4,5,6)"]


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1), (6, 9, 3)])
def test_images_are_in_the_page_to_the_pixel(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    shown = parsed(image(pixels, "noise", width=90))
    kind, data = shown.get("src").split(",")
    assert (kind, shown.get("alt"), shown.get("width"), shown.get("height")) == (
        "data:image/png;base64",
        "noise",
        "90",
        "60",
    )
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(read, pixels.squeeze())


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)],
    ids=["floats", "four channels", "empty", "a line"],
)
def test_what_is_no_image_is_refused(pixels):
    with pytest.raises(ImageError, match=r"expected an image as uint8 .*; received an array of"):
        image(pixels, "x")


def test_axes_put_shares_in_their_places():
    axes = Axes(x_end=0.4, y_end=0.2, width=100, height=50)
    assert axes.x(0.4) - axes.x(0) == 100
    assert axes.y(0) - axes.y(0.2) == 50
    texts = [text.text for text in parsed(axes.plot("words", "across", "up", [])).iter("text")]
    assert texts == ["0 %", "5 %", "10 %", "15 %", "20 %", "0 %", "10 %", "20 %", "30 %", "40 %", "across", "up"]


@pytest.mark.parametrize(
    ("text", "max_width", "short"),
    [("happy", 5, "happy"), ("surprise", 5, "surp…"), ("笑顔の写真", 6, "笑顔…"), ("", 3, "")],
)
def test_names_too_long_are_cut(text, max_width, short):
    assert shortened(text, max_width) == short
    assert width_of(short) <= width_of("m" * max_width)


@pytest.mark.parametrize(("share", "digits", "text"), [(0.7083, 0, "71 %"), (0.7083, 1, "70.8 %"), (1, 0, "100 %")])
def test_shares_read_as_percents(share, digits, text):
    assert percent(share, digits) == text


def test_a_drawing_alone_is_an_image_file_with_its_colours():
    root = parsed(alone(svg((20, 10), "words", label("<b> & more", (1, 2), "quiet"))))
    space = "{http://www.w3.org/2000/svg}"
    assert (root.tag, root.get("viewBox")) == (f"{space}svg", "0 0 20 10")
    assert [child.tag.removeprefix(space) for child in root] == ["style", "title", "text"]
    assert "--accent" in root.find(f"{space}style").text
    assert root.find(f"{space}text").text == "<b> & more"


def test_a_template_without_its_variable_is_an_error_and_text_in_it_is_escaped():
    template = environment().from_string("<p>{{ text }}</p>")
    assert template.render(text="<b>\x00") == r"<p>&lt;b&gt;\x00</p>"
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        template.render()
