"""HTML reports of explanations: a self-contained page for one image, and an overview page for many."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mien.explain.overlay import OPPOSE_COLOURS, OUTLINED_SHARE, SUPPORT_COLOURS, overlay, top_parts
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

    from mien.explain.explanation import AttributionMap, Explanation
    from mien.explain.faithfulness import Curve, DeletionInsertion, Faithfulness

FACE_PX, THUMBNAIL_PX = 336, 200
"""Largest CSS width of a face on its own page and on the overview page."""

CAPTIONS = {
    "occlusion": "How much hiding a region lowers the prediction.",
    "grad-cam": "Activation of the last feature maps, weighted by their gradients. Coarse by design.",
    "integrated-gradients": "Gradients summed along the path from a uniform grey image to this attribution.",
}
"""Caption of each method's map."""

LIMITS = (
    "An attribution map shows which pixels this model used. It does not show why the face looks this way or what the "
    "person feels, and the model may rely on a region for the wrong reason."
)

CURVE_COLOURS = (("deletion", "#c8423c"), ("insertion", "#23845a"), ("random", "#8a93a1"), ("centre", "#b8741a"))


def explanation_page(name: str, explanations: Sequence[Explanation], footer: str = "") -> str:
    """The report of one image, HTML to be written as UTF-8.

    Args:
        name: of the image, shown as the title.
        explanations: of its faces.
        footer: last line of the page.
    """
    count = len(explanations)
    lead = f"{count} face{'' if count == 1 else 's'}: what each prediction is based on"
    if not explanations:
        return page(name, lead, section("Faces", note("No face was found.")), foot=footer)
    faces = (_face(number, explanation) for number, explanation in enumerate(explanations, 1))
    return page(name, lead, _legend(), *faces, foot=footer)


def overview_page(title: str, images: Sequence[tuple[str, str, Sequence[Explanation]]], footer: str = "") -> str:
    """The overview of many images: each face with its first map, linked to the report of its image.

    Args:
        title: of the page.
        images: for each image its name, the relative address of its report, and the explanations of its faces.
        footer: last line of the page.
    """
    faces = [(name, link, explanation) for name, link, explanations in images for explanation in explanations]
    tiles = (
        captioned(
            tag(
                "a",
                image(
                    overlay(explanation.view, explanation.maps[0].values, THUMBNAIL_PX),
                    _alt_text(explanation, explanation.maps[0]),
                    THUMBNAIL_PX,
                ),
                href=quote(link),
            ),
            tag("b", f"{explanation.label} {_percent(explanation)}"),
            ", ".join(top_parts(explanation.maps[0])),
            name,
        )
        for name, link, explanation in faces
    )
    lead = f"{len(faces)} faces in {len(images)} images: what each prediction is based on"
    return page(title, lead, _legend(), section("Faces", gallery(tiles)), foot=footer)


def _legend() -> Markup:
    colours = {"supports the label": SUPPORT_COLOURS[1], "opposes it": OPPOSE_COLOURS[1]}
    keys = (
        tag("span", tag("i", style=f"background:{hex_of(rgb)}"), text, class_="key") for text, rgb in colours.items()
    )
    line = f"The contour encloses the top {OUTLINED_SHARE:.0%} of pixels. Colours are comparable within one map only."
    return section("How to read the maps", tag("p", *keys, class_="legend"), note(line), note(LIMITS))


