"""Who showed what in a video, and when: segments and totals, as a page, as subtitles, and for ELAN."""

from mien.timeline.curves import Curves
from mien.timeline.elan import to_eaf
from mien.timeline.page import timeline_page
from mien.timeline.segments import GAP, UNSURE, Person, Segment, Timeline, timeline
from mien.timeline.subtitles import to_srt, to_vtt

__all__ = [
    "GAP",
    "UNSURE",
    "Curves",
    "Person",
    "Segment",
    "Timeline",
    "timeline",
    "timeline_page",
    "to_eaf",
    "to_srt",
    "to_vtt",
]
