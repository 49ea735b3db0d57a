"""HTML reports: one self-contained file each, without scripts and without anything to fetch.

Text is escaped wherever it is inserted, unless it is ``Markup``: the result of ``tag`` and of the parts below.

    page("Report", "compact on PublicTest", section("Scores", table(["label", "rows"], [["happy", 895]])))
"""

from mien.visualization.report.parts import (
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

__all__ = [
    "Figure",
    "Markup",
    "bar",
    "captioned",
    "figures",
    "gallery",
    "image",
    "join",
    "note",
    "page",
    "section",
    "stacked_bar",
    "table",
    "tag",
    "terms",
]
