"""Faces over time: tracker, personal baseline, timeline of tracks and segments, export to subtitles and ELAN."""

from mien.tracking.baseline import Baseline, BaselineEstimator
from mien.tracking.export import to_eaf, to_srt, to_vtt
from mien.tracking.timeline import MAX_GAP_SECONDS, UNSURE, Segment, Timeline, Track, timeline
from mien.tracking.tracker import Tracker, TrackerConfig

__all__ = [
    "MAX_GAP_SECONDS",
    "UNSURE",
    "Baseline",
    "BaselineEstimator",
    "Segment",
    "Timeline",
    "Track",
    "Tracker",
    "TrackerConfig",
    "timeline",
    "to_eaf",
    "to_srt",
    "to_vtt",
]
