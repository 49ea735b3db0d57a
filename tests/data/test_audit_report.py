"""The audit's page: what it shows, that it stands alone, and that nothing in the data can spoil it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from audited import faulty, labelled

from mien.data.audit import audit
from mien.data.audit_report import MAX_GROUP_IMAGES, MAX_GROUPS, audit_page


class Reader(HTMLParser):
    """What a page holds: its tags, their sources, its headings."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.sources, self.headings, self.at = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.at = tag
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        if self.at == "h2" and data.strip():
            self.headings.append(data)

    def handle_endtag(self, tag):
        self.at = ""


@pytest.fixture(scope="module")
def html():
    return audit_page(audit(faulty()))


def test_sections_in_order_conflicts_first(html):
    assert Reader(html).headings == [
        *("Summary", "Duplicates with conflicting labels: 1", "Duplicates across splits: 1", "Other duplicates: 1"),
        *("Blank: 1", "No expression by vote: 1", "Class distribution", "Rejected rows: 1"),
    ]


def test_it_stands_alone(html):
    page = Reader(html)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert page.sources
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "http" not in re.sub(r'http-equiv|"data:[^"]*"', "", html)


def test_what_the_data_says_is_text(html):
    assert "<b>odd</b>" not in html
    assert "&lt;b&gt;odd&lt;/b&gt;" in html
    assert "it is &lt;torn&gt;" in html


def test_clean_data_is_said_to_be():
    noise = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    html = audit_page(audit(labelled(noise, [0, 1, 1, 1], ["Training"] * 4)))
    for words in (
        "All duplicates have the same label.",
        "No image has a duplicate in another split.",
        "There are none.",
    ):
        assert words in html
    assert "No expression by vote" not in html


def test_long_lists_are_cut_and_say_so():
    dice = np.random.default_rng(0)
    pairs = dice.integers(0, 256, (MAX_GROUPS + 7, 8, 8, 1)).astype(np.uint8).repeat(2, axis=0)
    html = audit_page(audit(labelled(pairs, [0, 1] * (MAX_GROUPS + 7), ["Training"] * len(pairs))))
    assert f"Duplicates with conflicting labels: {MAX_GROUPS + 7}" in html
    assert html.count('class="group"') == MAX_GROUPS
    assert "7 more groups are in audit.json." in html


def test_a_large_group_shows_each_of_its_labels():
    same = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1)).astype(np.uint8).repeat(20, axis=0)
    html = audit_page(audit(labelled(same, [0] * 18 + [1, 0], ["Training"] * 20)))
    assert html.count("<figure>") == MAX_GROUP_IMAGES
    assert "<b>sad</b><" in html.replace("</span>", "<")
    assert "12 more" in html


def test_what_a_detector_missed_is_no_proof():
    class Blind:
        def detect(self, frame):
            return []

    html = audit_page(audit(faulty(), Blind()))
    assert "No face found: 10" in html
    assert "weak evidence" in html