def _face(number: int, explanation: Explanation) -> Markup:
    prediction = explanation.prediction
    unsure = f"unsure: {', '.join(prediction.reasons)}" if prediction.unsure else ""
    head = figures(
        [
            Figure("prediction", prediction.emotion, unsure),
            Figure("probability", f"{prediction.probability:.0%}"),
            *(
                []
                if explanation.label == prediction.emotion
                else [Figure("explained", explanation.label, _percent(explanation))]
            ),
        ]
    )
    tiles = [
        captioned(image(explanation.view, "the face crop", FACE_PX), tag("b", "face crop"), "in colour and enlarged"),
        *(
            captioned(
                image(overlay(explanation.view, attribution.values), _alt_text(explanation, attribution), FACE_PX),
                tag("b", attribution.method),
                CAPTIONS.get(attribution.method, ""),
            )
            for attribution in explanation.maps
        ),
    ]
    pairs = zip(prediction.labels, prediction.probabilities, strict=True)
    rows = [
        [label, bar(share, colour_of(label)), f"{share:.1%}"]
        for label, share in sorted(pairs, key=lambda pair: -pair[1])
    ]
    probabilities = table(["expression", "", "probability"], rows, text_columns=2)
    tables = [tag("div", tag("h3", "Probabilities"), probabilities), _part_table(explanation)]
    # the table of several methods needs the full width of the page
    body = tag("div", *tables, class_="pair") if len(explanation.maps) == 1 else join(tables)
    checks = [
        _faithfulness(attribution.method, attribution.faithfulness)
        for attribution in explanation.maps
        if attribution.faithfulness
    ]
    return section(f"Face {number}", head, tag("div", *tiles, class_="maps"), body, *checks)


def _part_table(explanation: Explanation) -> Markup:
    """Attribution by face part, one column per method."""
    maps = [attribution for attribution in explanation.maps if attribution.parts]
    if not maps:
        return tag("div", tag("h3", "Face parts"), note("The detector gives no landmarks, so parts are unknown."))
    rows = []
    for index, part in enumerate(maps[0].parts):
        shares = [attribution.parts[index].share for attribution in maps]
        rows.append([part.name, bar(part.share), *(f"{share:.0%}" for share in shares), f"{part.density:.1f}"])
    parts = table(["part", "", *(attribution.method for attribution in maps), "density"], rows, text_columns=2)
    about = "Share of the positive attribution. Density is the share over the part's area: 1 is average."
    return tag("div", tag("h3", "Face parts"), parts, tag("p", about, class_="about"))


def _faithfulness(method: str, faithfulness: Faithfulness) -> Markup:
    curves = faithfulness.curves
    notes = {
        "deletion": "mean probability while the top pixels are hidden first: lower is better",
        "random": "deletion in random order",
        "centre": "deletion from the centre outwards",
        "insertion": "mean probability while the top pixels are revealed first: higher is better",
    }
    areas = figures(Figure(name, f"{getattr(curves, name).area:.2f}", text) for name, text in notes.items())
    rows = [[f"{share:.0%}", f"{correlation:+.2f}"] for share, correlation in faithfulness.rank_correlations]
    randomization = table(["layers randomised, from the output", "rank correlation"], rows)
    about = "Rank correlation with the map above. Near 1, the map would show the image, not the model."
    return join(
        [
            tag("h3", f"Faithfulness of {method}"),
            areas,
            tag("div", _plot(curves), tag("div", randomization, tag("p", about, class_="about")), class_="pair"),
        ]
    )


def _plot(curves: DeletionInsertion) -> Markup:
    axes = Axes()
    drawn: list[Markup] = []
    for index, (name, colour) in enumerate(CURVE_COLOURS):
        curve: Curve = getattr(curves, name)
        pairs = zip(curve.shares, curve.probabilities, strict=True)
        points = " ".join(f"{axes.x(share):.1f},{axes.y(value):.1f}" for share, value in pairs)
        drawn.append(tag("polyline", points=points, class_="line", style=f"stroke:{colour}"))
        # curves end close together, so their names are stacked in a corner
        drawn.append(
            tag(
                "text", name, x=axes.x(1.0) - 6, y=axes.y(0.94) + 15 * index, class_="end small", style=f"fill:{colour}"
            )
        )
    return axes.plot("Deletion and insertion", "share of pixels hidden or revealed", "probability", drawn)


def _alt_text(explanation: Explanation, attribution: AttributionMap) -> str:
    parts = top_parts(attribution)
    return f"{attribution.method}: {explanation.label}" + (f", mostly from {' and '.join(parts)}" if parts else "")


def _percent(explanation: Explanation) -> str:
    return f"{explanation.prediction.probability_of(explanation.label):.0%}"
