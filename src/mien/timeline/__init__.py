"""Who showed what in a video, and when: segments and totals, as subtitles, and for ELAN."""

from mien.timeline.elan import to_eaf
from mien.timeline.segments import GAP, UNSURE, Person, Segment, Timeline, timeline
from mien.timeline.subtitles import to_srt, to_vtt

__all__ = ["GAP", "UNSURE", "Person", "Segment", "Timeline", "timeline", "to_eaf", "to_srt", "to_vtt"]
