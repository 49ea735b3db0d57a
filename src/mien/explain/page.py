"""The page of an image's explanations, and the sheet of many: HTML that needs nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mien.explain.overlay import COOL, MARKED, WARM, overlay, strongest_parts
from mien.visualization.annotate import colour_of
from mien.visualization.avatar.outlines import hex_of
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
    table,
    tag,
)
from mien.visualization.report.charts import Axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.explain.deletion import Curve, Erasing
    from mien.explain.explanation import Check, Explanation, HeatMap

WIDE, SMALL = 336, 200
"""CSS pixels across of a face, at most, on its page and on the sheet."""

HOW = {
    "occlusion": "What hiding a place takes off the answer.",
    "grad-cam": "Where the last feature maps that the answer grows with are active. Coarse by nature.",
    "integrated-gradients": "What each pixel adds on the way from a flat image to this one.",
}
"""How each method's map is to be taken."""

LIMITS = (
    "A map shows what this model's answer hung on. It shows neither why the face looks so nor what anybody feels, and "
    "a place can matter for a bad reason."
)

LINES = (("deletion", "#c8423c"), ("insertion", "#23845a"), ("random", "#8a93a1"), ("centre", "#b8741a"))
"""The curves of a check and their colours."""


def explanation_page(name: str, explanations: Sequence[Explanation], made: str = "") -> str:
    """The page of one image, to be written as UTF-8.

    Args:
        name: the image's, as people know it.
        explanations: of its faces.
        made: the last line.
    """
    count = len(explanations)
    lead = f"{count} face{'' if count == 1 else 's'}: what the answer hung on"
    if not explanations:
        return page(name, lead, section("Faces", note("No face was found.")), foot=made)
    shown = (_face(number, one) for number, one in enumerate(explanations, 1))
    return page(name, lead, _key(), *shown, foot=made)


def sheet_page(title: str, images: Sequence[tuple[str, str, Sequence[Explanation]]], made: str = "") -> str:
    """The sheet of many images: each face with its first map, leading to the image's page.

    Args:
        title: of the page.
        images: of each its name, the address of its page from the sheet, and the explanations of its faces.
        made: the last line.
    """
    faces = [(name, link, one) for name, link, found in images for one in found]
    tiles = (
        captioned(
            tag(
                "a",
                image(overlay(one.view, one.maps[0].values, SMALL), _words(one, one.maps[0]), SMALL),
                href=quote(link),
            ),
            tag("b", f"{one.label} {_percent(one)}"),
            ", ".join(strongest_parts(one.maps[0])),
            name,
        )
        for name, link, one in faces
    )
    lead = f"{len(faces)} faces in {len(images)} images: what each answer hung on"
    return page(title, lead, _key(), section("Faces", gallery(tiles)), foot=made)


def _key() -> Markup:
    """How to read the maps."""
    colours = {"speaks for the answer": WARM[1], "speaks against it": COOL[1]}
    keys = (
        tag("span", tag("i", style=f"background:{hex_of(rgb)}"), words, class_="key") for words, rgb in colours.items()
    )
    line = f"The line goes round the strongest {MARKED:.0%} of the image. Colours are comparable within one map only."
    return section("How to read it", tag("p", *keys, class_="legend"), note(line), note(LIMITS))


def _face(number: int, one: Explanation) -> Markup:
    told = one.prediction
    unsure = f"unsure: {', '.join(told.reasons)}" if told.unsure else ""
    head = figures(
        [
            Figure("prediction", told.emotion, unsure),
            Figure("probability", f"{told.probability:.0%}"),
            *([] if one.label == told.emotion else [Figure("explained", one.label, _percent(one))]),
        ]
    )
    seen = [
        captioned(image(one.view, "the face as it is cut for the model", WIDE), tag("b", "the face"), "as it is cut"),
        *(
            captioned(
                image(overlay(one.view, m.values), _words(one, m), WIDE), tag("b", m.method), HOW.get(m.method, "")
            )
            for m in one.maps
        ),
    ]
    rows = [
        [word, bar(share, colour_of(word)), f"{share:.1%}"]
        for word, share in sorted(zip(told.labels, told.probabilities, strict=True), key=lambda pair: -pair[1])
    ]
    probabilities = table(["expression", "", "probability"], rows, words=2)
    parts = [tag("div", tag("h3", "Probabilities"), probabilities), _parts(one)]
    # the parts by several methods need the page's whole width
    shown = tag("div", *parts, class_="pair") if len(one.maps) == 1 else join(parts)
    checks = [_check(m.method, m.check) for m in one.maps if m.check]
    return section(f"Face {number}", head, tag("div", *seen, class_="maps"), shown, *checks)


def _parts(one: Explanation) -> Markup:
    """What each part of the face gave, by method."""
    maps = [m for m in one.maps if m.parts]
    if not maps:
        return tag("div", tag("h3", "Parts of the face"), note("The detector gave no landmarks to tell them by."))
    rows = []
    for place, part in enumerate(maps[0].parts):
        given = [m.parts[place] for m in maps]
        rows.append([part.name, bar(part.share), *(f"{p.share:.0%}" for p in given), f"{part.density:.1f}"])
    shown = table(["part", "", *(m.method for m in maps), "by its size"], rows, words=2)
    about = "Share of what spoke for the answer; by its size: how much more than a place as large gives on average."
    return tag("div", tag("h3", "Parts of the face"), shown, tag("p", about, class_="about"))


def _check(method: str, check: Check) -> Markup:
    curves = check.erasing
    values = {
        "deletion": curves.deletion.area,
        "random": curves.random.area,
        "centre": curves.centre.area,
        "insertion": curves.insertion.area,
    }
    told = {
        "deletion": "mean probability, marked places hidden first: low is good",
        "random": "the same in random order",
        "centre": "the same from the middle outwards",
        "insertion": "marked places shown first: high is good",
    }
    areas = figures(Figure(name, f"{value:.2f}", told[name]) for name, value in values.items())
    rows = [[f"{share:.0%}", f"{likeness:+.2f}"] for share, likeness in check.likeness]
    random = table(["layers made random, from the answer's end", "likeness of the map"], rows)
    about = "Rank correlation with the map above: near 1 would mean that the map shows the image, not the model."
    return join(
        [
            tag("h3", f"Check of {method}"),
            areas,
            tag("div", _plot(curves), tag("div", random, tag("p", about, class_="about")), class_="pair"),
        ]
    )


def _plot(erasing: Erasing) -> Markup:
    axes = Axes()
    drawn: list[Markup] = []
    for place, (name, colour) in enumerate(LINES):
        curve: Curve = getattr(erasing, name)
        pairs = zip(curve.shares, curve.probabilities, strict=True)
        points = " ".join(f"{axes.x(share):.1f},{axes.y(value):.1f}" for share, value in pairs)
        drawn.append(tag("polyline", points=points, class_="line", style=f"stroke:{colour}"))
        # where a curve ends says nothing: names stand in a column, in the curves' colours
        drawn.append(
            tag(
                "text", name, x=axes.x(1.0) - 6, y=axes.y(0.94) + 15 * place, class_="end small", style=f"fill:{colour}"
            )
        )
    return axes.plot("Probability as places are hidden or shown", "of the image hidden, or shown", "probability", drawn)


def _words(one: Explanation, shown: HeatMap) -> str:
    parts = strongest_parts(shown)
    return f"{shown.method}: {one.label}" + (f", most from {' and '.join(parts)}" if parts else "")


def _percent(one: Explanation) -> str:
    return f"{one.prediction.probability_of(one.label):.0%}"
