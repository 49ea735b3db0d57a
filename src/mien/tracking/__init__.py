"""Faces over time: the tracker, a personal baseline, who showed what and when, subtitles and ELAN files."""

from mien.tracking.curves import Curves
from mien.tracking.elan import to_eaf
from mien.tracking.subtitles import to_srt, to_vtt
from mien.tracking.timeline import GAP, UNSURE, Person, Segment, Timeline, timeline
from mien.tracking.tracker import Tracker, TrackerConfig

__all__ = [
    "GAP",
    "UNSURE",
    "Curves",
    "Person",
    "Segment",
    "Timeline",
    "Tracker",
    "TrackerConfig",
    "timeline",
    "to_eaf",
    "to_srt",
    "to_vtt",
]
