"""A timeline as a file: subtitles (SubRip .srt, WebVTT .vtt), and annotations for ELAN (.eaf, format 3.0)."""

from __future__ import annotations

import datetime as dt
import mimetypes
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from mien.tracking.timeline import Segment, Track

ELAN_TIER_TYPE = "expression shown"
ELAN_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


class _Cue(NamedTuple):
    """A subtitle between two times, in milliseconds."""

    start: int
    end: int
    text: str


def to_srt(tracks: Iterable[Track]) -> str:
    """Subtitles in SubRip format.

    Args:
        tracks: of one video, from ``mien.tracking.timeline``.
    """
    cues = (
        f"{number}\n{_timestamp(cue.start, ',')} --> {_timestamp(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(_cues(tracks), start=1)
    )
    return "\n".join(cues)


def to_vtt(tracks: Iterable[Track]) -> str:
    """Subtitles in WebVTT format (W3C).

    Args:
        tracks: of one video, from ``mien.tracking.timeline``.
    """
    cues = (
        f"{_timestamp(cue.start, '.')} --> {_timestamp(cue.end, '.')}\n{_escape_vtt(cue.text)}\n"
        for cue in _cues(tracks)
    )
    return "\n".join(["WEBVTT\n", *cues])


def to_eaf(tracks: Sequence[Track], video: str | os.PathLike[str]) -> bytes:
    """An ELAN annotation document, UTF-8: a tier for each track, an annotation for each of its segments.

    Args:
        tracks: of the video.
        video: its file; ELAN looks for it there, then in the folder of the document.
    """
    video = Path(video)
    root = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "mien",
            "DATE": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": ELAN_SCHEMA,
        },
    )
    header = SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = {
        "MEDIA_URL": video.absolute().as_uri(),
        "RELATIVE_MEDIA_URL": f"./{video.name}",
        "MIME_TYPE": mimetypes.guess_type(video.name)[0] or "video/*",
    }
    SubElement(header, "MEDIA_DESCRIPTOR", media)
    slots = _add_time_slots(root, tracks)
    _add_tiers(root, tracks, slots)
    tier_type = {"LINGUISTIC_TYPE_ID": ELAN_TIER_TYPE, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"}
    SubElement(root, "LINGUISTIC_TYPE", tier_type)
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _add_time_slots(root: Element, tracks: Sequence[Track]) -> dict[int, str]:
    """Write the edges of all segments; return the id of each, by milliseconds."""
    segments = [segment for track in tracks for segment in track.segments]
    slots = {edge: f"ts{number}" for number, edge in enumerate(_edges(segments), start=1)}
    order = SubElement(root, "TIME_ORDER")
    for edge, slot in slots.items():
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(edge)})
    return slots


def _add_tiers(root: Element, tracks: Sequence[Track], slots: dict[int, str]) -> None:
    number = 0
    for track in tracks:
        tier = SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": ELAN_TIER_TYPE, "TIER_ID": f"face {track.number}"})
        for segment in track.segments:
            number += 1
            attributes = {
                "ANNOTATION_ID": f"a{number}",
                "TIME_SLOT_REF1": slots[_milliseconds(segment.start)],
                "TIME_SLOT_REF2": slots[_milliseconds(segment.end)],
            }
            annotation = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", attributes)
            SubElement(annotation, "ANNOTATION_VALUE").text = f"{segment.emotion} {segment.probability:.2f}"


def _cues(tracks: Iterable[Track]) -> Iterator[_Cue]:
    """One cue for all visible faces, split wherever one of them changes."""
    several = list(tracks)
    numbered = len(several) > 1
    segments = [segment for track in several for segment in track.segments]
    for start, end in pairwise(_edges(segments)):
        shown = [part for part in segments if _milliseconds(part.start) <= start and end <= _milliseconds(part.end)]
        if shown:
            yield _Cue(start, end, "\n".join(_caption(part, numbered=numbered) for part in shown))


def _caption(segment: Segment, *, numbered: bool) -> str:
    text = f"{segment.emotion} {segment.probability:.0%}"
    return f"{segment.track}: {text}" if numbered else text


def _edges(segments: Iterable[Segment]) -> list[int]:
    """The starts and ends of segments in milliseconds, sorted, each once."""
    return sorted({_milliseconds(edge) for segment in segments for edge in (segment.start, segment.end)})


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _timestamp(milliseconds: int, decimal_point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_point}{thousandths:03}"


def _escape_vtt(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
