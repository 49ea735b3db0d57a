"""The process that reads one video for the server: results as JSON Lines, and the page of who showed what, when.

It is told which model and detector, then asked for a video; it says how far it is, and at the end that it is done, or
what was wrong.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import __version__
from mien.errors import MienError, VideoError
from mien.media.files import atomic_write, write_bytes
from mien.media.video import FileSource, Sampling
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from mien.tracking import Curves, Timeline
from mien.visualization.report.timeline_page import timeline_page
from mien.workers import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

YIELDING = 10
"""By how much photos and frames of cameras go first."""

OFTEN = 0.2
"""Seconds from one word of progress to the next."""


def main() -> None:
    """Reads until nothing comes any more."""
    if hasattr(os, "nice"):
        os.nice(YIELDING)
    with protocol.pipes() as pipes:
        asked = protocol.all_of(pipes.asked)
        first = next(asked, None)
        if first is None:
            return
        recognizer = Recognizer.load(**first.said)
        protocol.put(pipes.answers, "ready")
        for message in asked:
            said: dict[str, Any] = {"done": True}
            try:
                for share in _read(recognizer, message.said):
                    protocol.put(pipes.answers, {"progress": share})
            except MienError as error:
                said = _fault(error, message.said)
            protocol.put(pipes.answers, said)


def _fault(error: MienError, asked: dict[str, Any]) -> dict[str, str]:
    """What is wrong with a video; what its file is called here is nobody's business."""
    code = "unreadable_video" if isinstance(error, VideoError) else "internal"
    return {"code": code, "message": str(error).replace(asked["video"], asked["name"] or "the body")}


def _read(recognizer: Recognizer, asked: dict[str, Any]) -> Iterator[float]:
    """Reads a video, telling the share of it that is done."""
    sampling, name = Sampling(*asked["sampling"]), asked["name"]
    timeline, curves, said = Timeline(), Curves(), time.monotonic()
    source = FileSource(Path(asked["video"]))
    with atomic_write(Path(asked["results"])) as aside, aside.open("w", encoding="utf-8", newline="\n") as lines:
        for frame, result in recognizer.watch(source, name, sampling):
            lines.write(to_json_line(result) + "\n")
            timeline.add(result)
            curves.add(frame.image, result)
            share = source.progress(frame.seconds, sampling)
            if share is not None and time.monotonic() - said > OFTEN:
                said = time.monotonic()
                yield share
    # where the page is saved beside the video, its moments open it
    page = timeline_page(name or "video", name, timeline.people(), curves, f"mien {__version__}")
    write_bytes(Path(asked["page"]), page.encode())
