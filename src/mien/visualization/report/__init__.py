"""Pages of results for a browser or a printer: one HTML file each, without scripts and without anything to fetch.

Text is escaped wherever it goes in, unless it is ``Markup``: what ``tag`` and the parts of this room made.

    page("Report", "compact on PublicTest", section("Figures", table(["label", "rows"], [["happy", 895]])))
"""

from mien.visualization.report.images import captioned, gallery, image
from mien.visualization.report.layout import page, section
from mien.visualization.report.markup import Markup, join, tag
from mien.visualization.report.parts import Figure, bar, figures, note, stacked_bar, table, terms

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
