"""Real-time analysis of a camera: a capture thread, an inference thread that takes the latest frame, collection.

Nothing here draws. A window polls the latest result and the state of the source.
"""

from mien.live.engine import Engine, LiveResult, State, Status

__all__ = ["Engine", "LiveResult", "State", "Status"]
