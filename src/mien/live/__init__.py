"""Reading faces as things happen: a thread that keeps the newest frame, one that reads it, and what a window shows.

Nothing here draws: a window asks for the newest ``Reading`` and for the state that the source is in, whenever it can.
"""

from mien.live.engine import Engine, Reading, State, Status
from mien.tracking.baseline import Baseline, Neutral

__all__ = ["Baseline", "Engine", "Neutral", "Reading", "State", "Status"]
