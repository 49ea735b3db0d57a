"""A timeline for ELAN, the annotation tool of linguists and of who studies behaviour: an .eaf file (format 3.0)."""

from __future__ import annotations

import datetime as dt
import mimetypes
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mien.tracking.timeline import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mien.tracking.timeline import Person

KIND = "expression shown"
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def to_eaf(people: Sequence[Person], video: Path) -> bytes:
    """The annotation document, UTF-8: a tier for each face, an annotation for each of its segments.

    Args:
        people: what each face showed.
        video: the file that it is about; ELAN looks for it where it is, then beside the document.
    """
    root = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "mien",
            "DATE": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": SCHEMA,
        },
    )
    header = SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {
            "MEDIA_URL": video.absolute().as_uri(),
            "RELATIVE_MEDIA_URL": f"./{video.name}",
            "MIME_TYPE": mimetypes.guess_type(video.name)[0] or "video/*",
        },
    )
    edges = sorted({milliseconds(edge) for one in people for each in one.segments for edge in (each.start, each.end)})
    slots = {edge: f"ts{number}" for number, edge in enumerate(edges, start=1)}
    order = SubElement(root, "TIME_ORDER")
    for edge, slot in slots.items():
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(edge)})
    number = 0
    for person in people:
        tier = SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": KIND, "TIER_ID": f"face {person.track}"})
        for segment in person.segments:
            number += 1
            about = {
                "ANNOTATION_ID": f"a{number}",
                "TIME_SLOT_REF1": slots[milliseconds(segment.start)],
                "TIME_SLOT_REF2": slots[milliseconds(segment.end)],
            }
            annotation = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", about)
            SubElement(annotation, "ANNOTATION_VALUE").text = f"{segment.emotion} {segment.probability:.2f}"
    SubElement(
        root,
        "LINGUISTIC_TYPE",
        {"LINGUISTIC_TYPE_ID": KIND, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"},
    )
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
